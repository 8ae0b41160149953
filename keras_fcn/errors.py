"""Errors that a user can fix."""

import collections
import contextlib
import re
from collections.abc import Iterable, Iterator
from pathlib import PurePath

MARK = "\0"
"""Encloses what `argument` returns; neither file names nor words of a command line can hold it."""


def argument(name: str, value: object = None) -> str:
    """Returns how an error names an argument of the library: "tile", or with a value "tile=(64, 64)".

    It is marked: `UserError` removes the marks, the command line replaces it by an option.

    Args:
        name: The argument's name.
        value: A string, path, number, bool or tuple of these; none if None.
    """
    value = str(value) if isinstance(value, PurePath) else value
    return f"{MARK}{name}{MARK}" if value is None else f"{MARK}{name}={value!r}{MARK}"


_MARKED = re.compile(rf"{MARK}(\w[\w.-]*(?:=[^{MARK}]*)?){MARK}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
"""Letters that end a line, move a terminal's cursor, or turn text round."""


def _escaped(found: re.Match[str]) -> str:
    return ascii(found[0])[1:-1]


class _LineError(Exception):
    """An error of one line, which names arguments by `argument`; what it quotes of a file cannot make it two.

    Attributes:
        marked: The line with its marks; `f"{path}: {error.marked}"` keeps them in a line made of another.
        is_told: Whether the other workers of a training know of it, or find it themselves.
    """

    is_told = False

    def __init__(self, message: str) -> None:
        parts = [_CONTROL.sub(_escaped, part) for part in _MARKED.split(message)]
        super().__init__("".join(parts))
        self.marked = "".join(f"{MARK}{part}{MARK}" if place % 2 else part for place, part in enumerate(parts))


class UserError(_LineError, ValueError):
    """A mistake in what the user gave: one line that says what, where, the value received and the fix.

    The library speaks Python, the command line speaks options. Where the line names an argument, `argument` writes it:
    `f"{argument('fps')} must be greater than 0. Received: {fps}"` reads "fps must be ..." in Python and "--fps must
    be ..." on a command line, `argument("tile", (64, 64))` reads "tile=(64, 64)" and "--tile 64 64". Nothing else in
    the line is changed.

    Args:
        message: The line.
    """


class LostWorkerError(_LineError, RuntimeError):
    """Another worker of this training has ended or failed: one line that says so, and how to resume."""


class UnfitSettingsError(UserError):
    """Settings with which a training cannot go on, though it may with others: the loss diverges, or memory ends."""


class NoSpaceError(UserError):
    """A full disk, on which nothing else can be written either."""


class DataError(UserError):
    """A fault in a file of a data set.

    Args:
        kind: The kind of fault, such as "unknown colour", for counting.
        message: The line for the user; it begins with the file.
        is_fatal: Whether training must not start before it is fixed.
        count: The number of files that have it.
    """

    def __init__(self, kind: str, message: str, is_fatal: bool = True, count: int = 1) -> None:
        super().__init__(message)
        self.kind = kind
        self.is_fatal = is_fatal
        self.count = count


class Remark(DataError):  # noqa: N818 -- it is listed, never raised
    """What somebody should look at in a data set that is read nevertheless; no file is left out.

    Args:
        kind: As for `DataError`.
        message: The line for the user; it begins with the first file that it is about.
        count: The number of files that it is about.
    """

    def __init__(self, kind: str, message: str, count: int = 1) -> None:
        super().__init__(kind, message, is_fatal=False, count=count)


@contextlib.contextmanager
def about(source: object, after: str = "") -> Iterator[None]:
    """Puts `source` before the message of a `UserError` that the block raises, and `after` behind it."""
    try:
        yield
    except UserError as error:
        raise UserError(f"{source}: {error.marked}{after}") from None


def first_of_each_kind(remarks: Iterable[Remark]) -> list[Remark]:
    """Returns the first remark of each kind, with the number of other images that have the same."""
    first: dict[str, Remark] = {}
    counts = collections.Counter[str]()
    for remark in remarks:
        first.setdefault(remark.kind, remark)
        counts[remark.kind] += remark.count
    more = {kind: f" (and {count - 1} more image{'s' * (count > 2)})" for kind, count in counts.items() if count > 1}
    return [Remark(kind, remark.marked + more.get(kind, ""), counts[kind]) for kind, remark in first.items()]
