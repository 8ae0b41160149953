"""CVAT's shapes, drawn as Datumaro, whose exporter is behind CVAT's masks, draws them; ellipses as CVAT itself does."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from keras_fcn.datasets.layouts.annotations.raster.coco import Canvas
from keras_fcn.datasets.layouts.annotations.raster.numbers import require_numbers, shown_sum
from keras_fcn.errors import DataError

AREAS = {
    "polygon": ("points",),
    "box": ("xtl", "ytl", "xbr", "ybr", "rotation"),
    "ellipse": ("cx", "cy", "rx", "ry", "rotation"),
    "mask": ("left", "top", "width", "height", "rle"),
}
"""The shapes that are areas, each with the attributes that say where it is."""


def draw_cvat(shapes: Sequence[tuple[int, str, Mapping[str, str]]], size: tuple[int, int]) -> np.ndarray:
    """Draws shapes over background, the later over the earlier.

    Polygons and boxes, also turned ones, are filled as pycocotools fills them, with coordinates in single precision and
    rounded to hundredths; ellipses as OpenCV fills them, with centre and radii rounded to pixels.

    Args:
        shapes: Class id, or 255, one of `AREAS`, and its attributes.
        size: Height and width of the image.

    Returns:
        uint8 [H, W].

    Raises:
        DataError: If an attribute is missing or no number, a polygon has fewer than three points, or a mask is not of
            its box or leaves the image.
    """
    canvas = Canvas(size)
    for index, kind, attributes in shapes:
        if kind == "mask":
            (top, left), pixels = _placed(attributes, size)
            canvas.pixels[top : top + pixels.shape[0], left : left + pixels.shape[1]][pixels] = index
        elif kind == "ellipse":
            canvas.pixels[_ellipse(attributes, size)] = index
        else:
            canvas.fill(_polygon(attributes, size) if kind == "polygon" else _box(attributes, size), index)
    return canvas.ids


def _polygon(attributes: Mapping[str, str], size: tuple[int, int]) -> list[float]:
    pairs = [pair.split(",") for pair in attributes.get("points", "").split(";")]
    if not all(len(pair) == 2 for pair in pairs):
        raise DataError("shape", f"a polygon needs points x,y;x,y;... Received: {attributes.get('points', '')[:60]!r}")
    return _rounded(_numbers("polygon", [value for pair in pairs for value in pair], size))


def _box(attributes: Mapping[str, str], size: tuple[int, int]) -> list[float]:
    *corners, turn = _numbers("box", [attributes.get(key, "") for key in AREAS["box"][:4]] + [_turn(attributes)], size)
    left, top, right, bottom = corners
    if not turn:
        (left, right), (top, bottom) = (sorted(_rounded(sides)) for sides in ((left, right), (top, bottom)))
        return [left, top, right, top, right, bottom, left, bottom]
    x, y, width, height, turn = _rounded([(left + right) / 2, (top + bottom) / 2, right - left, bottom - top, turn])
    cosine, sine = math.cos(math.radians(turn)), math.sin(math.radians(turn))
    signs = ((-1, -1), (1, -1), (1, 1), (-1, 1))
    around = [(across * width / 2, down * height / 2) for across, down in signs]
    turned = [(cosine * across - sine * down + x, sine * across + cosine * down + y) for across, down in around]
    return _rounded([value for point in turned for value in point])


def _ellipse(attributes: Mapping[str, str], size: tuple[int, int]) -> np.ndarray:
    import cv2

    keys = AREAS["ellipse"][:4]
    x, y, across, down, turn = _numbers(
        "ellipse", [attributes.get(key, "") for key in keys] + [_turn(attributes)], size
    )
    if across < 0 or down < 0:
        raise DataError(
            "shape", f"an ellipse has the radii {across:g} and {down:g}, but takes positive ones; remove it"
        )
    mask = np.zeros(size, np.uint8)
    cv2.ellipse(mask, (round(x), round(y)), (round(across), round(down)), turn, 0, 360, 1, thickness=-1)
    return mask.astype(bool)


def _placed(attributes: Mapping[str, str], size: tuple[int, int]) -> tuple[tuple[int, int], np.ndarray]:
    """Returns row and column of a mask's upper left corner, and its pixels, whose runs go along the rows of its box."""
    try:
        left, top, width, height = (int(attributes.get(key, "")) for key in AREAS["mask"][:4])
        runs = [int(number) for number in attributes.get("rle", "").split(",")]
    except ValueError:
        about = {key: attributes.get(key, "")[:20] for key in AREAS["mask"]}
        raise DataError("run lengths", f"a mask needs left, top, width, height and rle. Received: {about}") from None
    if min(left, top, width - 1, height - 1) < 0 or left + width > size[1] or top + height > size[0]:
        where = f"{width}x{height} pixels at {left}, {top}"
        raise DataError("run lengths", f"a mask of {where} leaves the image of {size[1]}x{size[0]}; export it again")
    if min(runs) < 0 or sum(runs) != width * height:
        raise DataError(
            "run lengths",
            f"run lengths sum to {shown_sum(runs)} pixels, but the mask has {width * height}; export it again",
        )
    values = np.arange(len(runs)) % 2 == 1
    return (top, left), np.repeat(values, runs).reshape(height, width)


def _turn(attributes: Mapping[str, str]) -> str:
    return attributes.get("rotation", "0")


def _numbers(kind: str, texts: Sequence[str], size: tuple[int, int]) -> list[float]:
    try:
        values = [float(text) for text in texts]
    except ValueError:
        raise DataError("shape", f"the coordinates of a {kind} must be numbers. Received: {texts!s:.60}") from None
    require_numbers(kind, values, size)
    return values


def _rounded(values: Sequence[Any]) -> list[float]:
    return np.array(values, np.float32).round(2).tolist()
