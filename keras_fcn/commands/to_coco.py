"""Writes a data set as COCO's JSON of objects: `python -m keras_fcn.convert DATA OUT --to coco`."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from keras_fcn.datasets import Pairs
from keras_fcn.datasets.layouts.annotations.common.classes import class_table
from keras_fcn.errors import UserError, argument
from keras_fcn.images.classes import VOID_LABEL, ClassTable
from keras_fcn.images.windows import copy_image
from keras_fcn.prediction.annotations.coco import coco, merged_coco
from keras_fcn.system.machine import granted_cores
from keras_fcn.system.packages import require_packages

IMAGES, ANNOTATIONS = "images", "annotations"
"""Folders of the images, and of a file instances_SPLIT.json for each split."""

_VOID = "void"


def write_coco(root: Path, splits: list[Pairs], names: dict[Path, str], advance: Callable[[], object]) -> None:
    """Writes images, and a JSON file of each split with every 4-connected object as run lengths; void is a category.

    Args:
        root: The folder to write to.
        splits: The splits of a data set.
        names: The name of each image, without suffix; it may have folders.
        advance: Called after every pair.

    Raises:
        UserError: If a package is missing, or a class would be read back as another.
    """
    require_packages(argument("to", "coco"), "extra", "pycocotools", "scipy")
    table = _with_void(splits[0].classes)
    (root / ANNOTATIONS).mkdir(parents=True)

    def part(pairs: Pairs, image: Path, label: Path) -> bytes:
        name = copy_image(image, root / IMAGES, names[image])
        ids = pairs.read_label(label)
        content = coco(name, np.where(ids == VOID_LABEL, table.num_classes - 1, ids).astype(np.uint8), table)
        content["categories"] = [
            {"id": index, "name": name, "supercategory": ""}
            for index, name in enumerate(table.names)
            if name != "background"
        ]
        advance()
        return json.dumps(content).encode()

    with ThreadPoolExecutor(granted_cores()) as threads:
        for pairs in splits:
            parts = threads.map(part, [pairs] * len(pairs), pairs.images, pairs.labels)
            with (root / ANNOTATIONS / f"instances_{pairs.split}.json").open("wb") as file:
                file.writelines(merged_coco(parts, []))


def changed_ids(classes: ClassTable) -> str:
    """Returns what becomes of class ids when COCO's JSON is read, where background is class 0; nothing if they stay."""
    if classes.background == 0:
        return ""
    where = "has no background" if classes.background is None else f"has background as class {classes.background}"
    return f"the data set {where}, and COCO's objects leave one: read from there, it is class 0 and others follow"


def _with_void(classes: ClassTable) -> ClassTable:
    """Returns the classes with void as the last; raises UserError if a name would be read as another class."""
    names = [*classes.names, _VOID]
    _, ids = class_table(Path(ANNOTATIONS), names)
    wrong = next((name for name, index in zip(classes.names, ids) if index == VOID_LABEL), None)
    if wrong is not None:
        raise UserError(
            f"COCO's JSON cannot hold the class {wrong!r}, which means void there; rename it in the data set"
        )
    return ClassTable.named(names)
