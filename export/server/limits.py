"""What the server takes on at once: requests, their bytes, and the pixels of decoded images."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator


class BusyError(RuntimeError):
    """The server has as much to do as it takes on: the caller may come again after some seconds."""


class Admission:
    """Counts what has been accepted and not been answered yet.

    Args:
        max_requests: How many requests.
        max_bytes: How much memory their bodies may take together.
    """

    def __init__(self, max_requests: int, max_bytes: int) -> None:
        self._max_requests, self._max_bytes = max_requests, max_bytes
        self.requests = self.bytes = 0

    @contextlib.contextmanager
    def request(self) -> Iterator[AdmittedRequest]:
        """Holds a place for a request while the block runs.

        Raises:
            BusyError: If all places are taken.
        """
        if self.requests >= self._max_requests:
            raise BusyError(f"{self.requests} requests wait already; come again later")
        admitted = AdmittedRequest(self)
        self.requests += 1
        try:
            yield admitted
        finally:
            self.requests -= 1
            self.bytes -= admitted.bytes

    def take(self, count: int) -> None:
        """Counts bytes; raises BusyError if they would be too many, except for a single request."""
        if self.bytes + count > self._max_bytes and self.requests > 1:
            raise BusyError(f"{self.bytes >> 20} MiB of requests wait already; come again later")
        self.bytes += count


class AdmittedRequest:
    """One request that has a place, and the bytes that it has taken so far."""

    def __init__(self, admission: Admission) -> None:
        self._admission = admission
        self.bytes = 0

    def take(self, count: int) -> None:
        """Counts bytes of the body that are in memory now; raises BusyError if they do not fit."""
        self._admission.take(count)
        self.bytes += count


class PixelBudget:
    """Lets images be decoded while those in memory have not too many pixels together, in the order of their arrival.

    Args:
        max_pixels: Of all decoded images; one that alone has more is let in when there is no other.
    """

    def __init__(self, max_pixels: int) -> None:
        self._max_pixels, self._used = max_pixels, 0
        self._turn, self._freed = asyncio.Lock(), asyncio.Event()

    @contextlib.asynccontextmanager
    async def holding(self, pixels: int):
        """Waits until there is room for so many pixels, and holds it while the block runs."""
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
