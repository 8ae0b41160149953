"""Outlines of a mask's objects as GeoJSON, exact to the pixel; an object is a 4-connected component of a class."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from keras_fcn.images.classes import ClassTable

Polygon = list[list[tuple[int, int]]]
"""An outer ring, and a ring for each hole; the first point of a ring is its last, too.

Coordinates are pixels from the upper left corner of the image, x to the right and y down; outlines run along the edges
of pixels, so that a polygon's area is the number of its pixels.
"""


def polygons(ids: np.ndarray, classes: ClassTable) -> Iterator[tuple[int, Polygon]]:
    """Yields class id and polygon of every object but background.

    Args:
        ids: Class ids uint8 [H, W].
        classes: The class table, with its background.
    """
    from rasterio.features import shapes

    foreground = ids < classes.num_classes
    if classes.background is not None:
        foreground &= ids != classes.background
    for shape, value in shapes(ids, mask=foreground, connectivity=4):
        # Reversed: seen with y upwards, as the standard has it, outer rings then run counterclockwise.
        yield int(value), [[(int(x), int(y)) for x, y in ring[::-1]] for ring in shape["coordinates"]]


def geojson(ids: np.ndarray, classes: ClassTable) -> dict:
    """Returns a feature collection (RFC 7946) with a MultiPolygon for each class in the mask but background.

    Args:
        ids: Class ids uint8 [H, W].
        classes: Names.
    """
    parts: dict[int, list[Polygon]] = {}
    for index, polygon in polygons(ids, classes):
        parts.setdefault(index, []).append(polygon)
    features = [
        {
            "type": "Feature",
            "properties": {"id": index, "name": classes.names[index], "pixels": int((ids == index).sum())},
            "geometry": {"type": "MultiPolygon", "coordinates": parts[index]},
        }
        for index in sorted(parts)
    ]
    return {"type": "FeatureCollection", "features": features}
