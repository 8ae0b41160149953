"""Cityscapes: leftImg8bit and gtFine, with a folder for each split and in it one for each city."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from pathlib import Path

from keras_fcn.datasets.labels.class_files import find_legend, like_class_files
from keras_fcn.datasets.labels.legend import Legend, id_of_values
from keras_fcn.datasets.labels.reading import Masks
from keras_fcn.datasets.listing import Files, files_by_stem, inner_folders
from keras_fcn.datasets.pairs import Pairs
from keras_fcn.datasets.splits import split_to_read
from keras_fcn.errors import UserError, argument
from keras_fcn.images.classes import VOID_LABEL, ClassTable, Color
from keras_fcn.system.files import walk_files

IMAGES, FINE, COARSE = "leftImg8bit", "gtFine", "gtCoarse"
IDS, TRAIN_IDS = "labelIds", "labelTrainIds"

_VOIDS = 4
"""The ids below are void: unlabeled, ego vehicle, rectification border, out of roi."""

_TABLE: tuple[tuple[str, Color, bool], ...] = (
    ("static", (0, 0, 0), False),
    ("dynamic", (111, 74, 0), False),
    ("ground", (81, 0, 81), False),
    ("road", (128, 64, 128), True),
    ("sidewalk", (244, 35, 232), True),
    ("parking", (250, 170, 160), False),
    ("rail track", (230, 150, 140), False),
    ("building", (70, 70, 70), True),
    ("wall", (102, 102, 156), True),
    ("fence", (190, 153, 153), True),
    ("guard rail", (180, 165, 180), False),
    ("bridge", (150, 100, 100), False),
    ("tunnel", (150, 120, 90), False),
    ("pole", (153, 153, 153), True),
    ("polegroup", (153, 153, 153), False),
    ("traffic light", (250, 170, 30), True),
    ("traffic sign", (220, 220, 0), True),
    ("vegetation", (107, 142, 35), True),
    ("terrain", (152, 251, 152), True),
    ("sky", (70, 130, 180), True),
    ("person", (220, 20, 60), True),
    ("rider", (255, 0, 0), True),
    ("car", (0, 0, 142), True),
    ("truck", (0, 0, 70), True),
    ("bus", (0, 60, 100), True),
    ("caravan", (0, 0, 90), False),
    ("trailer", (0, 0, 110), False),
    ("train", (0, 80, 100), True),
    ("motorcycle", (0, 0, 230), True),
    ("bicycle", (119, 11, 32), True),
)
"""Name, colour, and whether it is one of the 19 classes that are evaluated, of the ids 4 to 33, in order
(cityscapesscripts/helpers/labels.py); the others are void there."""

CLASSES = ClassTable(
    tuple(name for name, _, is_evaluated in _TABLE if is_evaluated),
    tuple(color for _, color, is_evaluated in _TABLE if is_evaluated),
    void_color=(0, 0, 0),
)
"""The 19 classes that are evaluated, in the order of their trainIds; none of them is background."""

ALL_CLASSES = ClassTable.named([name for name, _, _ in _TABLE])
"""All 30 classes, in the order of their ids, in VOC's colours, since two of Cityscapes' are the same."""


def recognizes(root: Path) -> bool:
    """Returns whether the folder has images of Cityscapes, and masks named as its are."""
    folders = [root / name for name in (FINE, COARSE) if (root / name).is_dir()]
    ends = tuple(f"_{kind}.png".lower() for kind in (IDS, TRAIN_IDS))
    names = (path.name for folder in folders for path in walk_files(folder))
    return (root / IMAGES).is_dir() and any(name.lower().endswith(ends) for name in names)


def read_cityscapes(root: Path, split: str) -> Pairs:
    """Lists the pairs of one split with the 19 classes that are evaluated; everything else is void.

    Masks are x_gtFine_labelTrainIds.png, taken as they are, where each mask of ids has one beside it; else
    x_gtFine_labelIds.png, by Cityscapes' table. A file of classes beside the folders says otherwise.

    Args:
        root: The folder that holds leftImg8bit and gtFine, or gtCoarse.
        split: The name of a folder in both, such as "train" or "val".

    Raises:
        UserError: If there is no such split, or no such masks in it.
    """
    return _read(root, split, CLASSES)


def read_all_classes(root: Path, split: str) -> Pairs:
    """Lists the pairs of one split with all 30 classes, from masks x_gtFine_labelIds.png.

    Args:
        root: As for `read_cityscapes`.
        split: As for `read_cityscapes`.

    Raises:
        UserError: As `read_cityscapes` does.
    """
    return _read(root, split, ALL_CLASSES)


def _read(root: Path, split: str, classes: ClassTable) -> Pairs:
    truth = next((name for name in (FINE, COARSE) if (root / name).is_dir()), FINE)
    masks = {folder.name: files_by_stem(folder, (".png",)) for folder in inner_folders(root / truth)}
    kind = IDS if classes is ALL_CLASSES else _kind(masks.values(), truth)
    name, divide = split_to_read([name for name in masks if (root / IMAGES / name).is_dir()], split)
    if name is None:
        raise UserError(f"{root}: has no split {split!r}; folders of {truth}: {', '.join(masks) or 'none'}")
    labels = _ending(masks[name], f"_{truth}_{kind}")
    if not labels:
        fix = "unpack the masks there, or say where others are by"
        raise UserError(
            f"{root / truth / name}: holds no masks whose names end in _{truth}_{kind}.png; {fix} "
            f"{argument('images')} and {argument('masks')}"
        )
    images = _ending(files_by_stem(root / IMAGES / name), f"_{IMAGES}")
    legend = find_legend(root) or _legend(root, classes, kind)
    files = sorted(path for found in masks.values() for path in _ending(found, f"_{truth}_{kind}").values())
    every_mask = Masks(legend, lambda: files)
    pairs = Pairs.found("Cityscapes", split, root, images, labels, legend.classes, every_mask.reader(), divide)
    return dataclasses.replace(pairs, masks=every_mask)


def _kind(masks: Collection[Files], truth: str) -> str:
    """Returns the end of the names of the masks to read."""
    ids, train_ids = (
        {name for found in masks for name in _ending(found, f"_{truth}_{kind}")} for kind in (IDS, TRAIN_IDS)
    )
    return TRAIN_IDS if train_ids and ids <= train_ids else IDS


def _ending(files: Files, ending: str) -> Files:
    """Returns the files whose names have an ending, by their names without it."""
    found = Files((name.removesuffix(ending), path) for name, path in files.items() if name.endswith(ending))
    found.left_out = files.left_out
    return found


def _legend(root: Path, classes: ClassTable, kind: str) -> Legend:
    others = like_class_files(root)
    if kind == TRAIN_IDS:
        notes = (f"masks are {TRAIN_IDS}, taken as they are", *others)
        return Legend.of_layout("Cityscapes' 19 classes", classes, root, notes=notes)
    if classes is ALL_CLASSES:
        note, known = f"masks are {IDS}: all 30 classes", [*range(len(_TABLE))]
    else:
        place = {name: index for index, name in enumerate(classes.names)}
        note = f"masks are {IDS}: 19 are classes, by Cityscapes' table, others void; --layout cityscapes_all takes all"
        known = [place.get(name, VOID_LABEL) for name, _, _ in _TABLE]
    ids = id_of_values(dict(enumerate([VOID_LABEL] * _VOIDS + known)))
    legend = Legend.of_layout(f"Cityscapes' {classes.num_classes} classes", classes, root, notes=(note, *others))
    return dataclasses.replace(legend, ids=ids)
