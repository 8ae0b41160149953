"""Writing GeoTIFFs of class ids, probabilities and confidence, block by block."""

from __future__ import annotations

import contextlib
import errno
import json
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_fcn.images.classes import VOID_LABEL, ClassTable
from keras_fcn.images.rasters import Raster, Window
from keras_fcn.system.text import reason_of

_BLOCK = {"driver": "GTiff", "tiled": True, "blockxsize": 256, "blockysize": 256, "bigtiff": "if_safer"}
_SMALL = {"compress": "deflate", "zlevel": 6}
_LEAST_SPACE = 1 << 20
"""Bytes that are free on a disk where writing fails for another reason than want of space."""


class GeoTiff:
    """An open GeoTIFF to write to.

    Args:
        dataset: Rasterio's.
        path: The file.
    """

    def __init__(self, dataset: Any, path: Path) -> None:
        self._dataset, self._path = dataset, path

    def write(self, window: Window, bands: np.ndarray) -> None:
        """Writes a window of all bands, [bands, rows, columns].

        Raises:
            OSError: If it cannot be written.
        """
        with _as_os_error(self._path):
            self._dataset.write(bands, window=window)


@contextlib.contextmanager
def new_mask(path: Path, raster: Raster, classes: ClassTable) -> Iterator[GeoTiff]:
    """Creates a GeoTIFF of class ids: one band of 8 bits with the classes' colours and names; 255 is its nodata value.

    Args:
        path: The file.
        raster: The raster that it lies upon.
        classes: The classes.

    Raises:
        OSError: If it cannot be written.
    """
    options = {"count": 1, "dtype": "uint8", "nodata": VOID_LABEL, "photometric": "palette"}
    with _created(path, raster, options) as dataset:
        dataset.write_colormap(1, {index: (*color, 255) for index, color in enumerate(classes.palette().tolist())})
        dataset.update_tags(classes=json.dumps(classes.names, ensure_ascii=False))
        dataset.set_band_description(1, "class")
        yield GeoTiff(dataset, path)


@contextlib.contextmanager
def new_layer(path: Path, raster: Raster, names: Sequence[str]) -> Iterator[GeoTiff]:
    """Creates a GeoTIFF of bands of 16-bit floats; NaN is its nodata value.

    Args:
        path: The file.
        raster: The raster that it lies upon.
        names: The name of each band.

    Raises:
        OSError: If it cannot be written.
    """
    options = {"count": len(names), "dtype": "float32", "nbits": 16, "nodata": float("nan"), "predictor": 3}
    with _created(path, raster, {**options, "interleave": "band"}) as dataset:
        dataset.descriptions = tuple(names)
        yield GeoTiff(dataset, path)


@contextlib.contextmanager
def _created(path: Path, raster: Raster, options: dict[str, Any]) -> Iterator[Any]:
    import rasterio

    height, width = raster.shape[:2]
    with _as_os_error(path), contextlib.ExitStack() as stack:
        size = {"height": height, "width": width}
        yield stack.enter_context(rasterio.open(path, "w", **_BLOCK, **_SMALL, **size, **raster.place, **options))


@contextlib.contextmanager
def _as_os_error(path: Path) -> Iterator[None]:
    """Turns Rasterio's errors in the block into an OSError that says whether the disk is full."""
    from rasterio.errors import RasterioError

    try:
        yield
    except RasterioError as error:
        is_full = shutil.disk_usage(path.parent).free < _LEAST_SPACE
        raise OSError(errno.ENOSPC if is_full else errno.EIO, reason_of(error.__cause__ or error)) from None
