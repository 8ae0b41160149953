"""Images, from files or from memory, as RGB arrays."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from PIL import Image
from PIL.ImageFile import ImageFile

from keras_fcn.errors import DataError, Remark, UserError
from keras_fcn.images.bands.files import as_bands, bands_size, is_array, read_bands
from keras_fcn.images.headers.orientation import orientation
from keras_fcn.images.pillow import displayed, load, named_in_errors, opened
from keras_fcn.images.rasters import is_for_rasterio, opened_raster
from keras_fcn.images.several import SEVERAL, describe_several, pages_in, pictures_in
from keras_fcn.images.values.channels import RGB, Channels, shown
from keras_fcn.images.values.depth import DARK, brightest, dark_value, describe_dark, has_16_bits, require_known_range
from keras_fcn.images.windows import is_window, read_pixels, read_window

IMAGE_SUFFIXES = (
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".tif", ".tiff", ".bmp", ".webp", ".gif",
    ".avif", ".heic", ".heif", ".hif",
)  # fmt: skip
"""Suffixes of the images that are found in a folder, in lower case."""

OTHER_PICTURES = (
    ".jxl", ".jp2", ".j2k", ".img", ".vrt", ".ppm", ".pgm", ".pbm", ".pnm", ".pcx", ".tga",
    ".psd", ".exr", ".hdr", ".svg", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".rw2", ".raf",
)  # fmt: skip
"""Suffixes of pictures that are not looked for in a folder: each listing says how many of them it leaves out."""

_BAND_PIXELS = 1 << 23
"""Pixels that are converted at a time: Pillow's conversion to NumPy holds three copies of them."""


def read_image(path: str | Path, channels: Channels = RGB) -> np.ndarray:
    """Decodes an image file of any mode to RGB, or to other channels, with its EXIF orientation applied.

    Args:
        path: The file.
        channels: The channels to read.

    Returns:
        uint8 [H, W, channels]. The upper 8 of 16 bits are kept; transparency is dropped from RGB; of several pictures
        it is the first.

    Raises:
        DataError: If the file cannot be read or decoded to its last pixel, has values of 32 bits, or other channels.
    """
    if is_window(path):
        return read_pixels(path)
    if not channels.is_rgb or is_array(path):
        return read_bands(path, channels).pixels
    if is_for_rasterio(path):
        return _read_raster(path)[0]
    with opened(path) as image:
        return _decoded(image)


def read_remarked(
    path: str | Path, content: bytes | None = None, channels: Channels = RGB
) -> tuple[np.ndarray, Remark | None]:  # fmt: skip
    """Decodes an image file as `read_image` does.

    Args:
        path: The file.
        content: The file's bytes, if they are in memory; `path` is then only its name in messages.
        channels: The channels to read.

    Returns:
        The image uint8 [H, W, channels]; and a remark if the file has 16 bits a channel and is nearly black, as with
        values of 10 to 14 bits, or holds several pictures.

    Raises:
        DataError: As `read_image` does.
    """
    if content is None and is_window(path):
        return read_pixels(path), None
    if not channels.is_rgb or is_array(path):
        found = read_bands(path, channels, content)
        pixels, is_deep, pictures = found.pixels, found.brightest is not None, found.pictures
    elif content is None and is_for_rasterio(path):
        (pixels, is_deep), pictures = _read_raster(path), pages_in(path)
    else:
        with opened(path, content) as image:
            is_deep, pictures = has_16_bits(image), pictures_in(image)
            pixels = _decoded(image)
    lines: dict[str, str] = {}
    if is_deep and (value := dark_value(pixels)) is not None:
        lines[DARK] = describe_dark({str(path): value})
    if pictures > 1:
        lines[SEVERAL] = describe_several({str(path): pictures})
    return pixels, Remark(", ".join(lines), "; ".join(lines.values())) if lines else None


def as_image(image: Any, channels: Channels = RGB) -> np.ndarray:
    """Returns an image in the networks' input format, uint8 [H, W, 3], or with other channels.

    Args:
        image: A path; an image of Pillow's of any mode, whose EXIF orientation is applied; or an array uint8 [H, W, 3],
            [H, W, 4], whose transparency is dropped, or grey [H, W] or [H, W, 1].
        channels: The channels to read of a file; arrays have these already.

    Warns:
        UserWarning: If a file has 16 bits a channel and is nearly black, or holds several pictures.

    Raises:
        UserError: If a file cannot be decoded, or an array has another shape or type.
    """
    if isinstance(image, (str, Path)):
        pixels, remark = read_remarked(image, channels=channels)
        if remark:
            warnings.warn(str(remark), stacklevel=3)
        return pixels
    if channels.count != 3:
        return as_bands(image, channels.count)
    if isinstance(image, Image.Image):
        with named_in_errors(getattr(image, "filename", "") or "the image"):
            require_known_range(image)
            return _rgb(displayed(image))
    pixels = np.asarray(image)
    if pixels.dtype != np.uint8:
        raise UserError(f"images are arrays of uint8, 0 to 255. Received: {pixels.dtype} {list(pixels.shape)}")
    if pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[-1] == 1):
        return np.repeat(pixels.reshape(*pixels.shape[:2], 1), 3, axis=2)
    if pixels.ndim != 3 or pixels.shape[-1] not in (3, 4):
        raise UserError(f"images have the shape [H, W, 3]; give several as a list. Received: {list(pixels.shape)}")
    return pixels[..., :3]


def is_plain_jpeg(path: Path) -> bool:
    """Returns whether a file is a JPEG that every decoder reads alike: RGB or grey, without an orientation.

    Only its header is read.

    Raises:
        DataError: If the file cannot be read or is not an image.
    """
    if is_window(path) or is_for_rasterio(path) or is_array(path):
        return False
    with opened(path) as image:
        return image.format == "JPEG" and image.mode in ("RGB", "L") and orientation(image) == 1


@dataclasses.dataclass(frozen=True)
class Inspected:
    """The properties of an image file.

    Attributes:
        size: Height and width with its EXIF orientation applied.
        orientation: Its EXIF orientation, 1 to 8.
        brightest: The greatest of its values from 0 to 65,535, if it has 16 bits a channel; None otherwise. Of colours,
            of which Pillow gives the upper 8 bits, the greatest possible.
        pictures: The number of pictures in it.
        channels: The number of channels in it, a palette's being three; 0 if it is not known.
    """

    size: tuple[int, int]
    orientation: int
    brightest: int | None
    pictures: int = 1
    channels: int = 0


Look: TypeAlias = Callable[[Image.Image, int], object]
"""Takes a decoded image, a JPEG perhaps reduced to not less than `LOOKED_AT`, and its EXIF orientation."""

LOOKED_AT = (64, 64)

_COUNTS = {"1": 1, "L": 1, "LA": 2, "La": 2, "RGBA": 4, "RGBa": 4}
"""Channels of Pillow's modes that have other than three."""


def inspect_image(path: Path, look: Look | None = None, channels: Channels = RGB) -> Inspected:
    """Returns the properties of an image file, after a check that it can be decoded.

    Args:
        path: The file.
        look: Is called with the image, unless it is a GeoTIFF or a window, of which no more than a part is in memory.
        channels: The channels to read.

    Raises:
        DataError: If the file cannot be decoded to its last pixel, or has values of 32 bits.
    """
    if is_window(path):
        window = read_window(path)
        return Inspected(window.size, 1, None, 1, window.shape[2])
    if is_for_rasterio(path):
        return _inspect_raster(path, channels)
    if not channels.is_rgb or is_array(path):
        found = read_bands(path, channels)
        if look is not None:
            look(Image.fromarray(shown(found.pixels)), 1)
        return Inspected(found.pixels.shape[:2], 1, found.brightest, found.pictures, found.have)
    with opened(path) as image:
        size, turn, is_deep, pictures = image.size, orientation(image), has_16_bits(image), pictures_in(image)
        # A JPEG is decoded to an eighth of its size, or more if somebody looks, but all its data are read; others would
        # give a small copy of it.
        is_reduced = image.format in ("JPEG", "MPO") and image.draft("RGB", LOOKED_AT if look else (1, 1))
        require_known_range(image)
        load(image)
        width, height = size if is_reduced else image.size  # TIFF files have been turned
        most = brightest(image) if is_deep else None
        if look is not None:
            look(image, turn)
        have = 1 if image.mode.startswith("I") else _COUNTS.get(image.mode, 3)
        return Inspected((width, height) if turn >= 5 else (height, width), turn, most, pictures, have)


def _inspect_raster(path: Path, channels: Channels) -> Inspected:
    with opened_raster(path, channels) as raster:
        for window in raster.windows():
            _ = raster[window]
        return Inspected(raster.shape[:2], 1, raster.brightest, pages_in(path), raster.have)


def orientation_of(path: Path) -> int:
    """Returns the EXIF orientation of an image file, 1 to 8, from its header.

    Raises:
        DataError: If the file cannot be read or is not an image.
    """
    if is_window(path) or is_for_rasterio(path) or is_array(path):
        return 1
    with opened(path) as image:
        return orientation(image)


def image_size(path: Path) -> tuple[int, int]:
    """Returns height and width of an image with its EXIF orientation applied, after a check that it can be decoded.

    Raises:
        DataError: If the file cannot be decoded to its last pixel, or has values of 32 bits.
    """
    return inspect_image(path).size


def displayed_size(path: Path) -> tuple[int, int]:
    """Returns height and width of an image with its EXIF orientation applied, from its header alone.

    Raises:
        DataError: If the file cannot be read or is not an image.
    """
    if is_window(path):
        return read_window(path).size
    if is_for_rasterio(path):
        return bands_size(path) or (0, 0)
    try:
        with opened(path) as image:
            return (image.width, image.height) if orientation(image) > 4 else (image.height, image.width)
    except DataError:
        if size := bands_size(path):
            return size
        raise


def decoded_bytes(path: str | Path, channels: Channels = RGB) -> int:
    """Returns the bytes of an image decoded to RGB or other channels, from its header; 0 if the file is no image."""
    try:
        height, width = displayed_size(Path(path))
        return max(3, channels.count) * width * height
    except UserError:
        return 0


def _decoded(opened_image: ImageFile) -> np.ndarray:
    """Returns an image as RGB, uint8 [H, W, 3], with hardly more memory than for Pillow's copy and the result."""
    require_known_range(opened_image)
    image = displayed(opened_image)
    rows = max(1, _BAND_PIXELS // max(1, image.width))
    if image.height <= rows:
        return _rgb(image)
    pixels = np.empty((image.height, image.width, 3), np.uint8)
    for top in range(0, image.height, rows):
        bottom = min(top + rows, image.height)
        pixels[top:bottom] = _rgb(image.crop((0, top, image.width, bottom)))
    return pixels


def _read_raster(path: str | Path) -> tuple[np.ndarray, bool]:
    """Returns a GeoTIFF as RGB, uint8 [H, W, 3], and whether it has 16 bits a channel."""
    with opened_raster(path) as raster:
        return raster.read(), raster.brightest is not None


def _rgb(image: Image.Image) -> np.ndarray:
    if image.mode.startswith("I"):
        return np.repeat((np.asarray(image) >> 8).astype(np.uint8)[..., None], 3, axis=2)
    return np.asarray(image.convert("RGB"))
