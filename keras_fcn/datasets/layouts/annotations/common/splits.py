"""Which files of annotations hold which split."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path

from keras_fcn.datasets.splits import is_split, split_named, split_to_read
from keras_fcn.errors import UserError


def split_word(name: str) -> str | None:
    """Returns the part of a name that is a split's, such as "train2017" of "instances_train2017", or None."""
    return next((word for word in re.split(r"[^A-Za-z0-9]+", name) if is_split(word)), None)


def split_of_file(root: Path, path: Path) -> str | None:
    """Returns the split that a file of annotations names in its own name, or that of its folder; None if in neither."""
    return split_word(path.stem) or split_word("" if path.parent == root else path.parent.name)


def by_split(root: Path, paths: list[Path], what: str) -> dict[str, Path]:
    """Returns files of annotations by the names of their splits: in their own names, or their folders'.

    Args:
        root: The folder of the data set.
        paths: The files.
        what: What they are, for error messages.

    Raises:
        UserError: If there is none, or two are of the same split.
    """
    if not paths:
        raise UserError(f"{root}: holds no {what}; put it there, or into a folder there")
    files: dict[str, Path] = {}
    for path in paths:
        name = split_of_file(root, path) or path.stem
        if name in files:
            raise UserError(f"{files[name]} and {path} are both of the split {name!r}; move one of them away")
        files[name] = path
    return files


def files_to_read(root: Path, names: Collection[str], split: str) -> tuple[list[str], bool]:
    """Returns which files hold a split, and whether their images have to be divided.

    Args:
        root: The folder of the data set, for error messages.
        names: The names of the files' splits, or their own names.
        split: The split wanted; "all" is the whole of what has to be divided.

    Raises:
        UserError: If there is no such split.
    """
    name, divide = split_to_read(names, split)
    if name is not None:
        return [name], divide
    is_parted = any(split_named(names, known) for known in ("train", "val"))
    if split in ("train", "val", "all") and not is_parted:
        return [name for name in names if not is_split(name)] or list(names), True
    raise UserError(f"{root}: has no split {split!r}; splits there: {', '.join(sorted(names))}")
