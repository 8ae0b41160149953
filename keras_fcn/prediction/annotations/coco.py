"""A mask's objects as COCO's run lengths, exact to the pixel; an object is a 4-connected component of a class."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator

import numpy as np

from keras_fcn.images.classes import ClassTable, class_fractions

_FRAME = re.compile(r"/\d{6,}$")
"""The end of a video frame's name, which has no suffix."""


def coco(name: str, ids: np.ndarray, classes: ClassTable) -> dict:
    """Returns the annotations of one image in COCO's format for object detection, one per object.

    Masks are COCO's compressed run-length encoding, since its polygons have no holes.

    Args:
        name: The image's file name.
        ids: Class ids uint8 [H, W].
        classes: Names; categories have the ids of the classes, without background.
    """
    from pycocotools import mask

    height, width = ids.shape
    named = [(index, name) for index, name in enumerate(classes.names) if index != classes.background]
    annotations: list[dict] = []
    for index in sorted(index for index, _ in class_fractions(ids, classes) if index != classes.background):
        runs = [{"size": [height, width], "counts": counts} for counts in _run_lengths(ids == index)]
        masks = mask.frPyObjects(runs, height, width)
        for encoded, area, box in zip(masks, mask.area(masks), mask.toBbox(masks)):
            annotations.append({
                "id": len(annotations) + 1,
                "image_id": 1,
                "category_id": index,
                "segmentation": {**encoded, "counts": encoded["counts"].decode()},
                "area": int(area),
                "bbox": [int(value) for value in box],
                "iscrowd": 0,
            })  # fmt: skip
    image = {"id": 1, "file_name": name, "width": width, "height": height}
    categories = [{"id": index, "name": name, "supercategory": ""} for index, name in named]
    return {"images": [image], "annotations": annotations, "categories": categories}


def _run_lengths(where: np.ndarray) -> Iterator[list[int]]:
    """Yields the run lengths of each object in a mask: of pixels outside and inside, in turn.

    All objects are encoded at once: a mask of each would take the time and memory of a whole image.

    Args:
        where: boolean [H, W], true at one pixel or more.
    """
    from scipy.ndimage import label

    flat = label(where)[0].ravel(order="F")  # COCO's runs go down the columns
    edges = np.flatnonzero(np.diff(flat, prepend=0, append=0))  # where runs begin, and the last ends
    starts, ends = edges[:-1], edges[1:]
    objects = flat[starts]
    order = np.argsort(objects, kind="stable")[(objects == 0).sum() :]  # object by object, without pixels outside
    firsts = np.flatnonzero(np.diff(objects[order])) + 1  # index of each next object in this order
    for runs in np.split(np.stack([starts, ends], axis=1)[order], firsts):
        lengths = np.diff(runs.ravel(), prepend=0, append=flat.size).tolist()
        yield lengths if lengths[-1] else lengths[:-1]


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
            is_frame, categories = bool(_FRAME.search(image["file_name"])), categories or part["categories"]
            is_alike = part["categories"] == categories
        except (KeyError, TypeError, ValueError):
            is_frame = is_alike = False
        if is_frame or not is_alike:
            left_out += [] if is_frame else [file]
            continue
        images.append({**image, "id": len(images) + 1})
        for annotation in own:
            annotations += 1
            text = json.dumps({**annotation, "id": annotations, "image_id": len(images)})
            yield (", " if annotations > 1 else "").encode() + text.encode()
    rest = json.dumps({"images": images, "categories": categories or []}, ensure_ascii=False)
    yield b"], " + rest[1:].encode(errors="backslashreplace") + b"\n"
