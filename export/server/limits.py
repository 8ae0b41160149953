"""Limits of what the server holds at once: requests, their bytes, pixels of decoded images."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator


class LimitError(Exception):
    """A request at a limit of the server.

    Args:
        limit: The option of the limit, as a field of `ServeOptions`: "max_waiting".
        status: The HTTP status of the answer.
        message: The limit and its value, in one line; the option is added to it.

    Attributes:
        limit: As above.
        status: As above.
    """

    def __init__(self, limit: str, status: int, message: str) -> None:
        super().__init__(f"{message} ({option(limit)})")
        self.limit, self.status = limit, status


def option(limit: str) -> str:
    """Returns how the command line names an option: "--max-waiting" of "max_waiting"."""
    return f"--{limit.replace('_', '-')}"


class Admission:
    """Counts requests that are accepted and not answered yet, and the bytes of their bodies that have arrived.

    A request waits from the moment when its body has arrived; until then it takes no place from others, but memory. If
    that is full, the body that has been arriving the longest is given up.

    Args:
        max_requests: The most requests that wait.
        max_bytes: The most bytes of all bodies together.
        freed: Called with the bytes that had arrived of each body that is needed no more.
    """

    def __init__(self, max_requests: int, max_bytes: int, freed: Callable[[int], object] = lambda count: None) -> None:
        self._max_requests, self._max_bytes, self._freed = max_requests, max_bytes, freed
        self._arriving: dict[AdmittedRequest, None] = {}  # the oldest first
        self.requests = self.bytes = 0

    @property
    def arriving(self) -> int:
        """The number of requests whose bodies have not arrived yet."""
        return len(self._arriving)

    @contextlib.contextmanager
    def request(self) -> Iterator[AdmittedRequest]:
        """Admits a request while the block runs; raises LimitError if `max_requests` wait already."""
        self._require_place()
        admitted = AdmittedRequest(self)
        self._arriving[admitted] = None
        try:
            yield admitted
        finally:
            self._arriving.pop(admitted, None)
            self.requests -= admitted.waits
            self.bytes -= admitted.bytes
            self._freed(admitted.received)

    def _require_place(self) -> None:
        if self.requests >= self._max_requests:
            raise LimitError("max_waiting", 503, f"{self.requests} requests wait already; try again later")

    def take(self, admitted: AdmittedRequest, count: int) -> None:
        """Counts bytes of a body; raises LimitError if it was given up, or no other can be given up for it."""
        if admitted not in self._arriving:
            raise self._full()
        while self.bytes + count > self._max_bytes and self.bytes > admitted.bytes:
            oldest = next((other for other in self._arriving if other.bytes), admitted)
            if oldest is admitted:
                raise self._full()
            del self._arriving[oldest]
            self.bytes -= oldest.bytes
            oldest.bytes = 0
            oldest.give_up()
        self.bytes += count
        admitted.bytes += count
        admitted.received += count

    def arrived(self, admitted: AdmittedRequest) -> None:
        """Lets a request wait for its answer; raises LimitError if `max_requests` do."""
        self._require_place()
        self._arriving.pop(admitted, None)
        self.requests += 1
        admitted.waits = True

    def _full(self) -> LimitError:
        return LimitError("max_waiting_mb", 503, f"{self.bytes >> 20} MiB of requests wait already; try again later")


class AdmittedRequest:
    """An admitted request.

    Attributes:
        bytes: Bytes of its body in memory.
        received: Bytes of its body that arrived.
        waits: Whether its body has arrived.
        give_up: Called if the memory of the body is needed for others, before it has arrived; it ends the block.
    """

    def __init__(self, admission: Admission) -> None:
        self._admission = admission
        self.give_up: Callable[[], object] = lambda: None
        self.bytes, self.received, self.waits = 0, 0, False

    def take(self, count: int) -> None:
        """Counts bytes of the body as they arrive."""
        self._admission.take(self, count)

    def arrived(self) -> None:
        """Ends the body."""
        self._admission.arrived(self)


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
