"""Data sets as Roboflow exports them ("Semantic Segmentation Masks"): x.jpg and x_mask.png together, _classes.csv."""

from __future__ import annotations

import csv
from pathlib import Path

from keras_fcn.datasets.layouts.labelmap import named_table
from keras_fcn.datasets.pairs import Pairs, files_by_stem, reader
from keras_fcn.errors import UserError
from keras_fcn.images.classes import VOID_LABEL
from keras_fcn.images.masks import read_value_label
from keras_fcn.system.files import read_lines

CLASS_FILE = "_classes.csv"
FOLDERS = {"train": "train", "val": "valid", "test": "test"}
"""The folder of each split."""

MASK_ENDING = "_mask"
_NONE = 254  # a value that is neither a class nor void


def recognizes(root: Path) -> bool:
    """Returns whether one of the splits' folders has a class file."""
    return any((root / folder / CLASS_FILE).is_file() for folder in FOLDERS.values())


def read_roboflow(root: Path, split: str) -> Pairs:
    """Lists the pairs of one split; the classes are those of _classes.csv, in the order of their pixel values.

    Args:
        root: The unpacked export, with folders train, valid and test, or some of them.
        split: One of "train", "val" (the folder `valid`) and "test".

    Raises:
        UserError: If there is no such split, the class files are wrong or disagree, or no image has a mask.
    """
    folder = root / FOLDERS.get(split, split)
    if folder.name not in FOLDERS.values() or not folder.is_dir():
        found = ", ".join(name for name, inner in FOLDERS.items() if (root / inner).is_dir()) or "none"
        raise UserError(f"{folder}: no such folder, so there is no split {split!r}; splits there: {found}")
    path, names = _classes(root)
    classes = named_table(path, list(names.values()))
    ids = [_NONE] * 256
    ids[VOID_LABEL] = VOID_LABEL
    for index, value in enumerate(names):
        ids[value] = index
    images, masks = images_and_masks(files_by_stem(folder))
    read_label = reader(read_value_label, classes, tuple(ids))
    return Pairs.found("Roboflow masks", split, folder, images, masks, classes, read_label, divide=False)


def images_and_masks(files: dict[str, Path]) -> tuple[dict[str, Path], dict[str, Path]]:
    """Divides a folder's image files into images and masks, both by the image's name.

    A mask is a PNG whose name ends in _mask, unless it has a mask itself: the image may show a face mask.
    """
    masks = {
        name.removesuffix(MASK_ENDING): path
        for name, path in files.items()
        if name.endswith(MASK_ENDING) and path.suffix.lower() == ".png" and name + MASK_ENDING not in files
    }
    taken = set(masks.values())
    return {name: path for name, path in files.items() if path not in taken}, masks


def _classes(root: Path) -> tuple[Path, dict[int, str]]:
    """Returns a class file and its class names by pixel value; all class files must agree."""
    paths = [root / folder / CLASS_FILE for folder in FOLDERS.values() if (root / folder / CLASS_FILE).is_file()]
    if not paths:
        raise UserError(f"{root}: no folder in it ({', '.join(FOLDERS.values())}) has {CLASS_FILE}; export it again")
    tables = [_read_csv(path) for path in paths]
    for path, table in zip(paths, tables):
        if table != tables[0]:
            value = min(value for value in {*table, *tables[0]} if table.get(value) != tables[0].get(value))
            first, other = (repr(each[value]) if value in each else "no class" for each in (tables[0], table))
            raise UserError(
                f"{paths[0]} and {path} disagree: value {value} is {first} in the one and {other} in the other; "
                "export all splits together"
            )
    return paths[0], tables[0]


def _read_csv(path: Path) -> dict[int, str]:
    rows = list(csv.reader(read_lines(path), skipinitialspace=True))
    header = [field.strip().lower() for field in rows[0]] if rows else []
    if header != ["pixel value", "class"]:
        raise UserError(f"{path}: line 1 must be `Pixel Value, Class`. Received: {', '.join(header) or 'nothing'}")
    names: dict[int, str] = {}
    for number, row in enumerate(rows[1:], 2):
        if not row:
            continue
        fields = [field.strip() for field in row]
        if len(fields) != 2 or not (fields[0].isascii() and fields[0].isdigit()) or not fields[1]:
            raise UserError(
                f"{path}: line {number} must be a pixel value and a class name, as in `1, cat`. "
                f"Received: {', '.join(row)}"
            )
        value, name = int(fields[0]), fields[1]
        if value >= VOID_LABEL:
            raise UserError(f"{path}: line {number}: pixel values of classes are 0 to 254, 255 is void")
        if value in names or name in names.values():
            raise UserError(f"{path}: line {number}: repeats the value {value} or the name {name!r}; remove one")
        names[value] = name
    if not names:
        raise UserError(f"{path}: names no class; write a line such as `1, cat` for each")
    return dict(sorted(names.items()))
