"""Running jobs ahead in threads, in bounded memory."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from keras_fcn.system.machine import granted_cores

WAITING_BYTES = 1 << 28
"""The most memory for decoded images that wait for the network, and for predictions that wait to be written, each."""

THREADS = max(2, granted_cores())
"""Number of threads that read, and of threads that write."""


@dataclasses.dataclass(frozen=True)
class Job:
    """A call for another thread.

    Attributes:
        size: Bytes that the call holds or returns.
        work: The function to call.
    """

    size: int
    work: Callable[[], Any]


@contextlib.contextmanager
def thread_pool() -> Iterator[ThreadPoolExecutor]:
    """Yields a pool of threads that ends with the block; pending jobs are cancelled."""
    pool = ThreadPoolExecutor(THREADS)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def in_order(pool: ThreadPoolExecutor, jobs: Iterable[Job]) -> Iterator[Any]:
    """Yields the results of jobs in their order, while threads run some jobs ahead, within `WAITING_BYTES`."""
    pending: collections.deque[tuple[int, Future]] = collections.deque()
    for job in jobs:
        pending.append((job.size, pool.submit(job.work)))
        while pending and (len(pending) > 2 * THREADS or sum(size for size, _ in pending) > WAITING_BYTES):
            yield pending.popleft()[1].result()
    while pending:
        yield pending.popleft()[1].result()
