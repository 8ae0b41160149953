"""Segmenting the files of a request: threads decode and encode, the batcher runs the network."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from export.server.background import in_background
from export.server.limits import PixelBudget
from export.server.model.batching import Batcher, BatchingOptions
from export.server.model.files.decoding import too_large_for_memory
from export.server.model.files.header import BadImageError
from export.server.model.servable import Mask, Servable
from keras_fcn.system.machine import return_free_memory

Result = TypeVar("Result")

LEAST_PIXELS_IN_MEMORY = 1 << 25
"""The least limit of pixels of decoded images in memory; for models of larger images, it is one image."""

MOST_BATCHES_AT_ONCE = 2
"""The most batches of one request that are decoded, wait and run; its further files wait for these."""

MUCH_MEMORY, RETURN_SECONDS = 1 << 21, 1.0
"""Bytes of a body or image whose memory is returned to the system, and seconds until then."""

MOST_BYTES_AT_ONCE = 1 << 18
"""The most bytes processed in the event loop: parsing a body takes under 1 ms, reading a header 2 ms."""


class BadFilesError(ValueError):
    """Files that cannot be segmented: index in the request and fault of each, in one line."""


class Segmentation:
    """Segments the files of all requests.

    Args:
        threads: Number of threads that decode and encode.
        batching: Options of batching.
        max_pixels: The limit of pixels of an image, of the first served version.
        observe_batch: Called with the size of each batch and the seconds of its inference.
    """

    def __init__(
        self, threads: int, batching: BatchingOptions, max_pixels: int, observe_batch: Callable[[int, float], object]
    ) -> None:
        self._threads = ThreadPoolExecutor(threads, "files")
        self._network = ThreadPoolExecutor(1, "network")
        # Images in tiles take long: others do not wait for their pixels to be free.
        self._pixels, self._large_pixels = (PixelBudget(max(LEAST_PIXELS_IN_MEMORY, max_pixels)) for _ in range(2))
        self._freed = asyncio.Event()
        self._at_once = MOST_BATCHES_AT_ONCE * batching.max_batch
        self._batcher = Batcher(self._network, batching, observe_batch)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Accepts files while the block runs."""
        async with self._batcher.running(), in_background(self._return_memory()):
            yield
        for pool in (self._threads, self._network):
            pool.shutdown(wait=False, cancel_futures=True)

    def has_freed(self, size: int) -> None:
        """Notes bytes that are needed no more: of many, the C library would keep the memory for good."""
        if size >= MUCH_MEMORY:
            self._freed.set()

    async def _return_memory(self) -> None:
        while True:
            await self._freed.wait()
            await asyncio.sleep(RETURN_SECONDS)
            self._freed.clear()
            await self._in_thread(return_free_memory)

    async def call(self, size: int, work: Callable[..., Result], *arguments: object) -> Result:
        """Calls a function in a thread, or here if it takes less time than waking a thread.

        If the caller is cancelled before a thread has begun, the function is not called.

        Args:
            size: Bytes that the function processes.
            work: The function.
            *arguments: Its arguments.
        """
        if size <= MOST_BYTES_AT_ONCE:
            return work(*arguments)
        return await self._in_thread(work, *arguments)

    async def _in_thread(self, work: Callable[..., Result], *arguments: object) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work, *arguments)

    async def segment(self, servable: Servable, files: Sequence[bytes]) -> list[Mask]:
        """Segments JPEG and PNG files of any sizes.

        Raises:
            BadFilesError: If any file has a fault; it names all of these. Other requests with images in the same batch
                are not affected.
        """
        # A request of many files takes turns with others.
        turns = asyncio.Semaphore(self._at_once), PixelBudget(servable.whole_pixels)
        tasks = [asyncio.ensure_future(self._segment_file(servable, data, *turns)) for data in files]
        try:
            results = await asyncio.gather(*tasks, return_exceptions=True)
        finally:
            for task in tasks:
                task.cancel()
        faults = [
            f"image_bytes[{index}] {fault}" for index, fault in enumerate(results) if isinstance(fault, BadImageError)
        ]
        if faults:
            raise BadFilesError("; ".join(faults))
        masks = []
        for result in results:
            if isinstance(result, BaseException):
                raise result
            masks.append(result)
        return masks

    async def _segment_file(
        self, servable: Servable, data: bytes, turns: asyncio.Semaphore, turn_pixels: PixelBudget
    ) -> Mask:
        async with turns:
            header = await self.call(len(data), servable.read_header, data)
            budget = self._large_pixels if servable.goes_in_tiles(header.pixels) else self._pixels
            async with turn_pixels.holding(header.pixels), budget.holding(header.pixels):
                try:
                    image = await self._in_thread(servable.decode, data)
                    ids = await self._batcher.segment(servable, image)
                except MemoryError:
                    raise too_large_for_memory() from None
                finally:
                    self.has_freed(3 * header.pixels)
                return await self._in_thread(servable.encode, ids)


def size_of(masks: Sequence[Mask]) -> int:
    """Returns the bytes of masks; a fraction takes as long to format as 256 bytes of a file."""
    return sum(len(mask.png) + 256 * mask.fractions.size for mask in masks)
