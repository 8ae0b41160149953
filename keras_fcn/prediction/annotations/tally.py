"""Pixels and bounding box of each class in a mask, which may be seen block by block."""

from __future__ import annotations

import numpy as np

from keras_fcn.images.classes import ClassTable


class Tally:
    """The number of pixels and the bounding box of each id in a mask.

    Attributes:
        pixels: The pixels of each id, int64 [256].
    """

    def __init__(self) -> None:
        self.pixels = np.zeros(256, np.int64)
        self._boxes: dict[int, tuple[int, int, int, int]] = {}  # left, top, right, bottom

    def add(self, ids: np.ndarray, top: int = 0, left: int = 0) -> None:
        """Adds a block of a mask.

        Args:
            ids: uint8 [rows, columns].
            top: Its first row in the mask.
            left: Its first column.
        """
        counts = np.bincount(ids.ravel(), minlength=256)
        self.pixels += counts
        for index in np.flatnonzero(counts).tolist():
            where = ids == index
            x, y = (np.flatnonzero(where.any(axis=axis)) for axis in (0, 1))
            box = left + int(x[0]), top + int(y[0]), left + int(x[-1]) + 1, top + int(y[-1]) + 1
            other = self._boxes.get(index, box)
            first, last = map(min, box[:2], other[:2]), map(max, box[2:], other[2:])
            self._boxes[index] = (*first, *last)  # type: ignore[assignment]

    def table(self, classes: ClassTable) -> list[dict]:
        """Returns pixel count, fraction of pixels and bounding box of each class that is there, by id.

        Args:
            classes: Names.

        Returns:
            "id", "name", "pixels", "share" (0-1) and "bounding_box" (x, y, width, height in pixels).
        """
        total, rows = int(self.pixels.sum()), []
        for index, name in enumerate(classes.names):
            if pixels := int(self.pixels[index]):
                left, top, right, bottom = self._boxes[index]
                box = [left, top, right - left, bottom - top]
                fraction = round(pixels / total, 6)
                rows.append({"id": index, "name": name, "pixels": pixels, "share": fraction, "bounding_box": box})
        return rows
