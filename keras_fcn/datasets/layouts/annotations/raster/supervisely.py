"""Supervisely's figures, drawn as its own SDK draws them, with OpenCV."""

from __future__ import annotations

import base64
import binascii
import math
import zlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from keras_fcn.datasets.layouts.annotations.raster.numbers import require_numbers
from keras_fcn.datasets.layouts.annotations.raster.opencv import opencv
from keras_fcn.errors import DataError
from keras_fcn.images.pillow import opened

AREAS = ("bitmap", "polygon", "multipolygon", "rectangle")
"""The figures that are areas."""

_MOST = 1 << 28
"""Bytes that the PNG of a bitmap may take."""

Ring = list[list[int]]
Polygon = tuple[Ring, list[Ring]]


def draw_supervisely(shapes: Sequence[tuple[int, str, Mapping[str, Any]]], size: tuple[int, int]) -> np.ndarray:
    """Draws figures over background, the later over the earlier.

    Coordinates are cut to whole pixels. Outlines belong to a polygon, and those of its holes to the holes. A rectangle
    holds both its corners. A bitmap is a PNG of pixels, of which any but 0, or any alpha, are set.

    Args:
        shapes: Class id, or 255, one of `AREAS`, and the figure, with `points` of an `exterior` and an `interior`, with
            `parts` of such, or with a `bitmap` of `origin` and `data`.
        size: Height and width of the image.

    Returns:
        uint8 [H, W].

    Raises:
        DataError: If a polygon has fewer than three points, coordinates are no numbers, or a bitmap is no PNG or leaves
            the image.
        UserError: If OpenCV is of a version that fills other pixels.
    """
    ids = np.zeros(size, np.uint8)
    for index, kind, figure in shapes:
        if kind == "bitmap":
            (top, left), pixels = _placed(figure.get("bitmap"), size)
            ids[top : top + pixels.shape[0], left : left + pixels.shape[1]][pixels] = index
        elif kind == "rectangle":
            (left, top), (right, bottom) = _rectangle(figure.get("points"), size)
            ids[max(top, 0) : max(bottom + 1, 0), max(left, 0) : max(right + 1, 0)] = index
        else:
            parts = figure.get("parts") if kind == "multipolygon" else [figure.get("points")]
            if not isinstance(parts, list) or not parts:
                raise DataError("shape", f"a {kind} has no parts, but {parts!s:.40}; draw it again")
            for exterior, interior in _inside([_polygon(kind, part, size) for part in parts], size):
                ids[_filled(exterior, interior, size)] = index
    return ids


def _filled(exterior: Ring, interior: Sequence[Ring], size: tuple[int, int]) -> np.ndarray:
    cv2, mask = opencv(), np.zeros(size, np.uint8)
    cv2.fillPoly(mask, [np.array(exterior, np.int32)], 1)
    cv2.fillPoly(mask, [np.array(ring, np.int32) for ring in interior], 0)
    return mask.astype(bool)


def _polygon(kind: str, points: Any, size: tuple[int, int]) -> Polygon:
    if not isinstance(points, dict) or not isinstance(points.get("interior", []), list):
        raise DataError("shape", f"a {kind} needs an exterior and an interior. Received: {points!s:.60}")
    return _ring(kind, points.get("exterior"), size), [_ring(kind, ring, size) for ring in points.get("interior", [])]


def _ring(kind: str, ring: Any, size: tuple[int, int], least: int = 3) -> Ring:
    if not isinstance(ring, list) or not all(isinstance(point, list) and len(point) == 2 for point in ring):
        raise DataError("shape", f"the points of a {kind} must be pairs of numbers. Received: {ring!s:.60}")
    if len(ring) < least:
        raise DataError("polygon", f"a {kind} has {len(ring)} points, but needs {least}; fix or remove it")
    require_numbers(kind, [value for point in ring for value in point], size)
    return [[math.floor(value) for value in point] for point in ring]


def _rectangle(points: Any, size: tuple[int, int]) -> tuple[Sequence[int], Sequence[int]]:
    """Returns a rectangle's upper left and lower right corner, x and y of each."""
    corners = _ring("rectangle", points.get("exterior") if isinstance(points, dict) else points, size, 2)
    if len(corners) != 2:
        raise DataError("shape", f"a rectangle has {len(corners)} points, but takes 2; fix or remove it")
    (left, right), (top, bottom) = (sorted(sides) for sides in zip(*corners))
    return (left, top), (right, bottom)


def _inside(polygons: list[Polygon], size: tuple[int, int]) -> Iterator[Polygon]:
    """Yields polygons, or if one leaves the image the parts of all inside, corners rounded as by the SDK."""
    height, width = size
    if all(0 <= x < width and 0 <= y < height for exterior, _ in polygons for x, y in exterior):
        yield from polygons
        return
    import shapely

    window = shapely.box(0, 0, height - 1, width - 1)
    for exterior, interior in polygons:
        whole = shapely.Polygon(_flipped(exterior), [_flipped(ring) for ring in interior])
        found = whole.buffer(0).intersection(window)
        for part in getattr(found, "geoms", [found]):
            if part.geom_type == "Polygon" and not part.is_empty:
                yield _rounded(part.exterior), [_rounded(ring) for ring in part.interiors]


def _flipped(ring: Ring) -> list[tuple[int, int]]:
    return [(y, x) for x, y in ring]


def _rounded(ring: Any) -> Ring:
    return [[round(x), round(y)] for y, x in ring.coords]


def _placed(bitmap: Any, size: tuple[int, int]) -> tuple[tuple[int, int], np.ndarray]:
    """Returns row and column of a bitmap's upper left corner, and the pixels that it sets in the image."""
    bitmap = bitmap if isinstance(bitmap, dict) else {}
    ((left, top),) = _ring("bitmap", [bitmap.get("origin")], size, 1)
    pixels = _decoded(bitmap.get("data"))
    inside = pixels[max(-top, 0) : max(size[0] - top, 0), max(-left, 0) : max(size[1] - left, 0)]
    return (max(top, 0), max(left, 0)), inside


def _decoded(data: object) -> np.ndarray:
    try:
        packed = base64.b64decode(data if isinstance(data, str) else "")
        content = zlib.decompressobj().decompress(packed, _MOST)
    except (binascii.Error, ValueError, zlib.error):
        content = b""
    with opened("a bitmap", content) as image:
        if "transparency" in image.info or image.mode in ("LA", "RGBA"):
            return np.asarray(image.convert("RGBA"))[..., 3] > 0
        if image.mode not in ("1", "L"):
            raise DataError("shape", f"a bitmap must be a grey PNG, or have alpha. Received: {image.mode}")
        return np.asarray(image) > 0
