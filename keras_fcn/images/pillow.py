"""Files as Pillow opens and decodes them, large ones included; what it cannot decode is named."""

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
"""What is larger is taken for a file made to fill memory; aerial photographs of 20,000 x 20,000 pixels are not."""

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What makes an image of each EXIF orientation upright (Exif 2.32, 4.6.4); Pillow turns counterclockwise."""


@contextlib.contextmanager
def opened(path: Path | str, content: bytes | None = None) -> Iterator[Image.Image]:
    """Opens an image, of which only the header is read; errors in the block are about its file.

    Args:
        path: The file.
        content: Its bytes, if they are at hand; then `path` is only what it is called.

    Raises:
        DataError: If the file cannot be read, is no image, or has more than `MOST_PIXELS`.
    """
    with refused_by_name(path), Path(path).open("rb") if content is None else io.BytesIO(content) as file:
        yield _identified(file)


def decoded(path: Path | str, content: bytes | None = None) -> Image.Image:
    """Returns an image, decoded and upright.

    Args:
        path: The file.
        content: Its bytes, if they are at hand; then `path` is only what it is called.

    Raises:
        DataError: If the file cannot be read or decoded to its last pixel.
    """
    with opened(path, content) as image:
        image.load()
        return upright(image)


def orientation(image: Image.Image) -> int:
    """Returns the EXIF orientation of an image, 1 to 8; from 5 on, its width is the height of the upright image."""
    found = image.getexif().get(ExifTags.Base.Orientation, 1)
    return found if found in _TURNS else 1


def upright(image: Image.Image) -> Image.Image:
    """Returns an image turned as its EXIF orientation says."""
    turn = _TURNS.get(orientation(image))
    return image if turn is None else image.transpose(turn)


@contextlib.contextmanager
def refused_by_name(path: Path | str) -> Iterator[None]:
    """Turns what Pillow raises about a file into one line with its name."""
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
    """Opens an image as `Image.open` does, but for the limit: its own, MAX_IMAGE_PIXELS, is the whole process's."""
    prefix = file.read(16)
    for load_plugins in (Image.preinit, Image.init):  # the common ones, all
        load_plugins()
        for factory, accept in [Image.OPEN[name] for name in Image.ID]:
            with contextlib.suppress(SyntaxError, IndexError, TypeError, struct.error):
                is_accepted = accept is None or accept(prefix)
                if not is_accepted or isinstance(is_accepted, str):  # a text says why not
                    continue
                file.seek(0)
                image = factory(file, "")
                if image.width * image.height > MOST_PIXELS:
                    pixels = image.width * image.height
                    raise Image.DecompressionBombError(f"{pixels} pixels exceed the limit of {MOST_PIXELS}")
                return image
    raise UnidentifiedImageError("cannot identify image file")
