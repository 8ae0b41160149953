"""GeoTIFFs, read window by window through Rasterio, in memory that does not grow with them."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import struct
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from keras_fcn.errors import DataError, argument
from keras_fcn.images.headers.tiff import TiffLayout
from keras_fcn.images.values.channels import RGB, Channels
from keras_fcn.system.packages import require_packages
from keras_fcn.system.text import reason_of

_SUFFIXES = (".tif", ".tiff")
_PLACES = (33550, 33922, 34264, 34735)
"""Tags of a GeoTIFF (OGC 19-008r4): pixel scale, tie points, transformation, and the directory of its keys."""

_WORLD_FILES = (".tfw", ".wld")
"""Suffixes of the files that hold the place of a TIFF beside it."""

_CACHE_MEGABYTES = 128
"""Decoded blocks that GDAL keeps; by default it is a twentieth of the memory."""

_COLORS = ("red", "green", "blue")

Window = tuple[slice, slice]
"""Rows and columns of an image, with begin and end."""


def is_raster(path: str | Path, content: bytes | None = None) -> bool:
    """Returns whether a file is a TIFF that has a place on the map, from its header; False for what cannot be read.

    Args:
        path: The file.
        content: Its bytes, if they are in memory.
    """
    tags = _tags(path, content)
    return tags is not None and (any(tag in tags for tag in _PLACES) or _has_world_file(Path(path)))


def is_for_rasterio(path: str | Path) -> bool:
    """Returns whether Rasterio reads an image: a GeoTIFF, or, if it is installed, a TIFF that Pillow reads wrongly."""
    if (tags := _tags(path)) is None:
        return False
    if any(tag in tags for tag in _PLACES) or _has_world_file(Path(path)):
        return True
    return TiffLayout(tags, tags.prefix == b"II").is_for_gdal and importlib.util.find_spec("rasterio") is not None


def _tags(path: str | Path, content: bytes | None = None) -> ImageFileDirectory_v2 | None:
    """Returns the tags of a TIFF's first picture; None for what is none, or cannot be read."""
    path = Path(path)
    if path.suffix.lower() not in _SUFFIXES:
        return None
    damage = OSError, SyntaxError, TypeError, ValueError, LookupError, struct.error
    with contextlib.suppress(*damage), path.open("rb") if content is None else io.BytesIO(content) as file:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about files that end early
            header = file.read(8)
            header += file.read(8) if 43 in header[2:4] else b""  # of a BigTIFF
            directory = ImageFileDirectory_v2(header)
            file.seek(directory.next)
            directory.load(file)
        return directory
    return None


def _has_world_file(path: Path) -> bool:
    return any(path.with_suffix(suffix).is_file() for suffix in _WORLD_FILES)


class Raster:
    """An open GeoTIFF, whose windows are read as images are: RGB, the upper 8 of 16 bits, transparency dropped.

    Args:
        dataset: Rasterio's.
        path: The file, for error messages.
        channels: The channels to read; of others than RGB, transparency is one.

    Attributes:
        shape: Height, width, and the number of channels that are read.
        have: The number of bands in the file.
        crs: Rasterio's coordinate reference system; None if it has none, or is placed by control points alone.
        transform: The affine transform from columns and rows to the coordinates of `crs`.
        brightest: The greatest value, 0 to 65,535, that was read so far of a raster of 16 bits; None of 8 bits.
    """

    def __init__(self, dataset: Any, path: Path, channels: Channels = RGB) -> None:
        self._dataset, self._path, self._channels, self.have = dataset, path, channels, dataset.count
        self.shape: tuple[int, int, int] = (dataset.height, dataset.width, channels.count)
        self._gcps, gcps_crs = dataset.gcps
        self.crs, self.transform = None if self._gcps else dataset.crs, dataset.transform
        self._place = {"gcps": self._gcps, "crs": gcps_crs} if self._gcps else {"crs": self.crs}
        self._bands = self._chosen_bands()
        self._palette = self._colors() if self._interpretation[0] == "palette" else None
        self._is_inverted = dataset.tags(ns="IMAGE_STRUCTURE").get("MINISWHITE") == "YES"
        self.brightest = 0 if self._bytes == 2 and self._palette is None else None

    @property
    def place(self) -> dict[str, Any]:
        """Returns the arguments by which Rasterio gives a new file the same place on the map."""
        place = dict(self._place)
        return place if self._gcps or self.transform.is_identity else {**place, "transform": self.transform}

    @property
    def has_gaps(self) -> bool:
        """Returns whether pixels may be nodata: by a nodata value, a mask or an alpha channel."""
        return any(flag.name != "all_valid" for flags in self._dataset.mask_flag_enums for flag in flags)

    def __getitem__(self, window: Window) -> np.ndarray:
        """Returns the pixels of a window, uint8 [rows, columns, channels].

        Raises:
            DataError: If they cannot be decoded.
        """
        with _explained(self._path):
            pixels = self._dataset.read(self._bands, window=window)
        if self._palette is not None:
            return self._palette[pixels[0]]
        if self.brightest is not None:
            shown = pixels[:, self.valid(window)] if self.has_gaps else pixels
            self.brightest = max(self.brightest, int(shown.max(initial=0)))
            pixels = (pixels >> 8).astype(np.uint8)
        if self._is_inverted:
            pixels = 255 - pixels
        return np.ascontiguousarray(np.moveaxis(np.broadcast_to(pixels, (self.shape[2], *pixels.shape[1:])), 0, 2))

    def read(self) -> np.ndarray:
        """Returns all pixels, uint8 [height, width, channels]; raises DataError if they cannot be read."""
        pixels = np.empty(self.shape, np.uint8)
        for window in self.windows():
            pixels[window] = self[window]
        return pixels

    def valid(self, window: Window) -> np.ndarray:
        """Returns which pixels of a window are not nodata, bool [rows, columns]."""
        with _explained(self._path):
            return self._dataset.dataset_mask(window=window) != 0

    def windows(self, pixels: int = 1 << 22) -> Iterator[Window]:
        """Yields windows that cover the raster once, of whole rows of about `pixels` pixels."""
        height, width = self.shape[:2]
        tall = self._dataset.block_shapes[0][0]
        rows = max(1, pixels // width // tall) * tall
        for top in range(0, height, rows):
            yield slice(top, min(top + rows, height)), slice(0, width)

    @property
    def _bytes(self) -> int:
        return np.dtype(self._dataset.dtypes[0]).itemsize

    @property
    def _interpretation(self) -> list[str]:
        return [entry.name for entry in self._dataset.colorinterp]

    def _chosen_bands(self) -> list[int]:
        """Returns the numbers of the bands that are read: one of grey or of a palette, or three of colours."""
        dataset, names = self._dataset, self._interpretation
        given = [] if self._channels.is_rgb else self._channels.chosen(self._path, dataset.count)
        types = {dataset.dtypes[place] for place in given} or set(dataset.dtypes)
        if len(types) > 1 or not types <= {"uint8", "uint16"}:
            kind = " and ".join(sorted(types))
            raise self._error(f"it holds values of {kind}, whose range nothing tells; scale them to 8 bits, 0 to 255")
        if "NBITS" in dataset.tags(1, ns="IMAGE_STRUCTURE") and dataset.dtypes[0] == "uint8":
            bits = dataset.tags(1, ns="IMAGE_STRUCTURE")["NBITS"]
            raise self._error(f"its values have {bits} bits, where ids and shades look alike; save it with 8 bits")
        if given and names[0] == "palette":
            raise self._error("it has a palette, whose indices are no values; save it as RGB")
        if given:
            return [place + 1 for place in given]
        colors = [names.index(name) + 1 for name in _COLORS if name in names]
        opaque = [number for number, name in enumerate(names, start=1) if name != "alpha"]
        if len(colors) == 3:
            return colors
        if len(opaque) in (1, 3):
            return opaque
        kinds = ", ".join([*names[:4], *["..."] * (len(names) > 4)])
        raise self._error(
            f"it has {dataset.count} bands ({kinds}), not all of red, green and blue among them; "
            f"{argument('channels', '1,2,3')} reads these three, {argument('channels', str(dataset.count))} all"
        )

    def _colors(self) -> np.ndarray:
        """Returns the colours of all indices of a palette, uint8 [256, 3], or [65536, 3] of 16 bits."""
        table, colors = self._dataset.colormap(1), np.zeros((1 << 8 * self._bytes, 3), np.uint8)
        for index, color in table.items():
            colors[index] = color[:3]
        return colors

    def _error(self, reason: str) -> DataError:
        return DataError("undecodable file", f"{self._path}: cannot be decoded ({reason})")


@contextlib.contextmanager
def opened_raster(path: str | Path, channels: Channels = RGB) -> Iterator[Raster]:
    """Opens a GeoTIFF, or with other channels than RGB any TIFF.

    Raises:
        DataError: If it cannot be read, or has bands or values that are not images'.
        UserError: If Rasterio is not installed.
    """
    require_packages(f"{path} (a TIFF of bands)" if channels.count != 3 else f"{path} (a GeoTIFF)", "extra", "rasterio")
    import rasterio
    from rasterio.errors import NotGeoreferencedWarning

    with contextlib.ExitStack() as stack:
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore", NotGeoreferencedWarning)  # of those with control points
        stack.enter_context(rasterio.Env(GDAL_CACHEMAX=_CACHE_MEGABYTES))
        with _explained(path):
            dataset = stack.enter_context(rasterio.open(path))
        yield Raster(dataset, Path(path), channels)


@contextlib.contextmanager
def _explained(path: str | Path) -> Iterator[None]:
    """Turns Rasterio's errors in the block into a DataError of one line that names the file."""
    from rasterio.errors import RasterioError

    try:
        yield
    except RasterioError as error:
        reason = reason_of(error.__cause__ or error).replace(f"{path}: ", "")
        message = f"{path}: cannot be decoded ({reason}); replace the file or remove it from the data set"
        raise DataError("undecodable file", message) from None
