"""Label Studio's regions, drawn as its converter's exports mean them: outlines as COCO polygons, brushes by alpha."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_fcn.datasets.layouts.annotations.raster.coco import Canvas
from keras_fcn.datasets.layouts.annotations.raster.numbers import require_numbers
from keras_fcn.errors import DataError

_CHANNELS, _WORD = 4, 8


def draw_label_studio(shapes: Sequence[tuple[int, dict[str, Any]]], size: tuple[int, int]) -> np.ndarray:
    """Draws regions over background, the later over the earlier.

    Polygons and rectangles are filled as pycocotools fills them, which reads Label Studio's COCO export. An ellipse
    holds the pixels whose centres lie in it; a brush those of any alpha.

    Args:
        shapes: Class id, or 255, and the `value` of each region: points of a polygon, x, y, width and height of a
            rectangle, x, y, radiusX and radiusY of an ellipse, all in percent of width and height; or the bytes of an
            rle.
        size: Height and width of the image.

    Returns:
        uint8 [H, W].

    Raises:
        DataError: If a region is none of these, its coordinates are no numbers, or an rle is not of the image's size.
    """
    canvas = Canvas(size)
    for index, value in shapes:
        region = _region(value, size)
        if isinstance(region, list):
            canvas.fill(region, index)
        else:
            canvas.pixels[region] = index
    return canvas.ids


def _region(value: dict[str, Any], size: tuple[int, int]) -> list[float] | np.ndarray:
    """Returns the outline of a region in pixels, x, y, x, y, ..., or its pixels, boolean [H, W]."""
    height, width = size
    if "rle" in value:
        return brush(value["rle"], size)
    if "points" in value:
        points = value["points"]
        if not isinstance(points, list) or not all(isinstance(point, list) and len(point) == 2 for point in points):
            raise DataError("shape", f"the points of a polygon must be pairs of percents. Received: {str(points)[:60]}")
        require_numbers("polygon", [number for point in points for number in point], (100, 100))
        return [each for x, y in points for each in (x / 100 * width, y / 100 * height)]
    is_ellipse = "radiusX" in value
    keys = ("x", "y", "radiusX", "radiusY") if is_ellipse else ("x", "y", "width", "height")
    numbers: list[Any] = [value.get(key) for key in keys]
    turn = value.get("rotation") or 0
    require_numbers("ellipse" if is_ellipse else "rectangle", [*numbers, turn], (100, 100))
    x, y, across, down = (number / 100 * side for number, side in zip(numbers, (width, height) * 2))
    cosine, sine = math.cos(math.radians(turn)), math.sin(math.radians(turn))
    if not is_ellipse:  # which turns around its upper left corner
        corners = ((0.0, 0.0), (across, 0.0), (across, down), (0.0, down))
        return [each for a, b in corners for each in (x + a * cosine - b * sine, y + a * sine + b * cosine)]
    if not (across > 0 and down > 0):
        raise DataError(
            "shape", f"an ellipse has the radii {across:g} and {down:g}, but takes positive ones; remove it"
        )
    rows, columns = np.mgrid[:height, :width] + 0.5
    along = (columns - x) * cosine + (rows - y) * sine
    beside = (rows - y) * cosine - (columns - x) * sine
    return (along / across) ** 2 + (beside / down) ** 2 <= 1


def brush(rle: Any, size: tuple[int, int]) -> np.ndarray:
    """Returns the pixels of a brush that are not transparent, boolean [H, W].

    An rle has 32 bits for the number of values, five for the bits of a value, four times four for the bits of lengths,
    each less one; then runs: a bit that says whether one value is repeated, two that choose the bits of the length, the
    length less one, and the value or values. Values are those of RGBA.

    Args:
        rle: Bytes as a list of numbers.
        size: Height and width of the image.

    Raises:
        DataError: If it is no such list, or its pixels are more or less than the image's.
    """
    if not isinstance(rle, list) or not all(type(value) is int and 0 <= value <= 255 for value in rle):
        raise DataError("run lengths", f"a brush must be a list of bytes. Received: {str(rle)[:60]}")
    reader = _Bits(np.array(rle, np.uint8))
    total, word = reader.read(32), reader.read(5) + 1
    wanted = size[0] * size[1] * _CHANNELS
    if total != wanted or word != _WORD:
        raise DataError(
            "run lengths", f"a brush has {total} values of {word} bits, but the image takes {wanted} of {_WORD}"
        )
    lengths = [reader.read(4) + 1 for _ in range(4)]
    values, place = np.zeros(total, np.uint8), 0
    while place < total:
        is_run = reader.read(1)
        end = place + 1 + reader.read(lengths[reader.read(2)])
        if end > total:
            raise DataError("run lengths", f"the runs of a brush are longer than the image, by {end - total} values")
        values[place:end] = reader.read(_WORD) if is_run else reader.bytes(end - place)
        place = end
    return values.reshape(*size, _CHANNELS)[..., -1] > 0


class _Bits:
    """Reads numbers from bytes, bit by bit."""

    def __init__(self, content: np.ndarray) -> None:
        self._bits = np.unpackbits(content)
        self._text = (self._bits + ord("0")).tobytes()
        self._place = 0

    def read(self, count: int) -> int:
        return int(self._text[self._taken(count)], 2)

    def bytes(self, count: int) -> np.ndarray:
        return np.packbits(self._bits[self._taken(_WORD * count)])

    def _taken(self, count: int) -> slice:
        place, self._place = self._place, self._place + count
        if self._place > len(self._bits):
            raise DataError("run lengths", "the runs of a brush end before the image does; export it again")
        return slice(place, self._place)
