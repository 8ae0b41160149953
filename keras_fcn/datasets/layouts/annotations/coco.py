"""COCO's JSON of objects, polygons and run lengths, as COCO, CVAT, Roboflow and Label Studio lay it beside images."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from keras_fcn.datasets.layouts.annotations.classes import class_table
from keras_fcn.datasets.layouts.annotations.coco_json import (
    annotated_images,
    coco_files,
    is_panoptic,
    key_of,
    read_categories,
    read_entries,
)  # fmt: skip
from keras_fcn.datasets.layouts.annotations.drawing import Annotation, draw_pairs
from keras_fcn.datasets.layouts.annotations.files import holds_masks
from keras_fcn.datasets.layouts.annotations.raster.coco import draw_coco
from keras_fcn.datasets.layouts.annotations.splits import by_split, files_to_read
from keras_fcn.datasets.pairs import Pairs
from keras_fcn.errors import DataError
from keras_fcn.system.packages import require_packages

_NO_OBJECTS = re.compile(r"(captions|image_info)_.*")
_OTHER_TASKS = re.compile(r"(person_keypoints|stuff)_.*")
"""Files that COCO has beside those of objects: without segmentations, and with some."""


def recognizes(root: Path) -> bool:
    """Returns whether there is a JSON file of COCO's objects, and no folder of masks."""
    return bool(_files(root)) and not holds_masks(root)


def read_coco(root: Path, split: str) -> Pairs:
    """Lists the pairs of one split; classes are background and the categories in the order of their ids.

    Objects are drawn in the order of the file, a later one over an earlier one, crowds like others.

    Args:
        root: The folder that holds the JSON files, in it or in folders in it, and the images.
        split: The name of a split in the names of files or of their folders; without any, "train", "val" or "all".

    Raises:
        UserError: If there is no such split, a file is not COCO's JSON, or files disagree about categories.
    """
    files = by_split(root, _files(root), "JSON of COCO's objects")
    require_packages("the layout coco", "extra", "pycocotools")
    names, divide = files_to_read(root, files, split)
    categories = read_categories(files)
    classes, indices = class_table(files[names[0]], list(categories.values()))
    ids = dict(zip(categories, indices))
    found: list[Annotation | DataError] = []
    for name in names:
        images, objects = read_entries(files[name])
        shapes, faults = _shapes(files[name], images, objects, ids)
        found += [*faults, *annotated_images(root, files[name], name, images, shapes)]
    return draw_pairs("COCO objects", split, root, found, classes, draw_coco, divide)


def _files(root: Path) -> list[Path]:
    found = [path for path in coco_files(root) if not _NO_OBJECTS.fullmatch(path.stem) and not is_panoptic(path)]
    return [path for path in found if not _OTHER_TASKS.fullmatch(path.stem)] or found


def _shapes(
    path: Path, images: list[dict], objects: list[dict], ids: dict[int, int]
) -> tuple[dict[Any, list], list[DataError]]:  # fmt: skip
    """Returns class and segmentation of each image's objects by the image's id, without faulty images; and faults."""
    shapes: dict[Any, list] = {image["id"]: [] for image in images}
    faults, faulty = [], set()
    for entry in objects:
        image, category = key_of(entry, "image_id"), key_of(entry, "category_id")
        source = f"{path}: annotation {entry.get('id')}"
        if image not in shapes:
            message = f"{source}: there is no image {image!r}; add it, or remove the annotation"
            faults.append(DataError("unknown image", message))
        elif category not in ids:
            faulty.add(image)
            message = f"{source}: there is no category {category!r}; add it, or remove the annotation"
            faults.append(DataError("unknown category", message))
        else:
            shapes[image].append((ids[category], entry.get("segmentation")))
    return {image: found for image, found in shapes.items() if image not in faulty}, faults
