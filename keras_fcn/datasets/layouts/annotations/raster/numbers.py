"""Coordinates of shapes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras_fcn.errors import DataError

_FAR, _SMALL = 10, 1000
"""Points this many image lengths outside, of 1,000 pixels at least, are a mistake: to draw them takes memory."""


def require_numbers(what: object, values: Sequence[Any], size: tuple[int, int]) -> None:
    """Raises DataError if coordinates are no numbers, or lie far outside the image.

    Args:
        what: The shape's kind, for the message.
        values: Its coordinates in pixels.
        size: Height and width of the image.
    """
    for value in values:
        if type(value) not in (int, float):
            raise DataError("shape", f"the coordinates of a {what} must be numbers. Received: {str(value)[:60]!r}")
        if not abs(value) <= _FAR * max(*size, _SMALL):  # NaN is not, either
            image = "x".join(map(str, size))
            raise DataError(
                "shape", f"a {what} has the coordinate {str(value)[:40]}, far outside the image of {image}; fix it"
            )


def shown_sum(numbers: Sequence[int]) -> str:
    """Returns a sum for a message: of more digits than Python writes, only that it is far too large."""
    total = sum(numbers)
    return str(total) if abs(total) < 1 << 63 else "far too many"
