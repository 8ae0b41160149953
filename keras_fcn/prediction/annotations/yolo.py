"""A mask's objects as YOLO's labels of polygons."""

from __future__ import annotations

import numpy as np
import yaml

from keras_fcn.datasets.layouts.annotations.raster.yolo import draw_yolo
from keras_fcn.images.classes import ClassTable
from keras_fcn.prediction.annotations.mask.outlines import Ring, Rule, outlined
from keras_fcn.prediction.annotations.style import AnnotationStyle


def _fractions(ring: Ring, size: tuple[int, int]) -> list[float]:
    """Returns the middles of pixels as fractions of width and height, of three points at least.

    Ultralytics cuts them to whole pixels.
    """
    points = np.concatenate([ring, np.repeat(ring[:1], max(0, 3 - len(ring)), axis=0)])
    return ((points + 0.5) / size[::-1]).ravel().tolist()


ULTRALYTICS = Rule(True, lambda rings, size: draw_yolo([(1, _fractions(ring, size)) for ring in rings], size) > 0)
"""Polygons as Ultralytics fills them, by OpenCV: their outlines belong to them."""


def yolo(ids: np.ndarray, classes: ClassTable, tolerance: float = 1) -> str:
    """Returns the lines of one image's labels: the number of a class, without background, and a polygon.

    Objects with holes become several polygons.

    Args:
        ids: Class ids uint8 [H, W] of the image as displayed.
        classes: The class table.
        tolerance: In pixels; 0 keeps every pixel.
    """
    numbers = {index: number for number, index in enumerate(_indices(classes))}
    lines = []
    for each, rings in outlined(ids, classes, ULTRALYTICS, tolerance):
        for ring in rings:
            values = _fractions(ring, ids.shape)
            lines.append(" ".join([str(numbers[each.index]), *(f"{value:.7g}" for value in values)]))
    return "".join(f"{line}\n" for line in lines)


def data_yaml(classes: ClassTable, style: AnnotationStyle) -> bytes:
    """Returns data.yaml, which names the classes of labels/, and images/ as the place of their images."""
    names = {number: classes.names[index] for number, index in enumerate(_indices(classes))}
    return yaml.safe_dump(
        {"train": "images", "val": "images", "names": names}, allow_unicode=True, sort_keys=False
    ).encode()


def _indices(classes: ClassTable) -> list[int]:
    return [index for index in range(classes.num_classes) if index != classes.background]
