"""Files as Pillow opens and decodes them, large ones included; what it cannot decode is named."""

from __future__ import annotations

import contextlib
import io
import re
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image

from keras_fcn.errors import DataError, UserError

MOST_PIXELS = 2**30
"""What is larger is taken for a file made to fill memory; aerial photographs of 20,000 x 20,000 pixels are not."""

# Pillow warns of so many pixels, and refuses twice as many.
Image.MAX_IMAGE_PIXELS = MOST_PIXELS // 2
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)

_BAND_PIXELS = 1 << 23
"""Pixels that are taken from Pillow at a time: its way to NumPy holds each three times."""


@contextlib.contextmanager
def opened(path: Path | str, content: bytes | None = None) -> Iterator[Image.Image]:
    """Opens and decodes an image, from the bytes of its file if they are given.

    Raises:
        DataError: If the file cannot be read or decoded to its last pixel; it names the file.
    """
    with refused_by_name(path):
        image = Image.open(path if content is None else io.BytesIO(content))
        image.load()
    with image:
        yield image


@contextlib.contextmanager
def refused_by_name(path: Path | str) -> Iterator[None]:
    """Turns what Pillow raises about a file into one line with its name."""
    try:
        yield
    except FileNotFoundError:
        raise DataError("missing file", f"{path}: no such file") from None
    except Image.DecompressionBombError as error:
        pixels = "".join(re.findall(r"\d+", str(error))[:1])
        message = f"{path}: claims {pixels} pixels, but at most {MOST_PIXELS} are decoded; cut it into parts"
        raise DataError("too many pixels", message) from None
    except (OSError, SyntaxError, ValueError) as error:
        if isinstance(error, UserError):
            raise
        reason = str(error).replace(f" {str(path)!r}", "").splitlines()[0]
        reason = re.sub(r" <_io\.BytesIO object at \w+>", "", reason)
        message = f"{path}: cannot be decoded ({reason}); replace the file or remove it from the data set"
        raise DataError("undecodable file", message) from None


def decode_rgb(path: Path | str, content: bytes | None = None) -> np.ndarray:
    """Decodes an image of any mode to RGB, upright, and holds hardly more than Pillow's copy and the result.

    Args:
        path: The file.
        content: Its bytes, if they are at hand; then `path` is only what it is called.

    Returns:
        uint8 [H, W, 3]. Of 16 bits the upper 8 are kept; transparency is dropped.

    Raises:
        DataError: If the file cannot be read or decoded to its last pixel.
    """
    pixels, orientation = _decode(path, content)
    return np.ascontiguousarray(_upright(pixels, orientation))  # Pillow's own copy is gone by now


def upright_rgb(image: Image.Image) -> np.ndarray:
    """Returns an image of any mode as RGB, uint8 [H, W, 3], its EXIF orientation applied."""
    return np.ascontiguousarray(_upright(_rgb(image), image.getexif().get(ExifTags.Base.Orientation, 1)))


def _decode(path: Path | str, content: bytes | None) -> tuple[np.ndarray, int]:
    """Returns an image as RGB, uint8 [H, W, 3], and its EXIF orientation, 1 to 8."""
    with opened(path, content) as image:
        orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
        rows = max(1, _BAND_PIXELS // max(1, image.width))
        if image.height <= rows:
            return _rgb(image), orientation
        pixels = np.empty((image.height, image.width, 3), np.uint8)
        for top in range(0, image.height, rows):
            bottom = min(top + rows, image.height)
            pixels[top:bottom] = _rgb(image.crop((0, top, image.width, bottom)))
        return pixels, orientation


def _rgb(image: Image.Image) -> np.ndarray:
    if image.mode.startswith("I"):
        return np.repeat((np.asarray(image) >> 8).astype(np.uint8)[..., None], 3, axis=2)
    return np.asarray(image.convert("RGB"))


def _upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Returns a view of pixels [H, W, 3] as an EXIF orientation says that they are to be shown (Exif 2.32, 4.6.4)."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    down = slice(None, None, -1 if orientation in (3, 4, 7, 8) else 1)
    across = slice(None, None, -1 if orientation in (2, 3, 6, 7) else 1)
    return pixels[down, across]
