"""Reading label files in TIFF: by Pillow, or by GDAL those that Pillow does not read, or not rightly."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from keras_fcn.errors import DataError
from keras_fcn.images.headers.tiff import TiffLayout
from keras_fcn.images.pillow import (
    displayed,
    identified,
    named_in_errors,
    packed_palette,
    require_decoder,
    require_pixels,
)
from keras_fcn.images.several import pages_in, require_alone


def read_tiff_mask(path: Path) -> Image.Image | np.ndarray:
    """Reads the values, indices or colours of a label file as they are stored, without scaling.

    Returns:
        An image of Pillow's, or an array [H, W] or [H, W, 3] of any type of numbers.

    Raises:
        DataError: If the file cannot be decoded or its values are not clear, or if it takes GDAL, which is not there.
    """
    with named_in_errors(path), path.open("rb") as file:
        layout = TiffLayout.read(file)
        _require_clear(layout)
        require_alone(path, pages_in(path))
        try:
            image = identified(file, layout)
        except UnidentifiedImageError:
            return _read_by_gdal(path, layout)
        return displayed(image) if layout.is_plain_mask(image.mode) else _read_by_gdal(path, layout)


def tiff_mask_header(path: Path) -> tuple[bytes | None, bool]:
    """Returns the palette of a label file, None if it has none, and whether it has values of more than 8 bits.

    Raises:
        DataError: If the file cannot be read.
    """
    with named_in_errors(path), path.open("rb") as file:
        try:
            image = identified(file)
        except UnidentifiedImageError:
            return None, True
        return packed_palette(image) if image.mode == "P" else None, image.mode[0] in "IF"


def _require_clear(layout: TiffLayout) -> None:
    """Raises DataError if values are not exact, or what they stand for is not clear."""
    if not layout.is_exact:
        raise DataError("compressed mask", "is compressed as JPEG or another that changes values; export it with LZW")
    if layout.is_grey and layout.bits in ({2}, {4}):  # as in PNGs: some programs store ids, others compress greys
        bits = min(layout.bits)
        raise DataError("bit depth", f"is grey in {bits} bits, where ids and shades look alike; export 8-bit grey")
    if layout.is_white_zero and layout.bits != {1}:
        raise DataError("inverted", "has 0 for white (MinIsWhite), where ids and shades look alike; export 0 for black")
    if layout.samples not in (1, 3) and not layout.has_alpha:
        raise DataError("bands", f"has {layout.samples} bands; masks have one of class ids, or three of colours")
    if layout.is_palette and max(layout.bits) > 8:
        raise DataError("bit depth", "has a palette of 16 bits; export one of 8 bits")


def _read_by_gdal(path: Path, layout: TiffLayout) -> np.ndarray:
    if layout.is_turned:
        raise DataError("turned mask", "has an orientation, which its kind of values is not read with; save it upright")
    require_decoder("has values that Pillow does not read", "rasterio")
    from rasterio.errors import NotGeoreferencedWarning
    from rasterio.io import MemoryFile

    with warnings.catch_warnings(), MemoryFile(path.read_bytes(), filename="TIFF") as memory:
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with memory.open(driver="GTiff") as raster:  # no other format, which may name other files
            require_pixels(raster.width, raster.height)
            if raster.count not in (1, 3):
                raise DataError("bands", f"has {raster.count} bands; masks have one of class ids, or three of colours")
            values = raster.read()
    return values[0] if len(values) == 1 else np.moveaxis(values, 0, -1)
