"""Opening a label file of any kind: as indices of a palette, as values, or as colours."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from keras_fcn.errors import DataError, UserError
from keras_fcn.images.bands.npy import NPY, npy_type, read_npy
from keras_fcn.images.headers.tiff import TIFF
from keras_fcn.images.label_files.tiff import read_tiff_mask, tiff_mask_header
from keras_fcn.images.photos import decoded_bytes, orientation_of
from keras_fcn.images.pillow import displayed, named_in_errors, opened, packed_palette
from keras_fcn.images.several import pictures_in, require_alone
from keras_fcn.images.values.depth import has_16_bits

MASK_SUFFIXES = (".png", ".tif", ".tiff", ".bmp", ".gif", ".npy")
"""Suffixes of the masks that are read, in lower case."""

WHITE_OF_16_BITS = 65535
"""The greatest value of 16 bits, read as 255: void, or the white of black-and-white masks."""

_MOST = 1 << 30  # Pillow keeps values of 31 bits

_PNG = b"\x89PNG\r\n\x1a\n"
_HEADER, _DEPTH, _COLOR_TYPE = 33, 24, 25  # signature and IHDR; the bit depth and color type in it (PNG, 11.2.1)
_GREY, _PALETTE = 0, 3  # color types

INEXACT = {
    "JPEG": "a JPEG", "MPO": "a JPEG", "JPEG2000": "a JPEG 2000", "WEBP": "a WebP", "AVIF": "an AVIF", "HEIF": "a HEIC",
}  # fmt: skip
"""Formats that may change colours and values a little."""


@contextlib.contextmanager
def opened_label(path: Path, is_exact: bool = True) -> Iterator[Image.Image]:
    """Opens a label file upright and without its alpha channel, and adds its path to errors in the block.

    Its mode is "1", "L" or "I" for values, the last if one of them is above 255; "P" for indices of a palette; "RGB"
    for colours, those of a GIF as well; another if it is no mask.

    Args:
        path: The file.
        is_exact: Whether formats that change colours and values, such as JPEG, are errors.

    Raises:
        DataError: If the file cannot be decoded, is not opaque, or its values are not exact or no whole numbers.
    """
    try:
        yield _opaque(_decoded(path, is_exact))
    except UserError as error:
        if str(error).startswith(str(path)):
            raise
        kind = error.kind if isinstance(error, DataError) else "label"
        raise DataError(kind, f"{path}: {error}") from None


def _decoded(path: Path, is_exact: bool) -> Image.Image:
    start = _start(path)
    if start.startswith(NPY):
        return _image_of(read_npy(path))
    if is_exact and start.startswith(TIFF):
        return _narrowed(read_tiff_mask(path))
    with opened(path) as file:
        require_alone(path, pictures_in(file))
        if is_exact and file.format in INEXACT:
            raise DataError(
                "compressed mask", f"is {INEXACT[file.format]}, whose values are not exact; export it as a PNG"
            )
        is_deep = has_16_bits(file)
        image = displayed(file)
    if is_exact and is_deep and not image.mode.startswith("I"):
        raise DataError("bit depth", "has colours or an alpha channel in 16 bits; export grey, or colours of 8 bits")
    return _of_gif(image) if file.format == "GIF" else _narrowed(image)


def _of_gif(image: Image.Image) -> Image.Image:
    """Returns the colours of a GIF, or its values if all are grey: programs that write GIFs number palettes anew."""
    rgb = np.asarray(image.convert("RGB"))
    return Image.fromarray(rgb if (rgb != rgb[..., :1]).any() else np.ascontiguousarray(rgb[..., 0]))


def _narrowed(image: Image.Image | np.ndarray) -> Image.Image:
    """Returns an image whose values of more than 8 bits are in 8 bits if they fit."""
    if isinstance(image, np.ndarray) or image.mode[0] in "IF":
        return _image_of(np.asarray(image))
    return image


def _image_of(values: np.ndarray) -> Image.Image:
    """Returns values [H, W] as an image of mode "L", or "I" if one is above 255; colours [H, W, 3] as one of "RGB"."""
    if values.ndim == 3 and (values != values[..., :1]).any():
        return Image.fromarray(_colors(values))
    values = values[..., 0] if values.ndim == 3 else values
    if values.dtype.kind == "f":
        values = values.astype(np.float32) if values.dtype.itemsize < 4 else values
        _require(np.isfinite(values) & (np.rint(values) == values), values)
    if values.min() < 0 or values.max() > _MOST:
        _require((values >= 0) & (values <= _MOST), values)
    if values.max() >= WHITE_OF_16_BITS:
        values = np.where(values == WHITE_OF_16_BITS, 255, values)
    return Image.fromarray(np.ascontiguousarray(values, np.uint8 if values.max() <= 255 else np.int32))


def _colors(values: np.ndarray) -> np.ndarray:
    """Returns colours of 8 bits, uint8 [H, W, 3]."""
    if values.dtype == np.uint16 and (values % 257 == 0).all():  # 8 bits as programs write them in 16
        values = values // 257
    if values.dtype.kind not in "bui" or values.min(initial=0) < 0 or values.max(initial=0) > 255:
        raise DataError("bit depth", f"has colours of {values.dtype} that are none of 8 bits; export colours of 8 bits")
    return np.ascontiguousarray(values, np.uint8)


def _require(is_id: np.ndarray, values: np.ndarray) -> None:
    """Raises DataError with the most frequent value that is no whole number from 0."""
    if not is_id.all():
        different, counts = np.unique(values[~is_id], return_counts=True)
        most = np.argmax(counts)
        others = f" and {len(different) - 1} other such value{'s' * (len(different) > 2)}" if len(different) > 1 else ""
        raise DataError(
            "id out of range",
            f"holds the value {different[most]} ({counts[most]} pixels){others}; class ids are whole numbers from 0 to "
            "254, and 255 is void",
        )


def _opaque(image: Image.Image) -> Image.Image:
    """Returns an image without its alpha channel, which must be opaque."""
    if image.mode not in ("LA", "PA", "RGBA"):
        return image
    seen = image.getchannel("A").histogram()[255]
    if seen < image.width * image.height:
        raise DataError(
            "transparency",
            f"{image.width * image.height - seen} of its {image.width * image.height} pixels are transparent, which "
            "may mean background or void; export it opaque, without an alpha channel",
        )
    return image.convert(image.mode[:-1])


def values_of(image: Image.Image, path: Path) -> np.ndarray:
    """Returns grey values (0 and 1 for 1-bit images) or palette indices, uint8 [H, W], or int32 if one is above 255.

    Raises:
        DataError: If the image is in colour, or its values may not be ids.
    """
    if image.mode == "L" and (bits := _png_depth(path)) in (2, 4):
        # Some programs store ids, others compress grey values that fit: 85 becomes 1. Both look the same.
        raise DataError("bit depth", f"is grey in {bits} bits, where ids and shades look alike; export 8-bit grey")
    values = np.asarray(image)
    if image.mode in ("L", "P", "1"):
        return values.astype(np.uint8, copy=False)
    if image.mode == "I":
        return values
    if image.mode == "RGB" and (values == values[..., :1]).all():
        return np.ascontiguousarray(values[..., 0])
    raise DataError("colours", f"has pixels of mode {image.mode}, but values are expected; export 8-bit grey ids")


@dataclasses.dataclass(frozen=True)
class LabelHeader:
    """What the header of a label file tells.

    Attributes:
        palette: The palette that it stores, three bytes for each index from 0; None if it has none.
        is_wide: Whether it has values of more than 8 bits.
    """

    palette: bytes | None = None
    is_wide: bool = False


def label_header(path: Path) -> LabelHeader:
    """Reads the header of a label file.

    Raises:
        DataError: If the file cannot be read.
    """
    start = _start(path)
    if start.startswith(_PNG):
        is_palette = len(start) == _HEADER and start[_COLOR_TYPE] == _PALETTE
        return LabelHeader(_png_palette(path) if is_palette else None, start[_DEPTH : _DEPTH + 1] == b"\x10")
    if start.startswith(NPY):
        return LabelHeader(is_wide=npy_type(path).itemsize > 1)
    if start.startswith(TIFF):
        return LabelHeader(*tiff_mask_header(path))
    with opened(path) as image:
        has_palette = image.mode == "P" and image.format != "GIF"
        return LabelHeader(packed_palette(image) if has_palette else None, image.mode[0] in "IF")


def label_orientation(path: Path) -> int:
    """Returns the EXIF orientation of a label file, 1 to 8, from its header; 1 of files that have none.

    Raises:
        DataError: If the file cannot be read.
    """
    return 1 if _start(path).startswith((NPY, *TIFF)) else orientation_of(path)


def label_bytes(path: Path) -> int:
    """Returns the bytes that a label file takes while it is decoded, from its header and its size; 0 if unknown."""
    with contextlib.suppress(OSError):
        return max(decoded_bytes(path), path.stat().st_size)
    return 0


def _png_palette(path: Path) -> bytes | None:
    with path.open("rb") as file:
        file.seek(_HEADER)
        while len(start := file.read(8)) == 8:
            length = int.from_bytes(start[:4], "big")
            if start[4:] == b"PLTE":
                return file.read(length)
            file.seek(length + 4, 1)  # content and checksum
    return None


def _png_depth(path: Path) -> int | None:
    """Returns the bits per pixel of a grey PNG, None for other files; Pillow scales 2 and 4 bits to 0 to 255."""
    start = _start(path)
    return start[_DEPTH] if start.startswith(_PNG) and start[_COLOR_TYPE] == _GREY else None


def _start(path: Path) -> bytes:
    """Returns the first bytes of a file: of a PNG, its header."""
    with named_in_errors(path), path.open("rb") as file:
        return file.read(_HEADER)
