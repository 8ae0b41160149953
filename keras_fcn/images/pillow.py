"""Opening and decoding image files with Pillow, large ones included; errors name the file."""

from __future__ import annotations

import contextlib
import io
import re
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image, ImageChops, UnidentifiedImageError
from PIL.ImageFile import ImageFile

from keras_fcn.errors import DataError, UserError, argument
from keras_fcn.images.headers.effort import MOST_SCANS, has_many_scans
from keras_fcn.images.headers.orientation import orientation, turned
from keras_fcn.images.headers.tiff import TIFF, TiffLayout
from keras_fcn.system.packages import require_packages
from keras_fcn.system.text import reason_of

MOST_PIXELS = 2**30
"""Larger images are refused as decompression bombs; aerial images of 20,000 x 20,000 pixels are accepted."""

_HEIF_BRANDS = {b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"hevm", b"hevs", b"mif1", b"msf1", b"mif2"}
"""What begins a HEIC after its length and "ftyp" (ISO/IEC 23008-12); the last three may hold other codecs, too."""

_MOST_BANDS = 4
"""Bands of a TIFF that Pillow reads."""

READ_ERRORS = (
    ArithmeticError, AssertionError, EOFError, LookupError, OSError, RuntimeError, SyntaxError, TypeError, ValueError,
    struct.error, zlib.error,
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
        image = identified(file)
        if image.format == "TIFF":
            _require_shown_rightly(image)
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
    if image.format == "TIFF" and getattr(image, "tile", None):  # lest Pillow applies a limit of its own
        image.im = Image.core.new(image.mode, getattr(image, "_tile_size", image.size))
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
        path = Path(path)
        what = "no such file"
        if path.is_symlink():
            what = f"leads to {path.readlink()}, which does not exist; put that back, or remove the link"
        raise DataError("missing file", f"{path}: {what}") from None
    except Image.DecompressionBombError as error:
        pixels, most = re.findall(r"\d+", str(error))[:2]
        message = f"{path}: claims {pixels} pixels, but at most {most} are decoded; cut it into parts"
        raise DataError("too many pixels", message) from None
    except UserError:
        raise
    except ModuleNotFoundError as error:
        raise DataError("missing package", f"{path}: {error}") from None
    except READ_ERRORS as error:
        reason = reason_of(error).replace(f" {str(path)!r}", "")
        message = f"{path}: cannot be decoded ({reason}); replace the file or remove it from the data set"
        raise DataError("undecodable file", message) from None


def identified(file: BinaryIO, layout: TiffLayout | None = None) -> ImageFile:
    """Opens an image as `Image.open` does, but with our limit: Pillow's MAX_IMAGE_PIXELS is global to the process.

    Args:
        file: The file, at its start.
        layout: Its layout, if it is a TIFF of which that was read.

    Raises:
        PIL.UnidentifiedImageError: If it is of no known format; other errors for damaged files.
    """
    prefix = file.read(16)
    if prefix.startswith(TIFF) and _has_many_bands(file, layout):
        raise UnidentifiedImageError(_unidentified(prefix))
    for load_plugins in (Image.preinit, Image.init):  # the common formats first, then all
        load_plugins()
        for factory, accept in [Image.OPEN[name] for name in Image.ID]:
            with contextlib.suppress(SyntaxError, IndexError, TypeError, struct.error):
                is_accepted = accept is None or accept(prefix)
                if not is_accepted or isinstance(is_accepted, str):  # a string is the reason for a refusal
                    continue
                file.seek(0)
                image = factory(file, "")
                require_pixels(image.width, image.height)
                if image.format == "TIFF":
                    image.info.pop("xmp", None)  # which could turn it
                return image
    if prefix[4:8] == b"ftyp" and prefix[8:12] in _HEIF_BRANDS:
        return _heif(file)
    if prefix.startswith(TIFF) and not _has_size(file):
        raise UnidentifiedImageError("a TIFF that is cut off or damaged, or a raw photo of a camera")
    raise UnidentifiedImageError(_unidentified(prefix))


def _has_many_bands(file: BinaryIO, layout: TiffLayout | None) -> bool:
    """Returns whether a TIFF has more bands than Pillow reads, which would log that, too."""
    file.seek(0)
    with contextlib.suppress(*READ_ERRORS):
        return (layout or TiffLayout.read(file)).samples > _MOST_BANDS
    return False


def _has_size(file: BinaryIO) -> bool:
    """Returns whether the tags of a TIFF's first picture are there, which tell its size."""
    file.seek(0)
    with contextlib.suppress(*READ_ERRORS):
        return min(TiffLayout.read(file).size) > 0
    return False


def _unidentified(prefix: bytes) -> str:
    """Returns what a file seems to be that Pillow does not know, by its first 16 bytes."""
    if not prefix:
        return "it is empty"
    if prefix.startswith(TIFF):
        fix = f"save it as RGB in 8 bits, or read its bands by {argument('channels')}"
        return f"a TIFF of bands or values that are not read as RGB; {fix}"
    if prefix == b"version https://":
        return "it is a pointer of Git LFS: git lfs pull brings the file"
    if prefix.startswith((b"EHFA_HEADER_TAG", b"<VRTDataset")):
        kind = "an Erdas Imagine raster" if prefix.startswith(b"E") else "a virtual raster, which names other files"
        return f"{kind}; gdal_translate FILE FILE.tif makes a GeoTIFF of it"
    is_page = prefix.lstrip().lower().startswith((b"<!doctype", b"<html"))
    return "it is a web page" if is_page else "cannot identify image file"


def _require_shown_rightly(image: ImageFile) -> None:
    tags = image.tag_v2  # type: ignore[attr-defined]
    if fault := TiffLayout(tags, tags.prefix == b"II").fault(image.mode):
        raise ValueError(fault)


def _heif(file: BinaryIO) -> ImageFile:
    """Opens a HEIC, whose decoder does not come with Pillow."""
    require_decoder("is a HEIC", "pillow_heif")
    from pillow_heif import HeifImageFile

    file.seek(0)
    image = HeifImageFile(file, "")
    require_pixels(image.width, image.height)
    return image


def require_decoder(what: str, module: str) -> None:
    """Raises ModuleNotFoundError, which `named_in_errors` explains, if an optional decoder is not installed.

    Args:
        what: The property of the file that takes it, after the file's name.
        module: The name by which it is imported.
    """
    try:
        require_packages(what, "extra", module)
    except UserError as error:
        raise ModuleNotFoundError(str(error)) from None


def require_pixels(width: int, height: int) -> None:
    """Raises PIL.Image.DecompressionBombError if an image has more than `MOST_PIXELS`."""
    if width * height > MOST_PIXELS:
        raise Image.DecompressionBombError(f"{width * height} pixels exceed the limit of {MOST_PIXELS}")


def encoded(image: Image.Image, **options: Any) -> bytes:
    """Returns an image as the bytes of a file.

    Args:
        image: The image.
        **options: The format, and what Pillow's `save` takes for it.
    """
    file = io.BytesIO()
    image.save(file, **options)
    return file.getvalue()


def packed_palette(image: Image.Image) -> bytes:
    """Returns the palette that an image stores, three bytes for each index from 0."""
    return bytes(image.getpalette("RGB") or ())


def palette_of(packed: bytes) -> np.ndarray:
    """Returns the colours of all 256 indices, uint8 [256, 3]; those missing in the file are black."""
    palette = np.zeros((256, 3), np.uint8)
    stored = np.frombuffer(packed, np.uint8).reshape(-1, 3)
    palette[: len(stored)] = stored
    return palette
