"""Outlines of what a mask shows, as GeoJSON and as COCO annotations, exact to the pixel.

Coordinates are pixels from the upper left corner of the image, x to the right and y down; outlines run along the edges
of pixels, so that a polygon's area is the number of its pixels. Pixels hang together across edges, not corners.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Iterator

import numpy as np

from keras_fcn.images.classes import ClassTable

Ring = list[tuple[int, int]]
"""A closed outline: its first point is its last, too."""

Polygon = list[Ring]
"""An outer ring, and a ring for each hole."""


def polygons(ids: np.ndarray, classes: ClassTable) -> Iterator[tuple[int, Polygon]]:
    """Yields every connected part of every class but background: the class id and its polygon.

    Args:
        ids: Class ids uint8 [H, W].
        classes: Which of them is background.
    """
    from rasterio.features import shapes

    wanted = ids < classes.num_classes
    if classes.background is not None:
        wanted &= ids != classes.background
    for shape, value in shapes(ids, mask=wanted, connectivity=4):
        # Reversed: seen with y upwards, as the standard has it, outer rings then run counterclockwise.
        yield int(value), [[(int(x), int(y)) for x, y in ring[::-1]] for ring in shape["coordinates"]]


def geojson(ids: np.ndarray, classes: ClassTable) -> dict:
    """Returns a feature collection (RFC 7946) with a MultiPolygon for each class that is there, background left out.

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


def coco(name: str, ids: np.ndarray, classes: ClassTable) -> dict:
    """Returns the annotations of one image in COCO's format for object detection: one for each connected part.

    COCO's polygons have no holes. A part with holes is cut through them into several polygons that touch.

    Args:
        name: The image's file name.
        ids: Class ids uint8 [H, W].
        classes: Names; categories have the ids of the classes, and background is none.
    """
    annotations = []
    for number, (index, polygon) in enumerate(polygons(ids, classes), 1):
        outer = np.array(polygon[0])
        (left, top), (right, bottom) = outer.min(axis=0).tolist(), outer.max(axis=0).tolist()
        annotations.append({
            "id": number,
            "image_id": 1,
            "category_id": index,
            "segmentation": [[value for point in ring[:-1] for value in point] for ring in without_holes(polygon)],
            "area": area(polygon),
            "bbox": [left, top, right - left, bottom - top],
            "iscrowd": 0,
        })  # fmt: skip
    height, width = ids.shape
    image = {"id": 1, "file_name": name, "width": width, "height": height}
    named = [(index, name) for index, name in enumerate(classes.names) if index != classes.background]
    categories = [{"id": index, "name": name, "supercategory": ""} for index, name in named]
    return {"images": [image], "annotations": annotations, "categories": categories}


def merged_coco(files: Iterable[bytes]) -> Iterator[bytes]:
    """Yields, piece by piece, one COCO file of the images and annotations of several, numbered anew.

    Args:
        files: What `coco` returned for each image, as JSON; the same categories in all.
    """
    images, categories, annotations = [], [], 0
    yield b'{"annotations": ['
    for number, file in enumerate(files, 1):
        part = json.loads(file)
        images.append({**part["images"][0], "id": number})
        categories = part["categories"]
        for annotation in part["annotations"]:
            annotations += 1
            text = json.dumps({**annotation, "id": annotations, "image_id": number})
            yield (", " if annotations > 1 else "").encode() + text.encode()
    rest = json.dumps({"images": images, "categories": categories}, ensure_ascii=False)
    yield b"], " + rest[1:].encode() + b"\n"


def area(polygon: Polygon) -> int:
    """Returns the number of pixels in a polygon."""
    return abs(_signed_area(polygon[0])) - sum(abs(_signed_area(ring)) for ring in polygon[1:])


def without_holes(polygon: Polygon) -> list[Ring]:
    """Returns outer rings that together cover what a polygon with holes covers, and touch without overlapping.

    It is cut from top to bottom through a hole near its middle, and the halves again as long as they have holes.
    """
    if len(polygon) == 1:
        return [polygon[0]]
    from rasterio.features import rasterize, shapes

    outer = np.array(polygon[0])
    (left, top), (right, bottom) = outer.min(axis=0).tolist(), outer.max(axis=0).tolist()
    moved = [[(x - left, y - top) for x, y in ring] for ring in polygon]
    shape = {"type": "Polygon", "coordinates": moved}
    mask = rasterize([shape], out_shape=(bottom - top, right - left), dtype="uint8")
    middles = [(min(x for x, _ in ring) + max(x for x, _ in ring)) // 2 for ring in moved[1:]]
    cut = min(middles, key=lambda x: abs(2 * x - (right - left)))
    cut = max(cut, 1)
    rings: list[Ring] = []
    for start, half in ((left, mask[:, :cut]), (left + cut, mask[:, cut:])):
        for part, _ in shapes(np.ascontiguousarray(half), mask=half == 1, connectivity=4):
            found = [[(int(x) + start, int(y) + top) for x, y in ring[::-1]] for ring in part["coordinates"]]
            rings += without_holes(found)
    return rings


def _signed_area(ring: Ring) -> int:
    """Returns the area within a ring, positive if it runs counterclockwise with y upwards (the shoelace formula)."""
    return sum(x0 * y1 - x1 * y0 for (x0, y0), (x1, y1) in itertools.pairwise(ring)) // 2
