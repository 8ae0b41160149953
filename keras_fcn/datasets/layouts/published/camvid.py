"""CamVid as SegNet's authors publish it: train, val and test, each next to a folder of grey masks."""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path

from keras_fcn.datasets.labels.class_files import find_legend, like_class_files
from keras_fcn.datasets.labels.legend import Legend
from keras_fcn.datasets.labels.reading import Masks
from keras_fcn.datasets.labels.survey import all_masks
from keras_fcn.datasets.listing import images_by_stem, inner_folders, masks_by_stem
from keras_fcn.datasets.pairs import Pairs
from keras_fcn.datasets.splits import split_to_read
from keras_fcn.errors import UserError
from keras_fcn.images.classes import ClassTable

_MASKS = "annot"
"""Ending of the folder of a split's masks."""

CLASSES = ClassTable(
    (
        "Sky", "Building", "Pole", "Road", "Pavement", "Tree", "SignSymbol", "Fence", "Car", "Pedestrian", "Bicyclist",
    ),
    (
        (128, 128, 128), (128, 0, 0), (192, 192, 128), (128, 64, 128), (60, 40, 222), (128, 128, 0), (192, 128, 128),
        (64, 64, 128), (64, 0, 128), (64, 64, 0), (0, 128, 192),
    ),
    void_color=(0, 0, 0),
)  # fmt: skip
"""SegNet's classes and colours; none of them is background."""

VOID_VALUE = 11
"""The grey value of void in SegNet's masks."""


def recognizes(root: Path) -> bool:
    """Returns whether one of the splits has a folder of masks next to it."""
    return bool(_splits(root))


def read_camvid(root: Path, split: str) -> Pairs:
    """Lists the pairs of one split: grey values 0 to 10 are SegNet's classes, 11 and 255 are void.

    A file of classes beside the folders says otherwise.

    Args:
        root: The folder that holds train, trainannot, val, valannot, test and testannot. Without val, train is divided.
        split: One of "train", "val" and "test".

    Raises:
        UserError: If there is no such split, or no image in it has a mask.
    """
    splits = _splits(root)
    name, divide = split_to_read(splits, split)
    if name is None:
        found = ", ".join(splits) or "none"
        raise UserError(f"{root}: has no split {split!r} (folders {split} and {split}{_MASKS}); splits there: {found}")
    images, masks = images_by_stem(root / name), masks_by_stem(splits[name])
    legend = find_legend(root) or Legend.of_layout(
        "SegNet's 11 classes of CamVid", CLASSES, root, VOID_VALUE, like_class_files(root)
    )
    others = [folder for folder in splits.values() if folder != splits[name]]
    every_mask = Masks(legend, functools.partial(all_masks, masks, masks_by_stem, others))
    pairs = Pairs.found("CamVid", split, root / name, images, masks, legend.classes, every_mask.reader(), divide)
    return dataclasses.replace(pairs, masks=every_mask)


def _splits(root: Path) -> dict[str, Path]:
    """Returns the folders of masks by the names of the splits, in order: train, val, test, others."""
    names = [folder.name for folder in inner_folders(root)]
    known = [name for name in ("train", "val", "test") if name in names]
    return {name: root / f"{name}{_MASKS}" for name in dict.fromkeys([*known, *names]) if f"{name}{_MASKS}" in names}
