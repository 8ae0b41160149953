"""Threads that work ahead, in bounded memory."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

WAITING_BYTES = 1 << 28
"""How much decoded photographs that wait for the network, and predictions that wait to be written, may take each."""

THREADS = max(2, os.cpu_count() or 1)
"""Threads that read, and as many that write."""


@dataclasses.dataclass(frozen=True)
class Job:
    """Something for another thread to do.

    Attributes:
        size: Bytes that it holds or makes.
        work: What to call.
    """

    size: int
    work: Callable[[], Any]


@contextlib.contextmanager
def thread_pool() -> Iterator[ThreadPoolExecutor]:
    """Gives threads that end with the block; if it raises, what they have not begun is dropped."""
    pool = ThreadPoolExecutor(THREADS)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def in_order(pool: ThreadPoolExecutor, jobs: Iterable[Job]) -> Iterator[Any]:
    """Yields the results of jobs in their order, while threads are some jobs ahead, as far as memory allows."""
    pending: collections.deque[tuple[int, Future]] = collections.deque()
    for job in jobs:
        pending.append((job.size, pool.submit(job.work)))
        while pending and (len(pending) > 2 * THREADS or sum(size for size, _ in pending) > WAITING_BYTES):
            yield pending.popleft()[1].result()
    while pending:
        yield pending.popleft()[1].result()
