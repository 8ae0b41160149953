"""Reading all channels, or some, of an image's file: of NumPy's arrays and TIFFs, and what Pillow opens."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from keras_fcn.errors import DataError, UserError
from keras_fcn.images.bands.npy import NPY, npy_shape, read_npy
from keras_fcn.images.headers.tiff import TIFF, TiffLayout
from keras_fcn.images.pillow import displayed, named_in_errors, opened
from keras_fcn.images.rasters import opened_raster
from keras_fcn.images.several import pages_in, pictures_in
from keras_fcn.images.values.channels import Channels
from keras_fcn.images.values.depth import has_16_bits, require_known_range

ARRAY_SUFFIX = ".npy"
"""The suffix of images and masks that are arrays of NumPy's."""


_SUFFIXES = (ARRAY_SUFFIX, ".tif", ".tiff")
"""Suffixes of files of any number of channels."""


@dataclasses.dataclass(frozen=True)
class Bands:
    """The channels that were read of a file.

    Attributes:
        pixels: uint8 [H, W, C], upright.
        have: The number of channels in the file.
        brightest: The greatest value, 0 to 65,535, if the file has 16 bits a channel; None otherwise.
        pictures: The number of pictures in the file.
    """

    pixels: np.ndarray
    have: int
    brightest: int | None = None
    pictures: int = 1


def is_array(path: str | Path) -> bool:
    """Returns whether a file is an array of NumPy's, by its name."""
    return str(path).lower().endswith(ARRAY_SUFFIX)


def read_bands(path: str | Path, channels: Channels, content: bytes | None = None) -> Bands:
    """Reads channels of an image; the upper 8 of 16 bits are kept.

    Args:
        path: The file.
        channels: Those to read.
        content: The file's bytes, if they are in memory; `path` is then only its name in messages.

    Raises:
        DataError: If the file cannot be read, has other channels, or values whose range nothing tells.
        UserError: If Rasterio is not installed, which reads TIFFs.
    """
    start = _start(path) if content is None else content[:8]
    if start.startswith((NPY, *TIFF)) and content is not None:
        raise DataError("undecodable file", f"{path}: is an array or a TIFF of bands; copy it to this machine")
    if start.startswith(NPY):
        return _of_array(Path(path), channels)
    if start.startswith(TIFF):
        return _of_tiff(Path(path), channels)
    with opened(path, content) as image:
        require_known_range(image)
        is_deep, pictures = has_16_bits(image), pictures_in(image)
        values = _values(displayed(image))
        chosen = _taken(values, channels, path)
        return Bands(_bytes(chosen), values.shape[2], _brightest(chosen, is_deep), pictures)


def as_bands(image: Any, count: int) -> np.ndarray:
    """Returns an image of Pillow's, or an array, of a number of channels, uint8 [H, W, count].

    Raises:
        UserError: If it has another type or shape.
    """
    pixels = np.asarray(image)
    pixels = pixels[..., None] if pixels.ndim == 2 else pixels
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != count:
        received = f"{pixels.dtype} {list(pixels.shape)}"
        raise UserError(f"the model takes images uint8 [H, W, {count}]. Received: {received}")
    return pixels


def bands_size(path: Path) -> tuple[int, int] | None:
    """Returns height and width of an array or a TIFF, from its header; None of other files.

    Raises:
        DataError: If the file cannot be read.
    """
    start = _start(path) if path.suffix.lower() in _SUFFIXES else b""
    if start.startswith(NPY):
        height, width = npy_shape(path)[:2]
        return height, width
    if start.startswith(TIFF):
        with named_in_errors(path), path.open("rb") as file:
            return TiffLayout.read(file).size
    return None


def _of_array(path: Path, channels: Channels) -> Bands:
    values = read_npy(path, any_depth=True)
    with named_in_errors(path):
        if values.dtype not in (np.uint8, np.uint16):
            raise ValueError(f"it holds {values.dtype}, whose range nothing tells; scale it to uint8, 0 to 255")
        values = values.reshape(*values.shape[:2], -1)
        chosen = _taken(values, channels, path)
        return Bands(_bytes(chosen), values.shape[2], _brightest(chosen, values.dtype == np.uint16))


def _of_tiff(path: Path, channels: Channels) -> Bands:
    with named_in_errors(path), path.open("rb") as file:
        if TiffLayout.read(file).is_turned:
            raise ValueError("it has an orientation, which bands are not read with; save it upright")
    with opened_raster(path, channels) as raster:
        return Bands(raster.read(), raster.have, raster.brightest, pages_in(path))


def _values(image: Image.Image) -> np.ndarray:
    """Returns the channels of an image of Pillow's, [H, W, C]; a palette's and inks are colours."""
    if image.mode in ("1", "P", "PA", "CMYK", "YCbCr", "LAB", "HSV", "RGBX"):
        image = image.convert("L" if image.mode == "1" else "RGB")
    values = np.asarray(image)
    return values if values.ndim == 3 else values[..., None]


def _taken(values: np.ndarray, channels: Channels, path: str | Path) -> np.ndarray:
    if channels.is_rgb and values.shape[2] == 1:
        return np.repeat(values, 3, axis=2)
    chosen = channels.chosen(path, values.shape[2])
    return values if chosen == [*range(values.shape[2])] else values[..., chosen]


def _bytes(values: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(values if values.dtype == np.uint8 else (values >> 8).astype(np.uint8))


def _brightest(values: np.ndarray, is_deep: Any) -> int | None:
    """Returns the greatest value; of colours, of which Pillow keeps 8 bits, the greatest possible."""
    if not is_deep:
        return None
    most = int(values.max(initial=0))
    return 256 * most + 255 if values.dtype == np.uint8 else most


def _start(path: str | Path) -> bytes:
    with named_in_errors(path), Path(path).open("rb") as file:
        return file.read(8)
