"""Coordinates of shapes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from keras_fcn.errors import DataError

_FAR = 10
"""Points this many image lengths outside are taken for a mistake: drawing them takes time and memory by distance."""


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
        if not math.isfinite(value) or abs(value) > _FAR * max(size):
            image = "x".join(map(str, size))
            raise DataError("shape", f"a {what} has the coordinate {value}, far outside the image of {image}; fix it")
