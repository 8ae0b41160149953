"""COCO's segmentations, drawn as pycocotools draws them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_fcn.datasets.layouts.annotations.raster.numbers import require_numbers, shown_sum
from keras_fcn.errors import DataError


def draw_coco(shapes: Sequence[tuple[int, Any]], size: tuple[int, int]) -> np.ndarray:
    """Draws segmentations over background, the later over the earlier.

    A polygon of several parts is their union; what lies in two of them is in it, too.

    Args:
        shapes: Class id, or 255, and COCO's `segmentation` of each: a list of polygons [x, y, x, y, ...], or run
            lengths {"size": [height, width], "counts": numbers or COCO's compressed text}.
        size: Height and width of the image.

    Returns:
        uint8 [H, W].

    Raises:
        DataError: If a polygon has fewer than three points or is no list of numbers, or run lengths are of another size
            or do not fill the image.
    """
    canvas = Canvas(size)
    for index, segmentation in shapes:
        canvas.paint(_run_lengths(segmentation, size), index)
    return canvas.ids


class Canvas:
    """Class ids of an image, painted by run lengths: that takes the time of the pixels inside, not of the image.

    Args:
        size: Height and width of the image.
    """

    def __init__(self, size: tuple[int, int]) -> None:
        self._size = size
        self._columns = np.zeros(size[0] * size[1], np.uint8)  # column after column, as run lengths go

    def paint(self, runs: np.ndarray, index: int) -> None:
        """Sets the pixels of every second run, down the columns, to a class id."""
        ends = np.cumsum(runs)
        starts, stops = ends[: len(ends) // 2 * 2 : 2], ends[1::2]
        lengths = stops - starts
        before = np.cumsum(lengths) - lengths
        self._columns[np.repeat(starts - before, lengths) + np.arange(lengths.sum())] = index

    def fill(self, polygon: Sequence[float], index: int) -> None:
        """Fills a polygon as pycocotools does.

        Args:
            polygon: Its points, x, y, x, y, ... in pixels from the image's upper left corner.
            index: The class id.

        Raises:
            DataError: If it has fewer than three points, is no list of numbers, or lies far outside the image.
        """
        self.paint(_run_lengths([list(polygon)], self._size), index)

    @property
    def pixels(self) -> np.ndarray:
        """The class ids as rows and columns, uint8 [H, W], which may be written to."""
        return self._columns.reshape(self._size[::-1]).T

    @property
    def ids(self) -> np.ndarray:
        """The class ids, uint8 [H, W]."""
        return np.ascontiguousarray(self.pixels)


def _run_lengths(segmentation: Any, size: tuple[int, int]) -> np.ndarray:
    """Returns the lengths of the runs of pixels down the columns, outside and inside in turn."""
    if isinstance(segmentation, dict):
        return _lengths_of_runs(segmentation, size)
    if not isinstance(segmentation, list) or not segmentation:
        raise DataError(
            "no segmentation",
            f"has no outline and no run lengths, but {_shown(segmentation)}; boxes alone are no masks: outline the "
            "object, or remove it",
        )
    if not isinstance(segmentation[0], list):  # one polygon that is not in a list
        segmentation = [segmentation]
    return _uncompressed(_merged(segmentation, size)["counts"])


def polygons_mask(polygons: Sequence[Sequence[float]], size: tuple[int, int]) -> np.ndarray:
    """Returns the union of polygons as pycocotools fills them, boolean [H, W].

    Args:
        polygons: The points of each, x, y, x, y, ... in pixels from the image's upper left corner.
        size: Height and width of the image.

    Raises:
        DataError: If a polygon has fewer than three points, is no list of numbers, or lies far outside the image.
    """
    from pycocotools import mask

    return mask.decode(_merged(polygons, size)).astype(bool)


def _merged(polygons: Sequence[Any], size: tuple[int, int]) -> dict[str, Any]:
    from pycocotools import mask

    for polygon in polygons:
        _require_polygon(polygon, size)
    return mask.merge(mask.frPyObjects(list(polygons), *size))


def _require_polygon(polygon: Any, size: tuple[int, int]) -> None:
    if not isinstance(polygon, list):
        raise DataError("polygon", f"a polygon must be a list of numbers x, y, ... Received: {_shown(polygon)}")
    if len(polygon) < 6 or len(polygon) % 2:
        count = f"{len(polygon) // 2} points" if len(polygon) % 2 == 0 else f"{len(polygon)} numbers"
        raise DataError("polygon", f"a polygon has {count}, but needs three points, x and y of each; fix or remove it")
    require_numbers("polygon", polygon, size)


def _lengths_of_runs(segmentation: dict, size: tuple[int, int]) -> np.ndarray:
    said, counts = segmentation.get("size"), segmentation.get("counts")
    if said != [*size]:
        what = f"run lengths are of the size {_shown(said)}, but the image is {[*size]} (height, width)"
        raise DataError("run lengths", f"{what}; export them again")
    numbers = _uncompressed(counts.encode(errors="surrogatepass")).tolist() if isinstance(counts, str) else counts
    if not isinstance(numbers, list) or not numbers or not all(type(each) is int and each >= 0 for each in numbers):
        raise DataError(
            "run lengths", f"run lengths must be numbers from 0, or COCO's text. Received: {_shown(counts)}"
        )
    if sum(numbers) != size[0] * size[1]:
        what = f"run lengths sum to {shown_sum(numbers)} pixels, but the image has {size[0] * size[1]}"
        raise DataError("run lengths", f"{what}; export them again")
    return np.array(numbers)


def _uncompressed(text: bytes) -> np.ndarray:
    """Returns the run lengths in COCO's text, int64; none if it is no such text.

    Each length but the first three is written as the difference to the one before the last, five bits a character from
    the lowest, least first; the sixth bit says that more follow, the fifth of the last is the sign.
    """
    codes = np.frombuffer(text, np.uint8).astype(np.int64) - 48
    if codes.size == 0 or codes.min() < 0 or codes.max() > 63 or codes[-1] & 32:
        return np.zeros(0, np.int64)
    ends = np.flatnonzero(codes & 32 == 0)
    starts = np.concatenate([[0], ends[:-1] + 1])
    widths = ends - starts + 1
    if widths.max() > 12:  # 60 bits
        return np.zeros(0, np.int64)
    places = np.arange(codes.size) - np.repeat(starts, widths)
    values = np.add.reduceat((codes & 31) << (5 * places), starts)
    values -= ((codes[ends] & 16) >> 4) << (5 * widths)
    values[1::2] = np.cumsum(values[1::2])
    values[2::2] = np.cumsum(values[2::2])
    return values


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
