"""COCO's JSON of objects, polygons and run lengths, as COCO, CVAT, Roboflow and Label Studio lay it beside images."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from keras_fcn.datasets.layouts.annotations.coco.contents import (
    annotated_images,
    coco_files,
    is_panoptic,
    read_files,
)  # fmt: skip
from keras_fcn.datasets.layouts.annotations.coco.index import list_objects
from keras_fcn.datasets.layouts.annotations.common.drawing import Annotation
from keras_fcn.datasets.layouts.annotations.common.files import holds_masks
from keras_fcn.datasets.layouts.annotations.common.splits import by_split
from keras_fcn.datasets.layouts.annotations.raster.coco import draw_coco
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
    return read_files("COCO objects", root, split, files, "background", _described, draw_coco)


def _files(root: Path) -> list[Path]:
    found = [path for path in coco_files(root) if not _NO_OBJECTS.fullmatch(path.stem) and not is_panoptic(path)]
    return [path for path in found if not _OTHER_TASKS.fullmatch(path.stem)] or found


def _described(root: Path, path: Path, split: str, ids: dict[int, int]) -> Iterator[Annotation | DataError]:
    images, shapes, faults = list_objects(path, ids)
    yield from faults
    yield from annotated_images(root, path, split, images, shapes)
