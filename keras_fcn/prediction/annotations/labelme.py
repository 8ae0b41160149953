"""A mask's objects as labelme's shapes."""

from __future__ import annotations

import base64
from collections.abc import Iterator

import numpy as np
from PIL import Image

from keras_fcn.datasets.layouts.annotations.raster.labelme import draw_labelme
from keras_fcn.errors import UserError
from keras_fcn.images.classes import ClassTable
from keras_fcn.images.pillow import encoded
from keras_fcn.prediction.annotations.mask.objects import MaskObject, objects
from keras_fcn.prediction.annotations.mask.outlines import Ring, Rule, outlined
from keras_fcn.prediction.annotations.style import AnnotationStyle

_VERSION = "7.0.0"
"""Of the format: polygons and masks at whole pixels are drawn alike since 5.2."""

_MOST_PIXELS = 32767  # a side: more Qt does not paint


def _points(ring: Ring) -> list[list[int]]:
    return [*ring.tolist(), *(ring[:1].tolist() * max(0, 3 - len(ring)))]


LABELME = Rule(
    True,
    lambda rings, size: draw_labelme([(1, "polygon", _points(ring), None, (7, 0)) for ring in rings], size) > 0,
)
"""Polygons as Pillow fills them: their outlines belong to them."""


def labelme(image_path: str, ids: np.ndarray, classes: ClassTable, tolerance: float = 1) -> dict:
    """Returns the content of labelme's JSON for one image.

    Shapes are polygons, several of one group where an object has holes; with a tolerance of 0 they are masks, exact.

    Args:
        image_path: The path of the image from the JSON's folder, with "/".
        ids: Class ids uint8 [H, W] of the image as displayed.
        classes: Names; background becomes no shape.
        tolerance: In pixels.

    Raises:
        UserError: If the image is larger than labelme can show.
    """
    height, width = ids.shape
    if max(height, width) > _MOST_PIXELS:
        raise UserError(f"labelme shows images of at most {_MOST_PIXELS} pixels a side. Received: {height}x{width}")
    shapes = _polygons(ids, classes, tolerance) if tolerance else map(_mask, objects(ids, classes))
    own = {"flags": {}, "description": ""}
    named = [{"label": classes.names[index], **own, **shape} for index, shape in shapes]
    size = {"imageHeight": height, "imageWidth": width}
    return {
        "version": _VERSION, "flags": {}, "shapes": named, "imagePath": image_path, "imageData": None, **size
    }  # fmt: skip


def _polygons(ids: np.ndarray, classes: ClassTable, tolerance: float) -> Iterator[tuple[int, dict]]:
    for number, (each, rings) in enumerate(outlined(ids, classes, LABELME, tolerance), 1):
        group = number if len(rings) > 1 else None
        for ring in rings:
            yield each.index, {"shape_type": "polygon", "points": _points(ring), "group_id": group, "mask": None}


def _mask(each: MaskObject) -> tuple[int, dict]:
    height, width = each.mask.shape
    box = [[each.left, each.top], [each.left + width - 1, each.top + height - 1]]
    pixels = base64.b64encode(encoded(Image.fromarray(each.mask.astype(np.uint8)), format="PNG")).decode()
    return each.index, {"shape_type": "mask", "points": box, "group_id": None, "mask": pixels}


def label_list(classes: ClassTable, style: AnnotationStyle) -> bytes:
    """Returns labels.txt, which labelme takes as --labels: the classes in the order of their ids."""
    names = [name for index, name in enumerate(classes.names) if index != classes.background]
    return "".join(f"{name}\n" for name in ("__ignore__", "_background_", *names)).encode()
