"""Ctrl-C and SIGTERM during work that is interrupted only between steps."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any


class Terminated(KeyboardInterrupt):
    """SIGTERM, which schedulers send before SIGKILL: handled as Ctrl-C is."""


@contextlib.contextmanager
def handling(handler: Any = None) -> Iterator[None]:
    """Handles Ctrl-C and SIGTERM by a handler while the block runs, then restores the previous handlers.

    Outside the main thread, where Python cannot set signal handlers, nothing is changed.

    Args:
        handler: As `signal.signal` takes it; None keeps the previous handlers until the block changes them.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        for number in before if handler is not None else ():
            signal.signal(number, handler)
        yield
    finally:
        for number, kept in before.items():
            signal.signal(number, kept)


class Interruption(contextlib.ExitStack):
    """Records Ctrl-C and SIGTERM, which `check` raises between steps; a context manager.

    An exception that a signal handler raises itself may surface in a destructor or a callback of a library, which
    swallow it, and the signal is lost. A second signal does raise at once. Outside the main thread, none is recorded.

    Args:
        agree: Takes the number of the received signal, or 0, and returns the number of the one to raise, or 0: of
            several processes that work together, one that any of them received.
    """

    def __init__(self, agree: Callable[[int], int] = lambda received: received) -> None:
        super().__init__()
        self._agree = agree

    def __enter__(self) -> Interruption:
        self._received = 0
        self.enter_context(handling(self._take))
        return self

    def _take(self, number: int, _frame) -> None:
        if self._received:
            raise _exception(number)
        self._received = number

    def check(self) -> None:
        """Raises KeyboardInterrupt if Ctrl-C was pressed, and `Terminated` if SIGTERM was received."""
        if received := self._agree(self._received):
            raise _exception(received)


def _exception(number: int) -> KeyboardInterrupt:
    return Terminated() if number == signal.SIGTERM else KeyboardInterrupt()
