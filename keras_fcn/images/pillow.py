"""Opening and decoding image files with Pillow, large ones included; errors name the file."""

from __future__ import annotations

import contextlib
import io
import re
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from PIL import Image, ImageChops, UnidentifiedImageError
from PIL.ImageFile import ImageFile

from keras_fcn.errors import DataError, UserError
from keras_fcn.images.effort import MOST_SCANS, has_many_scans
from keras_fcn.images.orientation import orientation, turned
from keras_fcn.system.text import reason_of

MOST_PIXELS = 2**30
"""Larger images are refused as decompression bombs; aerial images of 20,000 x 20,000 pixels are accepted."""

_BITS, _SAMPLES, _PLANES, _FORMAT = 258, 277, 284, 339
"""TIFF's tags BitsPerSample, SamplesPerPixel, PlanarConfiguration and SampleFormat (TIFF 6.0)."""

_APART, _UNSIGNED = 2, {1, 4}
"""Values of the last two: planes one after another; unsigned and undefined, which is read as unsigned."""

READ_ERRORS = (
    ArithmeticError, AssertionError, EOFError, LookupError, OSError, SyntaxError, TypeError, ValueError, struct.error,
    zlib.error,
)  # fmt: skip
"""What Pillow raises on damaged files."""


@contextlib.contextmanager
def opened(path: Path | str, content: bytes | None = None) -> Iterator[ImageFile]:
    """Opens an image and reads its header; errors in the block name its file.

    Args:
        path: The file.
        content: The file's bytes, if they are in memory; `path` is then only its name in error messages.

    Raises:
        DataError: If the file cannot be read, is no image, has more than `MOST_PIXELS`, or Pillow would misread it.
    """
    with named_in_errors(path), Path(path).open("rb") if content is None else io.BytesIO(content) as file:
        image = _identified(file)
        _require_plain_tiff(image)
        yield image


def load(image: Image.Image) -> None:
    """Decodes an image; raises ValueError if it is a JPEG of too many scans, which would take minutes."""
    file = getattr(image, "fp", None)
    if image.format in ("JPEG", "MPO") and file is not None:
        position = file.tell()
        file.seek(0)
        if has_many_scans(file.read()):
            raise ValueError(f"it has more than {MOST_SCANS} scans, which take too long; save it anew")
        file.seek(position)
    image.load()


def displayed(image: Image.Image) -> Image.Image:
    """Returns an image decoded and as viewers show it: upright by its EXIF orientation, CMYK as the file means it.

    Pillow inverts every CMYK JPEG, as Adobe's programs store them; others store amounts of ink, without Adobe's marker.
    """
    by_orientation = orientation(image)  # before decoding, which may find more EXIF data behind the pixels
    load(image)
    if image.mode == "CMYK" and image.format in ("JPEG", "MPO") and "adobe" not in image.info:
        image = ImageChops.invert(image)
    return turned(image, by_orientation)


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
    except READ_ERRORS as error:
        reason = reason_of(error).replace(f" {str(path)!r}", "")
        message = f"{path}: cannot be decoded ({reason}); replace the file or remove it from the data set"
        raise DataError("undecodable file", message) from None


def _identified(file: BinaryIO) -> ImageFile:
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
    if prefix.startswith((b"II*\0", b"MM\0*")):
        raise UnidentifiedImageError("a TIFF of bands or values that are not read; save it as RGB in 8 bits")
    raise UnidentifiedImageError("cannot identify image file")


def _require_plain_tiff(image: Image.Image) -> None:
    """Raises ValueError if Pillow would read a TIFF wrongly without an error; hides its XMP, which could turn it."""
    if image.format != "TIFF":
        return
    image.info.pop("xmp", None)
    tags = image.tag_v2  # type: ignore[attr-defined]
    bits, samples = set(tags.get(_BITS, (1,))), tags.get(_SAMPLES, 1)
    if tags.get(_PLANES, 1) == _APART and samples > 1 and (bits, samples) != ({8}, 3):
        raise ValueError(f"its {samples} planes lie one after another; save it with interleaved pixels, or as a PNG")
    if image.mode in ("L", "RGB") and not _UNSIGNED.issuperset(tags.get(_FORMAT, (1,))):
        raise ValueError("its values have a sign; save it with values from 0 to 255")
