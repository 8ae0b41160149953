"""Limits of what the server holds at once: requests, their bytes, pixels of decoded images."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator


class BusyError(RuntimeError):
    """The server is at a limit; the client may retry after some seconds."""


class Admission:
    """Counts requests that are accepted and not answered yet.

    Args:
        max_requests: The most requests.
        max_bytes: The most bytes of their bodies together.
    """

    def __init__(self, max_requests: int, max_bytes: int) -> None:
        self._max_requests, self._max_bytes = max_requests, max_bytes
        self.requests = self.bytes = 0

    @contextlib.contextmanager
    def request(self) -> Iterator[AdmittedRequest]:
        """Admits a request while the block runs.

        Raises:
            BusyError: If there are `max_requests` already.
        """
        if self.requests >= self._max_requests:
            raise BusyError(f"{self.requests} requests wait already; try again later")
        admitted = AdmittedRequest(self)
        self.requests += 1
        try:
            yield admitted
        finally:
            self.requests -= 1
            self.bytes -= admitted.bytes

    def take(self, count: int) -> None:
        """Counts bytes; raises BusyError beyond `max_bytes`, except for a single request."""
        if self.bytes + count > self._max_bytes and self.requests > 1:
            raise BusyError(f"{self.bytes >> 20} MiB of requests wait already; try again later")
        self.bytes += count


class AdmittedRequest:
    """An admitted request and the bytes of its body in memory."""

    def __init__(self, admission: Admission) -> None:
        self._admission = admission
        self.bytes = 0

    def take(self, count: int) -> None:
        """Counts bytes of the body; raises BusyError if they exceed the limit of all requests."""
        self._admission.take(count)
        self.bytes += count


class PixelBudget:
    """Limits the pixels of all decoded images in memory; images wait in the order of their arrival.

    Args:
        max_pixels: The most pixels of all decoded images; a larger image is admitted alone.
    """

    def __init__(self, max_pixels: int) -> None:
        self._max_pixels, self._used = max_pixels, 0
        self._turn, self._freed = asyncio.Lock(), asyncio.Event()

    @contextlib.asynccontextmanager
    async def holding(self, pixels: int):
        """Waits until so many pixels are free, and holds them while the block runs."""
        async with self._turn:
            while self._used and self._used + pixels > self._max_pixels:
                self._freed.clear()
                await self._freed.wait()
            self._used += pixels
        try:
            yield
        finally:
            self._used -= pixels
            self._freed.set()
