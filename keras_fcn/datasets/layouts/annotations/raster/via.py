"""VGG Image Annotator's regions, drawn as its COCO export means them: all as polygons, filled by pycocotools."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_fcn.datasets.layouts.annotations.raster.coco import draw_coco
from keras_fcn.datasets.layouts.annotations.raster.numbers import require_numbers
from keras_fcn.errors import DataError

AREAS = {
    "polygon": ("all_points_x", "all_points_y"),
    "rect": ("x", "y", "width", "height"),
    "circle": ("cx", "cy", "r"),
    "ellipse": ("cx", "cy", "rx", "ry", "theta"),
}
"""The shapes that are areas, each with the attributes that say where it is."""

_STEP = 5
"""Degrees between two points of the polygon that VIA makes of a circle or an ellipse, whose radii it also rounds to
thousandths."""


def draw_via(shapes: Sequence[tuple[int, dict[str, Any]]], size: tuple[int, int]) -> np.ndarray:
    """Draws regions over background, the later over the earlier.

    Args:
        shapes: Class id, or 255, and the `shape_attributes` of each region: its `name`, one of `AREAS`, and numbers.
        size: Height and width of the image.

    Returns:
        uint8 [H, W].

    Raises:
        DataError: If an attribute is missing or no number, or a polygon has fewer than three points.
    """
    return draw_coco([(index, [_outline(shape, size)]) for index, shape in shapes], size)


def _outline(shape: dict[str, Any], size: tuple[int, int]) -> list[float]:
    kind = shape["name"]
    if kind == "polygon":
        return _points(shape, size)
    values: list[Any] = [shape.get(key) for key in AREAS[kind] if key != "theta"]
    turn = shape.get("theta", 0)
    require_numbers(kind, [*values, turn], size)
    x, y, *sides = values
    if min(sides) < 0:
        raise DataError("shape", f"a {kind} has a side or radius of {min(sides)}, but takes positive ones; remove it")
    if kind == "rect":
        right, bottom = (place + int(side) for place, side in zip((x, y), sides))
        return [x, y, right, y, right, bottom, x, bottom]
    across, down = sides[0], sides[-1]
    cosine, sine = math.cos(turn), math.sin(turn)
    outline: list[float] = []
    for degrees in range(0, 360, _STEP):
        along, beside = across * math.cos(math.radians(degrees)), down * math.sin(math.radians(degrees))
        outline += [round(x + along * cosine - beside * sine, 3), round(y + along * sine + beside * cosine, 3)]
    return outline


def _points(shape: dict[str, Any], size: tuple[int, int]) -> list[float]:
    columns, rows = (shape.get(key) for key in AREAS["polygon"])
    if not isinstance(columns, list) or not isinstance(rows, list) or len(columns) != len(rows):
        raise DataError(
            "shape", f"a polygon needs as many all_points_x as all_points_y. Received: {columns!s:.30} and {rows!s:.30}"
        )
    return [value for point in zip(columns, rows) for value in point]
