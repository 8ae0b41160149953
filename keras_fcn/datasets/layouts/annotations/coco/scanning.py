"""What a JSON file of COCO's says of images and annotations, read without holding it."""

from __future__ import annotations

import array
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from keras_fcn.datasets.layouts.annotations.common.pieces import opened_json
from keras_fcn.errors import UserError

Taker = Callable[[Any, int, int], None]
"""Takes an entry of a list, and where in the file it begins and ends, in bytes."""


def scan(path: Path, take: Taker) -> list[dict]:
    """Returns the images of a file, and hands its annotations to `take`, one by one.

    Raises:
        UserError: If it is not JSON of this form, or an id is there twice.
    """
    images: list[dict] = []
    image_ids, object_ids = _Ids(path, "image"), _Ids(path, "annotation")

    def take_image(entry: Any, *_: int) -> None:
        image_ids.add(_entry(path, "images", entry).get("id"))
        images.append({key: entry.get(key) for key in ("id", "file_name", "height", "width")})

    def take_object(entry: Any, start: int, end: int) -> None:
        if "id" in _entry(path, "annotations", entry):
            object_ids.add(entry["id"])
        take(entry, start, end)

    takers: dict[str, Taker] = {"images": take_image, "annotations": take_object}
    found = set()
    with opened_json(path) as pieces:
        for key in pieces.members():
            if key in takers and pieces.next() == "[":
                found.add(key)
                for entry in pieces.entries():
                    takers[key](*entry)
            else:
                pieces.value()
    for key in takers:
        if key not in found:
            _entry(path, key, None)
    image_ids.require_unique()
    object_ids.require_unique()
    return images


def _entry(path: Path, key: str, entry: Any) -> dict:
    if not isinstance(entry, dict):
        raise UserError(f"{path}: has no list of {key}; it needs images, annotations and categories, as COCO's do")
    return entry


class _Ids:
    """Ids, each of which must be a number or a text of its own; a million take some megabytes."""

    def __init__(self, path: Path, what: str) -> None:
        self._path, self._what = path, what
        self._numbers, self._others = array.array("q"), list[int | str]()

    def add(self, each: Any) -> None:
        if not isinstance(each, (int, str)):
            raise UserError(f"{self._path}: the id of each {self._what} must be a number. Received: {each!r}")
        if isinstance(each, int) and abs(each) < 1 << 63:
            self._numbers.append(each)
        else:
            self._others.append(each)

    def require_unique(self) -> None:
        numbers, others = np.sort(np.array(self._numbers)), sorted(map(str, self._others))
        twice = numbers[1:][numbers[1:] == numbers[:-1]].tolist()
        twice += [each for each, following in itertools.pairwise(others) if each == following]
        if twice:
            raise UserError(f"{self._path}: the {self._what} id {twice[0]!r} is there more than once; number them anew")


def key_of(entry: dict, name: str) -> int | str:
    """Returns the id that an entry names; text that is no id for what cannot be one."""
    key = entry.get(name)
    return key if isinstance(key, (int, str)) else repr(key)
