"""Opening and decoding image files with Pillow, large ones included; errors name the file."""

from __future__ import annotations

import contextlib
import io
import re
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from PIL import ExifTags, Image, UnidentifiedImageError

from keras_fcn.errors import DataError, UserError
from keras_fcn.system.text import reason_of

MOST_PIXELS = 2**30
"""Larger images are refused as decompression bombs; aerial images of 20,000 x 20,000 pixels are accepted."""

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""The transposition that undoes each EXIF orientation (Exif 2.32, 4.6.4); Pillow rotates counterclockwise."""


@contextlib.contextmanager
def opened(path: Path | str, content: bytes | None = None) -> Iterator[Image.Image]:
    """Opens an image and reads its header; errors in the block name its file.

    Args:
        path: The file.
        content: The file's bytes, if they are in memory; `path` is then only its name in error messages.

    Raises:
        DataError: If the file cannot be read, is no image, or has more than `MOST_PIXELS`.
    """
    with named_in_errors(path), Path(path).open("rb") if content is None else io.BytesIO(content) as file:
        yield _identified(file)


def decoded(path: Path | str, content: bytes | None = None) -> Image.Image:
    """Returns a decoded image with its EXIF orientation applied.

    Args:
        path: The file.
        content: The file's bytes, if they are in memory; `path` is then only its name in error messages.

    Raises:
        DataError: If the file cannot be read or decoded to its last pixel.
    """
    with opened(path, content) as image:
        image.load()
        return upright(image)


def orientation(image: Image.Image) -> int:
    """Returns the EXIF orientation of an image, 1 to 8; 5 and more exchange height and width."""
    found = image.getexif().get(ExifTags.Base.Orientation, 1)
    return found if found in _TURNS else 1


def upright(image: Image.Image) -> Image.Image:
    """Returns an image with its EXIF orientation applied."""
    turn = _TURNS.get(orientation(image))
    return image if turn is None else image.transpose(turn)


@contextlib.contextmanager
def named_in_errors(path: Path | str) -> Iterator[None]:
    """Turns Pillow's errors in the block into a DataError of one line that names the file."""
    try:
        yield
    except FileNotFoundError:
        raise DataError("missing file", f"{path}: no such file") from None
    except Image.DecompressionBombError as error:
        pixels, most = re.findall(r"\d+", str(error))[:2]
        message = f"{path}: claims {pixels} pixels, but at most {most} are decoded; cut it into parts"
        raise DataError("too many pixels", message) from None
    except UserError:
        raise
    except (OSError, SyntaxError, ValueError) as error:
        reason = reason_of(error).replace(f" {str(path)!r}", "")
        message = f"{path}: cannot be decoded ({reason}); replace the file or remove it from the data set"
        raise DataError("undecodable file", message) from None


def _identified(file: BinaryIO) -> Image.Image:
    """Opens an image as `Image.open` does, but with our limit: Pillow's MAX_IMAGE_PIXELS is global to the process."""
    prefix = file.read(16)
    for load_plugins in (Image.preinit, Image.init):  # the common formats first, then all
        load_plugins()
        for factory, accept in [Image.OPEN[name] for name in Image.ID]:
            with contextlib.suppress(SyntaxError, IndexError, TypeError, struct.error):
                is_accepted = accept is None or accept(prefix)
                if not is_accepted or isinstance(is_accepted, str):  # a string is the reason for a refusal
                    continue
                file.seek(0)
                image = factory(file, "")
                if image.width * image.height > MOST_PIXELS:
                    pixels = image.width * image.height
                    raise Image.DecompressionBombError(f"{pixels} pixels exceed the limit of {MOST_PIXELS}")
                return image
    raise UnidentifiedImageError("cannot identify image file")
