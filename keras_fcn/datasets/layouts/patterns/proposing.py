"""Proposing patterns for the pictures of a folder in no known layout."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from keras_fcn.datasets.labels.naming import common, file_of, file_texts, in_common, words_of
from keras_fcn.datasets.layouts.patterns.matching import Patterns
from keras_fcn.datasets.layouts.patterns.pattern import ANY_SUFFIX
from keras_fcn.datasets.listing import normal_name
from keras_fcn.datasets.splits import is_split
from keras_fcn.images.label_files.opening import MASK_SUFFIXES

_MOST_GROUPS, _FEWEST_VALUES, _MOST_VALUES = 40, 6, 8


def proposed(root: Path, paths: Sequence[Path]) -> Iterator[Patterns]:
    """Yields patterns that pair some pictures of different folders or names, each once.

    Args:
        root: The folder of the data set.
        paths: Its pictures.
    """
    names = [normal_name(path.relative_to(root).as_posix()) for path in paths]
    groups = _groups(names)
    if len(groups) > _MOST_GROUPS:  # no data set, or one that needs a person
        return
    seen = set[tuple[str, str]]()
    for masks, images in itertools.product(groups, groups):
        mask = masks[len(masks) // 2]
        if not mask.lower().endswith(MASK_SUFFIXES):
            continue
        image = _partner(mask, images)
        for texts in _texts(image, mask) if image else ():
            if texts not in seen and texts[0] != texts[1]:
                seen.add(texts)
                yield _patterns(*texts)


def with_any_suffix(patterns: Patterns) -> list[Patterns]:
    """Returns patterns with any suffix of images, of masks, or of both."""
    images, masks = patterns.images.text, patterns.masks.text
    first, second = (text.rpartition(".")[0] + ANY_SUFFIX for text in (images, masks))
    return [_patterns(*texts) for texts in ((first, masks), (images, second), (first, second)) if texts[0] != texts[1]]


def _groups(names: Sequence[str]) -> list[list[str]]:
    """Returns names by what files of one kind have in common: folders, suffix, and the first and last word."""
    features = [_features(name) for name in names]
    values: dict[int, set[str]] = {}
    for feature in features:
        for place, text in feature.items():
            values.setdefault(place, set()).add(text)
    few = min(_MOST_VALUES, max(_FEWEST_VALUES, math.isqrt(len(names))))
    groups: dict[tuple, list[str]] = {}
    for name, feature in zip(names, features):
        key = tuple((place, text) for place, text in feature.items() if len(values[place]) <= few)
        groups.setdefault(key, []).append(name)
    return list(groups.values())


def _features(name: str) -> dict[int, str]:
    *folders, file = name.split("/")
    stem, _, suffix = file.rpartition(".")
    words = ["#" if word.isdecimal() else word for word in words_of(stem)]
    about_name = {-1: suffix.lower(), -2: words[0], -3: words[-1], -4: str(len(words))}
    return {place: _with_split(folder) for place, folder in enumerate(folders)} | about_name


def _patterns(images: str, masks: str) -> Patterns:
    patterns = Patterns.given(images, masks)
    assert patterns is not None
    return patterns


def _partner(mask: str, images: Sequence[str]) -> str | None:
    """Returns the image whose name has most in common with a mask's; None without a word in common."""
    stem, folders = _stem(mask), mask.split("/")[:-1]

    def likeness(image: str) -> tuple[int, int]:
        same = sum(first == second for first, second in zip(image.split("/")[:-1], folders))
        return in_common(_stem(image), stem), same

    best = max((image for image in images if image != mask), key=likeness, default=None)
    is_alike = best is not None and (likeness(best)[0] or (folders and best.split("/")[:-1] == folders))
    return best if is_alike else None


def _stem(name: str) -> str:
    return file_of(name).rpartition(".")[0]


def _texts(image: str, mask: str) -> Iterator[tuple[str, str]]:
    """Yields the texts of patterns that match an image and its mask: as they are, with * for folders, and with **."""
    (image_file, image_suffix), (mask_file, mask_suffix) = (file_of(name).rsplit(".", 1) for name in (image, mask))
    files = file_texts(image_file, mask_file)
    folders = [[_with_split(part) for part in name.split("/")[:-1]] for name in (image, mask)]
    if files is None:
        if not folders[0] or folders[0] != folders[1] or "{" in folders[0][-1]:
            return
        files, folders = (image_file, mask_file), [[*parts[:-1], "{name}"] for parts in folders]
    start, end = common(*folders)
    for kind in ("", "*", "**"):
        texts = []
        for parts, file, suffix in zip(folders, files, (image_suffix, mask_suffix)):
            same = [index < start or index >= len(parts) - end for index in range(len(parts))]
            if len(folders[0]) == len(folders[1]):
                same = [a == b for a, b in zip(*folders)]
            written = _generalized(parts, same, kind)
            texts.append("/".join([*written, f"{file}.{suffix}"]))
        yield texts[0], texts[1]


def _generalized(parts: Sequence[str], same: Sequence[bool], kind: str) -> list[str]:
    """Returns folders with * for those that are the same in an image and its mask, or ** for any number of them."""
    if kind != "**":
        return [kind if kind and is_same and "{" not in part else part for part, is_same in zip(parts, same)]
    found: list[str] = []
    for part, is_same in zip(parts, same):
        new = "**" if is_same and "{" not in part else part
        found += [] if new == "**" and found[-1:] == ["**"] else [new]
    return found if "**" in found else [*found, "**"]


def _with_split(folder: str) -> str:
    """Returns a folder's name, or several with / between, with {split} for the first word that names a split."""
    words = re.split(r"([_\-. /]+)", folder)
    return "".join("{split}" if is_split(word) else word for word in words)
