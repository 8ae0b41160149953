"""How alike two images look, by tiny copies of them, whatever their size, brightness, contrast and compression."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

from keras_fcn.images.headers.orientation import turned

SIDE = 13
"""Height and width of a thumbnail in pixels."""

LIKE = 0.75
"""The likeness from which images are nearly the same. It was at most 0.51 in 42,000 pairs of different photos and drawn
scenes; copies that were compressed, resized, brightened, or moved by a fiftieth of their width all had more."""


_FAINT = 10.0
"""Length of the gradients below which an image is nearly of one colour, and like no other."""


def thumbnail(image: Image.Image, turn: int = 1) -> str:
    """Returns a grey copy of `SIDE` x `SIDE` pixels, in hexadecimal digits.

    Args:
        image: An image of any mode.
        turn: The EXIF orientation by which it has to be turned.
    """
    if image.mode.startswith("I"):
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    elif image.mode not in ("L", "RGB"):
        image = image.convert("RGB")
    small = image.resize((SIDE, SIDE), Image.Resampling.BOX, reducing_gap=3.0).convert("L")
    return turned(small, turn).tobytes().hex()


def thumbnails_of(texts: Sequence[str]) -> np.ndarray:
    """Returns thumbnails from what `thumbnail` returned, uint8 [N, SIDE, SIDE]; black for an empty text."""
    black = bytes(SIDE * SIDE)
    content = b"".join(bytes.fromhex(text) or black for text in texts)
    return np.frombuffer(content, np.uint8).reshape(-1, SIDE, SIDE)


def likeness(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Returns the correlation of the brightness gradients of two sets of thumbnails.

    The mean of the second set is taken away first: what all images of a data set share, such as the black border of a
    microscope's, makes none like another.

    Args:
        first: uint8 [N, SIDE, SIDE].
        second: uint8 [M, SIDE, SIDE].

    Returns:
        float32 [N, M], -1 to 1; 0 for an image of one colour.
    """
    gradients, others = _gradients(first), _gradients(second)
    mean = others.mean(axis=0) if len(others) else np.zeros(others.shape[1], np.float32)
    return _centred(gradients, mean) @ _centred(others, mean).T


def _gradients(thumbnails: np.ndarray) -> np.ndarray:
    pixels = thumbnails.astype(np.float32)
    gradients = np.stack([np.diff(pixels, axis=2)[:, :-1], np.diff(pixels, axis=1)[:, :, :-1]], axis=1)
    return gradients.reshape(len(pixels), 2 * (SIDE - 1) ** 2)


def _centred(gradients: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Returns gradients without their mean, each of the length 1, or less where little is left; 0 for faint ones."""
    is_seen = np.linalg.norm(gradients, axis=1, keepdims=True) >= _FAINT
    left = (gradients - mean) * is_seen
    return left / np.maximum(np.linalg.norm(left, axis=1, keepdims=True), _FAINT)
