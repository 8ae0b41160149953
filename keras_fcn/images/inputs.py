"""Images as programs have them: arrays, Pillow's images, paths."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from keras_fcn.errors import UserError
from keras_fcn.images.masks import read_image
from keras_fcn.images.pillow import upright_rgb


def as_image(image: Any) -> np.ndarray:
    """Returns an image as the networks take it, uint8 [H, W, 3].

    Args:
        image: A path; an image of Pillow's of any mode, whose EXIF orientation is applied; or an array uint8 [H, W, 3],
            [H, W, 4], whose transparency is dropped, or grey [H, W] or [H, W, 1].

    Raises:
        UserError: If a file cannot be decoded, or an array has another shape or type.
    """
    if isinstance(image, (str, Path)):
        return read_image(image)
    if isinstance(image, Image.Image):
        return upright_rgb(image)
    pixels = np.asarray(image)
    if pixels.dtype != np.uint8:
        raise UserError(f"images are arrays of uint8, 0 to 255. Received: {pixels.dtype} {list(pixels.shape)}")
    if pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[-1] == 1):
        return np.repeat(pixels.reshape(*pixels.shape[:2], 1), 3, axis=2)
    if pixels.ndim != 3 or pixels.shape[-1] not in (3, 4):
        raise UserError(f"images have the shape [H, W, 3]; give several as a list. Received: {list(pixels.shape)}")
    return pixels[..., :3]
