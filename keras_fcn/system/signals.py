"""Ctrl-C and SIGTERM during work that must not be left in the middle of a step."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable


class Terminated(KeyboardInterrupt):
    """SIGTERM, as schedulers send it before they kill: handled as Ctrl-C is."""


class Interruption:
    """Takes note of Ctrl-C and SIGTERM, for `check` to raise where it suits; a context manager.

    An exception raised by a signal's handler itself may come up anywhere, in a destructor or a callback of a library,
    too, where it is swallowed, and the signal is lost. A second signal does raise at once, for the impatient.
    Outside the main thread, where Python has no say in signals, nothing is noted.

    Args:
        agree: Gets the number of the signal that came, or 0, and returns the number of the one to raise, or 0: where
            several processes work together, one that came to any of them.
    """

    def __init__(self, agree: Callable[[int], int] = lambda received: received) -> None:
        self._agree = agree

    def __enter__(self) -> Interruption:
        self._received = 0
        self._before = {}
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._take) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *_) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

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
