"""YOLO's polygons, drawn as Ultralytics draws them for semantic segmentation, with OpenCV."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from keras_fcn.datasets.layouts.annotations.raster.opencv import opencv


def draw_yolo(shapes: Sequence[tuple[int, Sequence[float]]], size: tuple[int, int]) -> np.ndarray:
    """Draws polygons over background, those of less pixels over those of more.

    Coordinates are cut to whole pixels, and outlines belong to a polygon. What a polygon covers twice is
    outside. Of two polygons of the same number of pixels, the later lies on top.

    Args:
        shapes: Class id, or 255, and points x, y, x, y, ... of each in fractions of width and height.
        size: Height and width of the image.

    Returns:
        uint8 [H, W].

    Raises:
        UserError: If OpenCV is of a version that fills other pixels.
    """
    cv2 = opencv()
    scale = np.array(size[::-1], np.float32)
    polygons = [(np.array(points, np.float32).reshape(-1, 2) * scale).astype(np.int32) for _, points in shapes]
    pixels = [int(cv2.fillPoly(np.zeros(size, np.uint8), [polygon], 1).sum()) for polygon in polygons]
    ids = np.zeros(size, np.uint8)
    for place in sorted(range(len(shapes)), key=lambda place: -pixels[place]):
        cv2.fillPoly(ids, [polygons[place]], shapes[place][0])
    return ids
