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

    @property
    def kind(self) -> tuple:
        """The key of a batch: version and image size."""
        return id(self.servable), self.image.shape


class Batcher:
    """Runs waiting images of one size in one call of the network, the oldest first.

    Args:
        network: Executor of the calls.
        options: Batch size and delay.
        observe: Called with the size of each batch and the seconds of its inference.
    """

    def __init__(self, network: Executor, options: BatchingOptions, observe: Callable[[int, float], object]) -> None:
        self._network, self._options, self._observe = network, options, observe
        self._waiting: collections.deque[_Entry] = collections.deque()
        self._arrival = asyncio.Event()

    async def segment(self, servable: Servable, image: np.ndarray) -> np.ndarray:
        """Returns the class ids uint8 [H, W] of an image uint8 [H, W, 3]; a cancelled call leaves the queue."""
        loop = asyncio.get_running_loop()
        entry = _Entry(servable, image, loop.time(), loop.create_future())
        self._waiting.append(entry)
        self._arrival.set()
        return await entry.result

    def running(self) -> AbstractAsyncContextManager[None]:
        """Processes the queue while the block runs."""
        return in_background(self._run())

    async def _run(self) -> None:
        while True:
            self._arrival.clear()
            if self._next_kind() is None:
                await self._arrival.wait()
                continue
            await self._wait_for_more()
            await self._segment(self._take())

    def _next_kind(self) -> tuple | None:
        """Returns the key of the next batch, after cancelled images at the front are dropped."""
        while self._waiting and self._waiting[0].result.done():
            self._waiting.popleft()
        return self._waiting[0].kind if self._waiting else None

    async def _wait_for_more(self) -> None:
        """Returns when the next batch is full or its first image has waited `max_delay`."""
        loop = asyncio.get_running_loop()
        while self._waiting and not self._is_full():
            left = self._waiting[0].arrived + self._options.max_delay - loop.time()
            if left <= 0:
                return
            self._arrival.clear()
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._arrival.wait(), left)

    def _room(self, entry: _Entry) -> int:
        return batch_room(entry.image, self._options.max_batch)

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
