"""What a harness is: a parser, what must hold of it for all bytes, and inputs to begin with."""

import contextlib
import dataclasses
import functools
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from changes import of_bytes

from keras_fcn.errors import UserError
from keras_fcn.system.command_line import as_options


@dataclasses.dataclass(frozen=True)
class Harness:
    """A parser and its property.

    Attributes:
        states: The property, in words.
        seeds: Returns small valid inputs.
        check: Raises unless the property holds for these bytes.
        mutate: Makes other inputs of one.
        seconds: The most processor time of an input.
        mebibytes: By how much an input may at most raise the memory of the process.
    """

    states: str
    seeds: Callable[[], list[bytes]]
    check: Callable[[bytes], None]
    mutate: Callable = of_bytes
    seconds: float = 5
    mebibytes: float = 256

    def __call__(self, data: bytes) -> None:
        """Raises AssertionError, or what should not have been raised, if the property does not hold within the bounds.

        These do not hold for the first seeds, with which libraries are imported: `check` them before.
        """
        REFUSED.clear()
        began, memory = time.process_time(), _peak()
        self.check(data)
        seconds, mebibytes = time.process_time() - began, _peak() - memory
        assert seconds <= self.seconds, f"took {seconds:.1f} s"
        assert mebibytes <= self.mebibytes, f"took {mebibytes:.0f} MiB"


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20 if sys.platform == "darwin" else 1 << 10)


@functools.cache
def _folder() -> tempfile.TemporaryDirectory:
    return tempfile.TemporaryDirectory(prefix="keras_fcn_fuzz")


def scratch(name: str) -> Path:
    """Returns a folder for a harness's files, which is removed when the process ends."""
    path = Path(_folder().name) / name
    path.mkdir(parents=True, exist_ok=True)
    return path


def require_line(error: Exception) -> None:
    """Asserts that an error is a line that a terminal can show."""
    for text in (str(error), as_options(error) if isinstance(error, UserError) else ""):
        assert not any(ord(letter) < 32 or 127 <= ord(letter) < 160 for letter in text), ascii(text)


REFUSED: list[Exception] = []
"""The answers to inputs that were refused since it was cleared."""


@contextlib.contextmanager
def refused_in_a_line(errors=UserError):
    """Takes these errors, and nothing else, as an answer."""
    try:
        yield
    except errors as error:
        REFUSED.append(error)
        require_line(error)
