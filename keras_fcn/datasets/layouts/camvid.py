"""CamVid as SegNet's authors publish it: train, val and test, each next to a folder of grey masks."""

from __future__ import annotations

from pathlib import Path

from keras_fcn.datasets.pairs import Pairs, files_by_stem, masks_by_stem, reader
from keras_fcn.errors import UserError
from keras_fcn.images.classes import VOID_LABEL, ClassTable
from keras_fcn.images.masks import read_value_label

SPLITS = ("train", "val", "test")

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

_NONE = 254  # a value that is neither a class nor void
_IDS = (*range(11), VOID_LABEL, *[_NONE] * 243, VOID_LABEL)


def recognizes(root: Path) -> bool:
    """Returns whether one of the splits has a folder of masks next to it."""
    return any(_folders(root, split)[1].is_dir() and _folders(root, split)[0].is_dir() for split in SPLITS)


def read_camvid(root: Path, split: str) -> Pairs:
    """Lists the pairs of one split: grey values 0 to 10 are the classes, 11 and 255 are void.

    Args:
        root: The folder that holds train, trainannot, val, valannot, test and testannot.
        split: One of "train", "val" and "test".

    Raises:
        UserError: If there is no such split, or no image in it has a mask.
    """
    images, masks = _folders(root, split)
    if split not in SPLITS or not images.is_dir() or not masks.is_dir():
        found = ", ".join(name for name in SPLITS if all(folder.is_dir() for folder in _folders(root, name))) or "none"
        raise UserError(f"{root}: has no split {split!r} (folders {split} and {split}annot); splits there: {found}")
    labels = reader(read_value_label, CLASSES, _IDS)
    return Pairs.found(
        "CamVid", split, root, files_by_stem(images), masks_by_stem(masks), CLASSES, labels, divide=False
    )


def _folders(root: Path, split: str) -> tuple[Path, Path]:
    return root / split, root / f"{split}annot"
