"""Data sets as Roboflow exports them ("Semantic Segmentation Masks"): x.jpg and x_mask.png together, _classes.csv."""

from __future__ import annotations

import dataclasses
import functools
import re
from pathlib import Path

from keras_fcn.datasets.labels.legend import Legend, is_void
from keras_fcn.datasets.labels.reading import Masks
from keras_fcn.datasets.labels.survey import all_masks
from keras_fcn.datasets.listing import Files, files_by_stem, inner_folders
from keras_fcn.datasets.pairs import Pairs
from keras_fcn.datasets.splits import split_to_read
from keras_fcn.errors import UserError
from keras_fcn.images.bands.files import ARRAY_SUFFIX
from keras_fcn.images.classes import VOID_LABEL
from keras_fcn.images.label_files.opening import MASK_SUFFIXES
from keras_fcn.system.files import read_lines
from keras_fcn.system.text import csv_rows

CLASS_FILE = "_classes.csv"
FOLDERS = ("train", "valid", "test")
"""The folders of the splits."""

MASK_ENDING = "_mask"


def recognizes(root: Path) -> bool:
    """Returns whether one of the splits' folders has a class file."""
    return bool(_splits(root))


def read_roboflow(root: Path, split: str) -> Pairs:
    """Lists the pairs of one split; the classes are those of _classes.csv, in the order of their pixel values.

    Args:
        root: The unpacked export, with folders train, valid and test, or some of them. Without valid, train is divided.
        split: One of "train", "val" (the folder `valid`) and "test".

    Raises:
        UserError: If there is no such split, the class files are wrong or disagree, or no image has a mask.
    """
    splits = [name for name in FOLDERS if (root / name).is_dir()] or _splits(root)
    name, divide = split_to_read(splits, split)
    if name is None:
        found = ", ".join(splits) or "none"
        raise UserError(f"{root}: has no split {split!r}; splits there: {found}")
    folder = root / name
    legend = Legend.of_values(*_classes(root))
    images, masks = images_and_masks(_files(folder))
    others = [root / split for split in splits if split != name]
    every_mask = Masks(legend, functools.partial(all_masks, masks, _masks_in, others))
    pairs = Pairs.found("Roboflow masks", split, folder, images, masks, legend.classes, every_mask.reader(), divide)
    return dataclasses.replace(pairs, masks=every_mask)


def _masks_in(folder: Path) -> Files:
    return images_and_masks(_files(folder))[1]


def _files(folder: Path) -> Files:
    """Returns a folder's image files and its masks in NPY by their names."""
    listed = files_by_stem(folder)
    files = Files(listed)
    files.left_out = listed.left_out
    for name, path in files_by_stem(folder, (ARRAY_SUFFIX,)).items():
        if name.endswith(MASK_ENDING) and files.setdefault(name, path) is not path:
            raise UserError(f"{path} and {files[name].name} have the same name; rename or remove one")
    return files


def images_and_masks(files: Files) -> tuple[Files, Files]:
    """Divides a folder's image files into images and masks, both by the image's name.

    A mask is a file whose name ends in _mask, unless it is a JPEG or has a mask itself: the image may show a face mask.
    """
    masks = Files(
        (name.removesuffix(MASK_ENDING), path)
        for name, path in files.items()
        if name.endswith(MASK_ENDING) and path.suffix.lower() in MASK_SUFFIXES and name + MASK_ENDING not in files
    )
    taken = set(masks.values())
    images = Files((name, path) for name, path in files.items() if path not in taken)
    images.left_out = files.left_out
    return images, masks


def _splits(root: Path) -> list[str]:
    """Returns the names of the folders with a class file, those of Roboflow first."""
    names = [folder.name for folder in inner_folders(root) if (folder / CLASS_FILE).is_file()]
    return sorted(names, key=lambda name: FOLDERS.index(name) if name in FOLDERS else len(FOLDERS))


def _classes(root: Path) -> tuple[Path, dict[int, str]]:
    """Returns a class file and its class names by pixel value; all class files must agree."""
    paths = [root / folder / CLASS_FILE for folder in _splits(root)]
    if not paths:
        raise UserError(f"{root}: no folder in it ({', '.join(FOLDERS)}) has {CLASS_FILE}; export it again")
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
    rows = csv_rows(path, read_lines(path))
    header = [field.strip().lower() for field in rows[0]] if rows else []
    if header != ["pixel value", "class"]:
        raise UserError(f"{path}: line 1 must be `Pixel Value, Class`. Received: {', '.join(header) or 'nothing'}")
    names: dict[int, str] = {}
    for number, row in enumerate(rows[1:], 2):
        if not row:
            continue
        fields = [field.strip() for field in row]
        if len(fields) != 2 or not re.fullmatch(r"\d{1,9}", fields[0], re.ASCII) or not fields[1]:
            raise UserError(
                f"{path}: line {number} must be a pixel value and a class name, as in `1, cat`. "
                f"Received: {', '.join(row)}"
            )
        value, name = int(fields[0]), fields[1]
        if value > VOID_LABEL or (value == VOID_LABEL and not is_void(name)):
            raise UserError(f"{path}: line {number}: pixel values of classes are 0 to 254, 255 is void")
        if value in names or name in names.values():
            raise UserError(f"{path}: line {number}: repeats the value {value} or the name {name!r}; remove one")
        names[value] = name
    if not names:
        raise UserError(f"{path}: names no class; write a line such as `1, cat` for each")
    return dict(sorted(names.items()))
