"""ADE20K as its Scene Parsing benchmark publishes it: images and annotations with the folders training, validation."""

from __future__ import annotations

import dataclasses
import functools
import os
from pathlib import Path

from keras_fcn.datasets.labels.class_files import find_legend
from keras_fcn.datasets.labels.legend import Legend
from keras_fcn.datasets.labels.lists.entries import legend_of
from keras_fcn.datasets.labels.lists.tables import table_entries
from keras_fcn.datasets.labels.reading import Masks
from keras_fcn.datasets.labels.survey import all_masks
from keras_fcn.datasets.listing import images_by_stem, inner_folders, masks_by_stem
from keras_fcn.datasets.pairs import Pairs
from keras_fcn.datasets.splits import split_to_read
from keras_fcn.errors import UserError
from keras_fcn.images.classes import VOID_LABEL, ClassTable

IMAGES, MASKS, NAMES = "images", "annotations", "objectInfo150.txt"
OTHER, NUM_CLASSES = 0, 150
"""The value of what is none of the classes, which is not evaluated; the classes are 1 to 150."""


def recognizes(root: Path) -> bool:
    """Returns whether the folder has the benchmark's folders, and its list of names or images with its names."""
    folder = root / IMAGES / "training"
    if not folder.is_dir() or not (root / MASKS / "training").is_dir():
        return False
    with os.scandir(folder) as entries:
        return (root / NAMES).is_file() or any(entry.name.startswith("ADE_train_") for entry in entries)


def read_ade20k(root: Path, split: str) -> Pairs:
    """Lists the pairs of one split: values 1 to 150 are classes, named by objectInfo150.txt, and 0 is void.

    Args:
        root: The folder ADEChallengeData2016, which holds images, annotations and objectInfo150.txt.
        split: "train" (the folder training), "val" (validation), or the name of another folder there.

    Raises:
        UserError: If there is no such split, no image has a mask, or objectInfo150.txt is not as published.
    """
    splits = [folder.name for folder in inner_folders(root / IMAGES) if (root / MASKS / folder.name).is_dir()]
    name, divide = split_to_read(splits, split)
    if name is None:
        raise UserError(f"{root}: has no split {split!r}; splits there: {', '.join(splits) or 'none'}")
    images, masks = images_by_stem(root / IMAGES / name), masks_by_stem(root / MASKS / name)
    legend = _legend(root)
    others = [root / MASKS / other for other in splits if other != name]
    every_mask = Masks(legend, functools.partial(all_masks, masks, masks_by_stem, others))
    found = Pairs.found(
        "ADE20K", split, root / IMAGES / name, images, masks, legend.classes, every_mask.reader(), divide
    )
    return dataclasses.replace(found, masks=every_mask)


def _legend(root: Path) -> Legend:
    if (root / NAMES).is_file():
        entries = table_entries(root / NAMES)
        if not entries:
            raise UserError(f"{root / NAMES}: is no table with columns Idx and Name, as published; unpack it again")
        legend = dataclasses.replace(legend_of(root / NAMES, entries), notes=(f"classes are named by {NAMES}",))
    elif own := find_legend(root):
        return own
    else:
        classes = ClassTable.named([f"class{value}" for value in range(1, NUM_CLASSES + 1)])
        legend = Legend.of_layout(f"ADE20K's {NUM_CLASSES} classes", classes, root)
        ids = (VOID_LABEL, *legend.ids[: VOID_LABEL - 1], VOID_LABEL)  # the value of class i is i + 1
        note = f"classes are called class1 to class{NUM_CLASSES}; with {NAMES} beside the folders they get their names"
        legend = dataclasses.replace(legend, ids=ids, notes=(note,))
    ids = (VOID_LABEL, *legend.ids[1:])
    return dataclasses.replace(
        legend, ids=ids, notes=(*legend.notes, f"value {OTHER}, other, is void: it counts nowhere")
    )
