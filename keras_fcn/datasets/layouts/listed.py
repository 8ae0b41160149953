"""Folders like VOC's, JPEGImages and SegmentationClass, whose split lists may be missing or have other names."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from keras_fcn.datasets.layouts.voc import LISTS
from keras_fcn.datasets.pairs import LabelReader, Pairs, files_by_stem, masks_by_stem, pair_listed, read_list, split_of
from keras_fcn.errors import UserError
from keras_fcn.images.classes import ClassTable

MASKS = "SegmentationClass"
IMAGES = "JPEGImages"

_OTHER_NAMES = {"val": ("val", "valid", "validation")}
"""Names of a split in annotation tools."""


def read_voc_like(layout: str, root: Path, split: str, classes: ClassTable, read_label: LabelReader) -> Pairs:
    """Lists the pairs of one split; names may include folders.

    The split's list names them. Without lists for training and validation, `split_of` divides the names of all lists,
    or without any list all pairs.

    Args:
        layout: The name of the data set's layout, human-readable.
        root: The folder of the data set.
        split: The name of the split.
        classes: The classes of the labels.
        read_label: Decodes a label file by its colours.

    Raises:
        UserError: If a folder or the list is missing, there are no images, or a list is empty or repeats a name.
    """
    images_by_name = _images(root / IMAGES)
    masks = masks_by_stem(root / MASKS, nested=True)
    lists = files_by_stem(root / LISTS, (".txt",)) if (root / LISTS).is_dir() else {}
    if lists:
        names, source = _listed(root, split, lists)
        images, labels, findings = pair_listed(names, images_by_name, masks, source)
        pairs = Pairs(layout, split, images, labels, classes, read_label, findings)
    else:
        pairs = Pairs.found(layout, split, root, images_by_name, masks, classes, read_label, divide=True)
    return dataclasses.replace(pairs, palette_means_colors=True)


def _images(folder: Path) -> dict[str, Path]:
    images = files_by_stem(folder, nested=True) if folder.is_dir() else {}
    if not images:
        raise UserError(
            f"{folder}: holds no images; annotation tools may leave them out of an export, so put them there, "
            "under the names of the masks"
        )
    return images


def _listed(root: Path, split: str, lists: dict[str, Path]) -> tuple[list[str], Path]:
    """Returns the names of a split, and their list or the folder of the lists."""
    by_name = {name.lower(): path for name, path in lists.items()}
    wanted = lists.get(split) or _of_any_name(by_name, split)
    if wanted is not None:
        return read_list(wanted), wanted
    if split in ("train", "val", "all") and not any(_of_any_name(by_name, name) for name in ("train", "val")):
        names = list(dict.fromkeys(name for path in lists.values() for name in read_list(path)))
        return split_of(names, split, root / LISTS), root / LISTS
    raise UserError(
        f"{root / LISTS}/{split}.txt: no such split list; lists there: {', '.join(sorted(lists))}. "
        "Give one of those, or keep only default.txt there, which is divided"
    )


def _of_any_name(by_name: dict[str, Path], split: str) -> Path | None:
    return next((by_name[name] for name in _OTHER_NAMES.get(split, (split,)) if name in by_name), None)
