"""The splits of a data set: their names in different tools, their lists, and the division of what has none."""

from __future__ import annotations

import hashlib
import itertools
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

from keras_fcn.datasets.listing import normal_name
from keras_fcn.errors import UserError, argument
from keras_fcn.images.label_files.opening import MASK_SUFFIXES
from keras_fcn.images.photos import IMAGE_SUFFIXES
from keras_fcn.system.files import read_lines
from keras_fcn.system.text import may_be_path

VAL_FRACTION = 0.2
"""Fraction of the images used for validation if a data set has no such split."""

_ALIASES = {
    "train": re.compile(r"train(ing)?(\d{4})?", re.IGNORECASE),
    "val": re.compile(r"val(id|idation)?(\d{4})?", re.IGNORECASE),
    "test": re.compile(r"test(ing)?(\d{4})?", re.IGNORECASE),
}
"""Names of the splits in annotation tools and published data sets, such as `valid`, `Training` and `train2017`."""

_OF_LISTS = ("list", "lists", "image", "images", "file", "files", "ids", "names", "set", "split")
"""Words beside the name of a split in the name of its list."""

_TWO_PATHS = re.compile(rf"({'|'.join(map(re.escape, IMAGE_SUFFIXES))})[\"']?[\s,;]", re.IGNORECASE)
"""An image's path with something after it."""


def is_split(name: str) -> bool:
    """Returns whether a name means one of train, val and test."""
    return meant_split(name) is not None


def meant_split(name: str) -> str | None:
    """Returns which of train, val and test a name means, None if none."""
    return next((split for split, alias in _ALIASES.items() if alias.fullmatch(name)), None)


def list_name(stem: str) -> str:
    """Returns the name of the split that a list such as `train_list`, `val_images` or `list-test` is of."""
    words = re.split(r"[_\-. ]+", stem)
    return "_".join(word for word in words if word.lower() not in _OF_LISTS) or stem


def split_named(names: Iterable[str], split: str) -> str | None:
    """Returns which of the names of a data set's splits means `split`: the same, else another of its names, or None."""
    names = list(names)
    alias = _ALIASES.get(split, re.compile(re.escape(split), re.IGNORECASE))
    return split if split in names else next((name for name in names if alias.fullmatch(name)), None)


def split_to_read(names: Collection[str], split: str) -> tuple[str | None, bool]:
    """Returns which of a data set's splits holds `split`, and whether it has to be divided, for want of a "val" there.

    Args:
        names: The names of the splits that are there.
        split: The split wanted; "all" is the whole of a split that has to be divided.
    """
    train = split_named(names, "train")
    if split in ("train", "val", "all") and train is not None and split_named(names, "val") is None:
        return train, True
    return split_named(names, split), False


def split_of(names: Sequence[str], split: str, source: Path) -> list[str]:
    """Returns the names of "train", "val" or "all" for a data set without split lists.

    The fifth of the names with the smallest hashes, at least one, is for validation. So the split is the same on every
    machine, and a new image moves hardly any other image to the other side.

    Raises:
        UserError: If there is no such split, or there are fewer than two images.
    """
    if split == "all":
        return list(names)
    if split not in ("train", "val"):
        raise UserError(f"{source}: has no split {split!r}; without split lists, there are train, val and all")
    train, val = divided(names, source)
    return val if split == "val" else train


def divided(names: Sequence[str], source: Path) -> tuple[list[str], list[str]]:
    """Returns the names of "train" and of "val", as `split_of` does; raises UserError if there are fewer than two."""
    if len(names) < 2:
        fix = f"or {argument('blocks', 1024)}, which divides its image" if names else "put them there"
        raise UserError(f"{source}: holds {len(names)} pairs of image and mask; training needs at least two, {fix}")
    val = set(by_hash(names)[: max(1, round(VAL_FRACTION * len(names)))])
    return [name for name in names if name not in val], [name for name in names if name in val]


def by_hash(names: Iterable[str]) -> list[str]:
    """Returns names in the order of their hashes, which is the same on every machine."""
    return sorted(names, key=lambda name: hashlib.sha256(name.encode(errors="surrogateescape")).digest())


def followers(names: Iterable[str], others: Iterable[str]) -> int:
    """Returns how many names end in a number next to that of one of the others, as `clip_0041` and `clip_0042` do."""
    numbers = set(map(_numbered, others))
    found = 0
    for stem, number in map(_numbered, names):
        found += number is not None and any((stem, number + step) in numbers for step in (-1, 1))
    return found


def division_note(train: list[str], val: list[str], source: Path) -> str:
    """Returns how a data set without split lists is `divided`, and whether that parts frames of a video."""
    note = f"a fifth of the images of {source}, chosen by their names, is val"
    if len(val) > 1 and 2 * (count := followers(val, train)) > len(val):
        note += (
            f"; {count} of these {len(val)} are neighbours of training images by number: if they are frames of a "
            "video, keep it in one split (--group-by), or the metrics are too good"
        )
    return note


def _numbered(name: str) -> tuple[str, int | None]:
    """Returns a name's beginning and the number that it ends with."""
    match = re.fullmatch(r"(.*?)(\d{1,18})", name, re.DOTALL)
    return (match[1], int(match[2])) if match else (name, None)


def read_list(path: Path) -> list[str]:
    """Reads a split list: one name per line; names may contain spaces.

    Raises:
        UserError: If the list is empty, repeats a name, or is not UTF-8 text.
    """
    names = [normal_name(line) for line in read_lines(path) if line]
    if not names:
        raise UserError(f"{path}: lists no images; write one name per line")
    return _once(path, names)


def resolved(
    path: Path, lines: Iterable[str], images: Collection[str], masks: Mapping[str, Path]
) -> dict[str, Path | None]:
    """Returns the names of the images that a list's lines mean, each with the mask that its line has, or None.

    A line is a name, a path with or without suffix, or both an image's and a mask's path, with blanks, a tab, a comma
    or a semicolon between them. A line that means no image stands for itself.

    Args:
        path: The list; masks of a second column may be named from its folder or one above it.
        lines: Its lines.
        images: The names of all images.
        masks: All masks by their own names.

    Raises:
        UserError: If two lines mean the same image.
    """
    found = [_resolved(path, line, images, masks) for line in lines]
    _once(path, [name for name, _ in found])
    return dict(found)


def _resolved(path: Path, line: str, images: Collection[str], masks: Mapping[str, Path]) -> tuple[str, Path | None]:
    is_one = line in images or not _TWO_PATHS.search(line)
    if is_one and (name := _ending_of(line, images)):
        return name, None
    for between in re.finditer(r"[\s,;]+", line):
        image, mask = (text.strip("'\"") for text in (line[: between.start()], line[between.end() :]))
        if name := _ending_of(image, images):
            return name, _listed_mask(path, mask, masks) or path.parent / mask
    return line, None


def _listed_mask(path: Path, text: str, masks: Mapping[str, Path]) -> Path | None:
    """Returns the mask that a list's second column names: below a folder above the list, or as one of `masks`."""
    if not may_be_path(text):
        return None
    inner = text.lstrip("/")
    named = [Path(text)] * text.startswith("/") + [folder / inner for folder in list(path.parents)[:4]]
    return masks.get(bare_name(inner)) or next((file for file in named if file.is_file()), None)


def _ending_of(text: str, names: Collection[str]) -> str | None:
    """Returns the longest end of a path, without suffix or with it, that is one of `names`."""
    parts = text.replace("\\", "/").split("/")
    ends = ("/".join(parts[start:]) for start in range(len(parts)))
    return next((name for end in ends for name in (end, bare_name(end)) if name in names), None)


def bare_name(name: str) -> str:
    """Returns a name without the suffix of a picture."""
    stem, dot, suffix = name.rpartition(".")
    return stem if stem and dot + suffix.lower() in (*IMAGE_SUFFIXES, *MASK_SUFFIXES) else name


def _once(path: Path, names: list[str]) -> list[str]:
    """Returns the names; it is an error if one is there twice."""
    ordered = sorted(names)
    twice = next((name for name, following in itertools.pairwise(ordered) if name == following), None)
    if twice is not None:
        raise UserError(f"{path}: lists {twice!r} more than once; remove the repetition")
    return names
