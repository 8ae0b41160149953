"""labelme's shapes, drawn as its own `shapes_to_label` draws them, with Pillow."""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from PIL import Image, ImageDraw

from keras_fcn.datasets.layouts.annotations.raster.numbers import require_numbers
from keras_fcn.errors import DataError
from keras_fcn.images.pillow import opened

_LINE_WIDTH, _POINT_RADIUS = 10, 5
"""labelme's own, in pixels."""

_POINTS = {
    "polygon": (3, None), "rectangle": (2, 2), "circle": (2, 2), "line": (2, 2), "linestrip": (2, None),
    "point": (1, 1), "oriented_rectangle": (4, 4), "mask": (2, 2),
}  # fmt: skip
"""The least and the greatest number of points of each type of shape."""


_CURVED, _ROUNDED = (7, 0), (7, 1)
"""Versions since which linestrips have round joints, and masks between fractions of pixels begin at the nearest one."""


def draw_labelme(
    shapes: Sequence[tuple[int, Any, Any, Any, tuple[int, int]]], size: tuple[int, int]
) -> np.ndarray:  # fmt: skip
    """Draws shapes over background, the later over the earlier.

    Args:
        shapes: Class id, or 255, of each, labelme's `shape_type`, `points` and `mask`, and the version of labelme that
            wrote it. Without a type it is a polygon; a circle is its centre and a point on it; a mask is a PNG in
            base64, between its two points.
        size: Height and width of the image.

    Returns:
        uint8 [H, W].

    Raises:
        DataError: If a type is unknown, has another number of points, or a mask is no PNG of the size of its box.
    """
    image = Image.new("L", size[::-1])
    draw = ImageDraw.Draw(image)
    for index, kind, points, mask, version in shapes:
        kind = kind or "polygon"
        _require_points(kind, points, size)
        if kind == "mask":
            place, stencil = _placed(mask, points, version)
            image.paste(index, place, stencil)
        else:
            _draw(draw, kind, [tuple(point) for point in points], index, version)
    return np.asarray(image)


def _require_points(kind: object, points: Any, size: tuple[int, int]) -> None:
    if not isinstance(kind, str) or kind not in _POINTS:
        raise DataError("shape", f"has a shape of the type {kind!r}; there are {', '.join(_POINTS)}")
    if not isinstance(points, list) or not all(isinstance(point, list) and len(point) == 2 for point in points):
        raise DataError("shape", f"the points of a {kind} must be pairs of numbers. Received: {str(points)[:60]}")
    least, most = _POINTS[kind]
    if len(points) < least or (most is not None and len(points) > most):
        needed = f"{least}" if least == most else f"{least} at least"
        raise DataError("shape", f"has a {kind} of {len(points)} points, but it takes {needed}; fix or remove it")
    require_numbers(kind, [value for point in points for value in point], size)


def _draw(
    draw: ImageDraw.ImageDraw, kind: str, points: list[tuple[float, ...]], index: int, version: tuple[int, int]
) -> None:
    (x, y), (x2, y2) = points[0], points[-1]
    if kind == "circle":
        radius = math.sqrt((x - x2) ** 2 + (y - y2) ** 2)
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), outline=index, fill=index)
    elif kind == "point":
        draw.ellipse(
            (x - _POINT_RADIUS, y - _POINT_RADIUS, x + _POINT_RADIUS, y + _POINT_RADIUS), outline=index, fill=index
        )
    elif kind == "rectangle":
        draw.rectangle((min(x, x2), min(y, y2), max(x, x2), max(y, y2)), outline=index, fill=index)
    elif kind in ("line", "linestrip"):
        joint: Literal["curve"] | None = "curve" if kind == "linestrip" and version >= _CURVED else None
        draw.line(points, fill=index, width=_LINE_WIDTH, joint=joint)
    else:
        draw.polygon(points, outline=index, fill=index)


def _placed(mask: object, points: list, version: tuple[int, int]) -> tuple[tuple[int, int], Image.Image]:
    """Returns the upper left corner of a mask, and its pixels as a stencil for `Image.paste`."""
    pixels = _decoded(mask)
    if version >= _ROUNDED and any(value != int(value) for point in points for value in point):
        (left, top), (height, width) = map(round, points[0]), pixels.shape
    else:
        (left, top), (right, bottom) = (map(int, point) for point in points)
        height, width = bottom - top + 1, right - left + 1
    if min(height, width) < 1:
        raise DataError("shape", f"has a mask in a box without pixels, {str(points)[:60]}; fix it")
    if pixels.shape[0] < height or pixels.shape[1] < width:
        found = "x".join(map(str, pixels.shape))
        raise DataError("shape", f"has a mask of {found} pixels in a box of {height}x{width} (height x width); fix it")
    return (left, top), Image.fromarray((pixels[:height, :width] > 0).astype(np.uint8) * 255)


def _decoded(mask: object) -> np.ndarray:
    try:
        content = base64.b64decode(mask if isinstance(mask, str) else "")
    except binascii.Error:
        content = b""
    with opened("a mask", content) as image:
        pixels = np.asarray(image)
    if pixels.ndim != 2:
        raise DataError("shape", f"has a mask of {pixels.ndim} dimensions, in colour; a mask must be grey")
    return pixels
