"""COCO's panoptic PNGs, whose colours number segments."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from keras_fcn.errors import DataError
from keras_fcn.images.classes import VOID_LABEL
from keras_fcn.images.several import decoded_alone


def draw_panoptic(shapes: tuple[str, str, Sequence[tuple[int, int]]], size: tuple[int, int]) -> np.ndarray:
    """Returns the class of each pixel's segment; segment 0 is void.

    Args:
        shapes: The path of a PNG, a hash of its content, and the class id of each segment.
        size: Height and width of the image.

    Returns:
        uint8 [H, W].

    Raises:
        DataError: If the PNG cannot be decoded, holds several pictures, has another size, or a segment without class.
    """
    path, _, classes = shapes
    rgb = np.asarray(decoded_alone(Path(path)).convert("RGB")).astype(np.int32)
    if rgb.shape[:2] != size:
        found, wanted = ("x".join(map(str, each)) for each in (rgb.shape[:2], size))
        raise DataError("size mismatch", f"{path} is {found} pixels (height x width), but the image is {wanted}")
    segments, places = np.unique(rgb[..., 0] + 256 * rgb[..., 1] + 65_536 * rgb[..., 2], return_inverse=True)
    known = {0: VOID_LABEL} | dict(classes)
    unknown = [segment for segment in segments.tolist() if segment not in known]
    if unknown:
        raise DataError("unknown segment", f"{path} holds the segment {unknown[0]}, which has no category; add it")
    return np.array([known[segment] for segment in segments.tolist()], np.uint8)[places.reshape(size)]
