"""Dynamic batching: images of several requests go through the network together."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import dataclasses
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from contextlib import AbstractAsyncContextManager

import numpy as np

from export.server.background import in_background
from export.server.model.servable import Servable
from keras_fcn.inference.batches import batch_room


@dataclasses.dataclass(frozen=True)
class BatchingOptions:
    """Options of batching.

    Attributes:
        max_batch: The most images of one size in a batch.
        max_delay: Seconds that an idle network waits for more images. With 0, a batch holds the images that arrived
            while the network was busy, and no image waits for others.
    """

    max_batch: int = 4
    max_delay: float = 0.0


@dataclasses.dataclass(frozen=True, eq=False)
class _Entry:
    servable: Servable
    image: np.ndarray
    arrived: float
    result: asyncio.Future
    tiles: Iterator[np.ndarray | None] | None = None

    @property
    def kind(self) -> tuple:
        """The key of a batch: version and image size."""
        return id(self.servable), self.image.shape


class Batcher:
    """Runs waiting images of one size in one call of the network, the oldest first.

    Large images go tile by tile, one image after the other. After a tile, as many pixels of other images get their turn
    as it had, if they wait.

    Args:
        network: Executor of the calls.
        options: Batch size and delay.
        observe: Called with the size of each batch and the seconds of its inference; the size is 0 for a tile, and 1
            with 0 seconds for the whole image.
    """

    def __init__(self, network: Executor, options: BatchingOptions, observe: Callable[[int, float], object]) -> None:
        self._network, self._options, self._observe = network, options, observe
        self._waiting: collections.deque[_Entry] = collections.deque()
        self._large: collections.deque[_Entry] = collections.deque()
        self._owed = 0  # pixels of other images that go before the next tile
        self._arrival = asyncio.Event()

    async def segment(self, servable: Servable, image: np.ndarray) -> np.ndarray:
        """Returns the class ids uint8 [H, W] of an image uint8 [H, W, 3]; a cancelled call leaves the queue."""
        loop = asyncio.get_running_loop()
        is_large = servable.goes_in_tiles(_pixels(image))
        tiles = servable.segment_in_tiles(image) if is_large else None
        entry = _Entry(servable, image, loop.time(), loop.create_future(), tiles)
        (self._large if is_large else self._waiting).append(entry)
        self._arrival.set()
        return await entry.result

    def running(self) -> AbstractAsyncContextManager[None]:
        """Processes the queue while the block runs."""
        return in_background(self._run())

    async def _run(self) -> None:
        while True:
            self._arrival.clear()
            if not await self._take_turn():
                await self._arrival.wait()

    async def _take_turn(self) -> bool:
        """Runs a tile or a batch; returns False if nothing waits. Its locals would keep a replaced model in memory."""
        large, has_others = self._next_large(), self._next_kind() is not None
        if large and (not has_others or self._owed <= 0):
            await self._advance(large)
        elif has_others:
            if large is None:
                await self._wait_for_more()
            batch = self._take()
            self._owed -= sum(_pixels(entry.image) for entry in batch)
            await self._segment(batch)
        return large is not None or has_others

    def _next_large(self) -> _Entry | None:
        """Returns the large image at the front, after cancelled ones are dropped."""
        while self._large and self._large[0].result.done():
            self._large.popleft()
        return self._large[0] if self._large else None

    async def _advance(self, entry: _Entry) -> None:
        """Runs the next tile of a large image, and answers it after the last."""
        assert entry.tiles is not None
        started = time.perf_counter()
        try:
            ids = await asyncio.get_running_loop().run_in_executor(self._network, next, entry.tiles)
        except Exception as error:  # any error is passed on to the request
            if not entry.result.done():
                entry.result.set_exception(error)
            return
        self._owed = entry.servable.whole_pixels // 2
        self._observe(0, time.perf_counter() - started)
        if ids is not None:
            self._observe(1, 0.0)
            if not entry.result.done():
                entry.result.set_result(ids)

    def _next_kind(self) -> tuple | None:
        """Returns the key of the next batch, after cancelled images at the front are dropped."""
        while self._waiting and self._waiting[0].result.done():
            self._waiting.popleft()
        return self._waiting[0].kind if self._waiting else None

    async def _wait_for_more(self) -> None:
        """Returns when the next batch is full or its first image has waited `max_delay`."""
        end = self._waiting[0].arrived + self._options.max_delay
        if end <= asyncio.get_running_loop().time():
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(end):
                while not self._is_full():
                    self._arrival.clear()
                    await self._arrival.wait()

    def _room(self, entry: _Entry) -> int:
        room = batch_room(entry.image, self._options.max_batch)
        return max(1, min(room, entry.servable.whole_pixels // _pixels(entry.image)))

    def _is_full(self) -> bool:
        first = self._waiting[0]
        return sum(entry.kind == first.kind for entry in self._live()) >= self._room(first)

    def _live(self) -> Iterator[_Entry]:
        return (entry for entry in self._waiting if not entry.result.done())

    def _take(self) -> list[_Entry]:
        """Removes the next batch from the queue: the first image, and others of its key."""
        kind = self._next_kind()
        if kind is None:
            return []
        alike = [entry for entry in self._live() if entry.kind == kind][: self._room(self._waiting[0])]
        taken = set(map(id, alike))
        self._waiting = collections.deque(entry for entry in self._live() if id(entry) not in taken)
        return alike

    async def _segment(self, batch: list[_Entry]) -> None:
        """Answers the images of a batch; if it fails, each alone, so that only faulty images fail."""
        if not batch:
            return
        started = time.perf_counter()
        call = asyncio.get_running_loop().run_in_executor(
            self._network, batch[0].servable.segment, [entry.image for entry in batch]
        )
        try:
            results = await call
        except Exception as error:  # any error is passed on to the requests
            if len(batch) > 1:
                for entry in batch:
                    await self._segment([entry])
            elif not batch[0].result.done():
                batch[0].result.set_exception(error)
            return
        self._observe(len(batch), time.perf_counter() - started)
        for entry, ids in zip(batch, results):
            if not entry.result.done():
                entry.result.set_result(ids)


def _pixels(image: np.ndarray) -> int:
    return image.shape[0] * image.shape[1]
