"""A mask's objects in COCO's format: as run lengths, exact to the pixel, or as polygons."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

import numpy as np

from keras_fcn.datasets.layouts.annotations.raster.coco import polygons_mask
from keras_fcn.images.classes import ClassTable
from keras_fcn.prediction.annotations.mask.objects import present, run_lengths, runs
from keras_fcn.prediction.annotations.mask.outlines import Ring, Rule, outlined
from keras_fcn.prediction.plan import is_frame


def coordinates(ring: Ring) -> list[int]:
    """Returns x, y, x, y, ... of at least three points: where there are less, the first is repeated."""
    return np.concatenate([ring, np.repeat(ring[:1], max(0, 3 - len(ring)), axis=0)]).ravel().tolist()


PYCOCOTOOLS = Rule(False, lambda rings, size: polygons_mask(list(map(coordinates, rings)), size))
"""Polygons as pycocotools fills them; so do CVAT's exports, and what reads Label Studio's."""


def coco(name: str, ids: np.ndarray, classes: ClassTable, tolerance: float = 0) -> dict:
    """Returns the annotations of one image in COCO's format for object detection, one per object.

    Masks are COCO's compressed run-length encoding, exact, since its polygons have no holes; or polygons, of objects
    with holes in several parts.

    Args:
        name: The image's file name.
        ids: Class ids uint8 [H, W].
        classes: Names; categories have the ids of the classes, without background.
        tolerance: Of polygons, in pixels; 0 for run lengths.
    """
    height, width = ids.shape
    found = _polygons(ids, classes, tolerance) if tolerance else _run_lengths(ids, classes)
    annotations = [
        {"id": number, "image_id": 1, **annotation, "iscrowd": 0} for number, annotation in enumerate(found, 1)
    ]
    named = [(index, name) for index, name in enumerate(classes.names) if index != classes.background]
    image = {"id": 1, "file_name": name, "width": width, "height": height}
    categories = [{"id": index, "name": name, "supercategory": ""} for index, name in named]
    return {"images": [image], "annotations": annotations, "categories": categories}


def _run_lengths(ids: np.ndarray, classes: ClassTable) -> Iterator[dict]:
    from pycocotools import mask
    from scipy.ndimage import label

    height, width = ids.shape
    for index in present(ids, classes):
        flat = label(ids == index)[0].ravel(order="F")  # COCO's runs go down the columns
        counts = [run_lengths(spans, flat.size) for _, spans in runs(flat)]
        masks = mask.frPyObjects([{"size": [height, width], "counts": each} for each in counts], height, width)
        # Not pycocotools' `area`, which fails for more than 255 masks at once.
        areas = [sum(each[1::2]) for each in counts]
        for encoded, area, box in zip(masks, areas, mask.toBbox(masks)):
            segmentation = {**encoded, "counts": encoded["counts"].decode()}
            yield {"category_id": index, "segmentation": segmentation, "area": int(area), "bbox": list(map(int, box))}


def _polygons(ids: np.ndarray, classes: ClassTable, tolerance: float) -> Iterator[dict]:
    for each, rings in outlined(ids, classes, PYCOCOTOOLS, tolerance):
        height, width = each.mask.shape
        yield {
            "category_id": each.index,
            "segmentation": list(map(coordinates, rings)),
            "area": int(each.mask.sum()),
            "bbox": [each.left, each.top, width, height],
        }


def merged_coco(files: Iterable[bytes], left_out: list[bytes]) -> Iterator[bytes]:
    """Yields, in pieces, one COCO file with the images and annotations of several, with new ids.

    Args:
        files: The result of `coco` for each image, as JSON. Frames of videos are skipped.
        left_out: Files with other categories than the first, or in another form, are added to it.
    """
    images: list[dict] = []
    categories, annotations = None, 0
    yield b'{"annotations": ['
    for file in files:
        try:
            part = json.loads(file)
            (image,), own = part["images"], part["annotations"]
            skip, categories = is_frame(image["file_name"]), categories or part["categories"]
            is_alike = part["categories"] == categories
        except (KeyError, TypeError, ValueError):
            skip = is_alike = False
        if skip or not is_alike:
            left_out += [] if skip else [file]
            continue
        images.append({**image, "id": len(images) + 1})
        for annotation in own:
            annotations += 1
            text = json.dumps({**annotation, "id": annotations, "image_id": len(images)})
            yield (", " if annotations > 1 else "").encode() + text.encode()
    rest = json.dumps({"images": images, "categories": categories or []}, ensure_ascii=False)
    yield b"], " + rest[1:].encode(errors="backslashreplace") + b"\n"
