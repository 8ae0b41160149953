"""Ctrl-C and SIGTERM during work that must not be left in the middle of a step."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any


class Terminated(KeyboardInterrupt):
    """SIGTERM, as schedulers send it before they kill: handled as Ctrl-C is."""


@contextlib.contextmanager
def handling(handler: Any = None) -> Iterator[None]:
    """Hands Ctrl-C and SIGTERM to a handler while the block runs, and to those before afterwards.

    Outside the main thread, where Python has no say in signals, nothing is changed.

    Args:
        handler: What `signal.signal` takes; None leaves those before, and takes back what the block changes.
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
    """Takes note of Ctrl-C and SIGTERM, for `check` to raise where it suits; a context manager.

    An exception raised by a signal's handler itself may come up anywhere, in a destructor or a callback of a library,
    too, where it is swallowed, and the signal is lost. A second signal does raise at once, for the impatient.
    Outside the main thread, nothing is noted.

    Args:
        agree: Gets the number of the signal that came, or 0, and returns the number of the one to raise, or 0: where
            several processes work together, one that came to any of them.
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
        """Raises KeyboardInterrupt if Ctrl-C was pressed, and `Terminated` if SIGTERM came."""
        if received := self._agree(self._received):
            raise _exception(received)


def _exception(number: int) -> KeyboardInterrupt:
    return Terminated() if number == signal.SIGTERM else KeyboardInterrupt()
