"""The outlines of a predicted raster as GeoJSON, in longitudes and latitudes as RFC 7946 has them."""

from __future__ import annotations

import contextlib
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np

from keras_fcn.errors import UserError
from keras_fcn.images.classes import ClassTable
from keras_fcn.images.rasters import Raster

_WGS84 = "OGC:CRS84"
"""Longitude before latitude (RFC 7946, section 4)."""

_LONGEST_EDGE = 100
"""Pixels between two points: what is straight on the raster is a curve in longitudes and latitudes."""

_DIGITS = 9
"""Decimals of a degree, a tenth of a millimetre."""

_POINTS = 1 << 16
"""Points that are transformed at a time."""

Rings = list[np.ndarray]
"""An outer ring, and one for each hole, [points, 2] of columns and rows; the last point is the first."""

Locate = Callable[[np.ndarray], np.ndarray]
"""From columns and rows, [points, 2], to the coordinates in the file."""


def write_outlines(path: Path, mask: Path, raster: Raster, classes: ClassTable, pixels: np.ndarray) -> None:
    """Writes a feature collection with a MultiPolygon for each class in a mask but background.

    Args:
        path: The file.
        mask: The GeoTIFF of class ids.
        raster: The raster that it lies upon; without a coordinate reference system, coordinates are pixels.
        classes: Names.
        pixels: The number of pixels of each id.

    Raises:
        UserError: If the raster's coordinates have no longitudes and latitudes.
    """
    with contextlib.ExitStack() as stack, path.open("w", encoding="utf-8", errors="backslashreplace") as file:
        parts: dict[int, IO[str]] = {}  # the polygons of each class
        for index, polygon in _located(_polygons(mask, classes), _locate(raster)):
            if index in parts:
                parts[index].write(", ")
            else:
                parts[index] = stack.enter_context(tempfile.TemporaryFile("w+", dir=mask.parent))
            parts[index].write(json.dumps(polygon))
        file.write('{"type": "FeatureCollection", "features": [')
        for number, index in enumerate(sorted(parts)):
            properties = {"id": index, "name": classes.names[index], "pixels": int(pixels[index])}
            text = json.dumps(properties, ensure_ascii=False)
            file.write(f'{", " if number else ""}{{"type": "Feature", "properties": {text}, ')
            file.write('"geometry": {"type": "MultiPolygon", "coordinates": [')
            parts[index].seek(0)
            shutil.copyfileobj(parts[index], file)
            file.write("]}}")
        file.write("]}\n")


def _polygons(mask: Path, classes: ClassTable) -> Iterator[tuple[int, Rings]]:
    """Yields class id and rings of every object but background, along the edges of pixels."""
    import rasterio
    from rasterio.features import shapes

    with rasterio.open(mask) as dataset:
        to_pixels = ~dataset.transform  # the shapes of a band, unlike those of an array, lie on the map
        for shape, value in shapes(rasterio.band(dataset, 1), connectivity=4):
            if (index := int(value)) < classes.num_classes and index != classes.background:
                yield index, [np.rint(_moved(np.array(ring), to_pixels)) for ring in shape["coordinates"]]


def _located(polygons: Iterator[tuple[int, Rings]], locate: Locate) -> Iterator[tuple[int, list]]:
    """Yields class id and coordinates of polygons, many of which are located at once."""
    waiting: list[tuple[int, Rings]] = []
    points = 0
    for index, rings in polygons:
        waiting.append((index, rings := [_with_points_between(ring) for ring in rings]))
        points += sum(map(len, rings))
        if points > _POINTS:
            yield from _located_at_once(waiting, locate)
            waiting, points = [], 0
    if waiting:
        yield from _located_at_once(waiting, locate)


def _located_at_once(waiting: list[tuple[int, Rings]], locate: Locate) -> Iterator[tuple[int, list]]:
    rings = [ring for _, of_one in waiting for ring in of_one]
    coordinates = locate(np.concatenate(rings))
    located = iter(np.split(coordinates, np.cumsum([len(ring) for ring in rings])[:-1]))
    for index, of_one in waiting:
        polygon = [next(located) for _ in of_one]
        x, y = (polygon[0] - polygon[0][0]).T
        is_clockwise = (x[:-1] * y[1:] - x[1:] * y[:-1]).sum() < 0
        yield index, [(ring[::-1] if is_clockwise else ring).tolist() for ring in polygon]


def _with_points_between(ring: np.ndarray) -> np.ndarray:
    """Returns a ring with further points on edges of more than `_LONGEST_EDGE` pixels."""
    steps = np.diff(ring, axis=0)
    parts = np.ceil(np.abs(steps).max(axis=1) / _LONGEST_EDGE).astype(int)
    if parts.max() <= 1:
        return ring
    number = np.concatenate([np.arange(count) for count in parts])
    points = ring[:-1].repeat(parts, axis=0) + steps.repeat(parts, axis=0) * (number / parts.repeat(parts))[:, None]
    return np.concatenate([points, ring[-1:]])


def _locate(raster: Raster) -> Locate:
    if raster.crs is None:
        return lambda points: points
    from rasterio.errors import RasterioError
    from rasterio.warp import transform

    def degrees(points: np.ndarray) -> np.ndarray:
        try:
            place = transform(raster.crs, _WGS84, *_moved(points, raster.transform).T)
        except RasterioError:
            place = np.full((2, 1), np.inf)
        if not np.isfinite(place).all():
            raise UserError("its coordinates have no longitude and latitude, which GeoJSON takes (RFC 7946)")
        return np.stack(place, axis=1)

    height, width = raster.shape[:2]
    middle = (degrees(np.array([[width / 2, height / 2]]))[0, 0] + 180) % 360 - 180

    def located(points: np.ndarray) -> np.ndarray:
        """Returns longitudes and latitudes; those of one raster go on beyond 180 degrees, lest outlines turn back."""
        place = degrees(points)
        away = place[:, 0] - middle
        place[:, 0] -= 360 * ((away > 180).astype(int) - (away < -180))
        return np.round(place, _DIGITS)

    return located


def _moved(points: np.ndarray, transform: Any) -> np.ndarray:
    """Returns points [N, 2] after an affine transform of Rasterio's."""
    a, b, c, d, e, f, *_ = transform
    x, y = points.T
    return np.stack([a * x + b * y + c, d * x + e * y + f], axis=1)
