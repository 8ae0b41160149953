"""JSON files of COCO's: which there are, their categories, and the images that they name."""

from __future__ import annotations

import json
import mmap
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from keras_fcn.datasets.layouts.annotations.common.cache import Draw
from keras_fcn.datasets.layouts.annotations.common.classes import class_table
from keras_fcn.datasets.layouts.annotations.common.drawing import Annotation, draw_pairs
from keras_fcn.datasets.layouts.annotations.common.files import Images, beginning, json_files, read_json
from keras_fcn.datasets.layouts.annotations.common.splits import files_to_read
from keras_fcn.datasets.pairs import Pairs
from keras_fcn.errors import DataError, UserError

_FIRST_KEY = re.compile(r'\s*\{\s*"(info|images|annotations|categories|licenses|type)"\s*:')

Described = Callable[[Path, Path, str, dict[int, int]], Iterator[Annotation | DataError]]
"""Yields what a file says of each image, or a fault, by root, file, split, and the class id of each category."""


def coco_files(root: Path) -> list[Path]:
    """Returns the JSON files in a folder, and in two levels of folders in it, that begin like COCO's."""
    return sorted(path for path in json_files(root) if _FIRST_KEY.match(beginning(path)))


def is_panoptic(path: Path) -> bool:
    """Returns whether a file of COCO's is of its panoptic format, by its name or first bytes."""
    return "panoptic" in path.stem.lower() or '"segments_info"' in beginning(path)


def read_files(
    layout: str, root: Path, split: str, files: dict[str, Path], background: str | None, described: Described,
    draw: Draw,
) -> Pairs:  # fmt: skip
    """Lists the pairs of one split of files of COCO's; classes are the categories in the order of their ids.

    Args:
        layout: The name of the layout, human-readable.
        root: The folder of the data set.
        split: The name of the split.
        files: The files by the names of their splits.
        background: As for `class_table`.
        described: Reads one of them.
        draw: Draws what it says.

    Raises:
        UserError: If there is no such split, a file is not COCO's JSON, or files disagree about categories.
    """
    names, divide = files_to_read(root, files, split)
    categories = read_categories(files)
    classes, indices = class_table(files[names[0]], list(categories.values()), background)
    ids = dict(zip(categories, indices))
    found = [item for name in names for item in described(root, files[name], name, ids)]
    return draw_pairs(layout, split, root, found, classes, draw, divide)


def read_categories(files: dict[str, Path]) -> dict[int, str]:
    """Returns the names of the categories of all files by their ids, in the order of these.

    Raises:
        UserError: If a file has none, or two files disagree.
    """
    named: dict[int, tuple[str, Path]] = {}
    for path in files.values():
        for key, name in _categories(path).items():
            before, other = named.setdefault(key, (name, path))
            if before != name:
                raise UserError(
                    f"{other} and {path} disagree: category {key} is {before!r} in the one and {name!r} in the other; "
                    "export all splits together"
                )
    return {key: named[key][0] for key in sorted(named)}


def _categories(path: Path) -> dict[int, str]:
    names: dict[int, str] = {}
    for entry in _category_list(path):
        key, name = entry["id"], entry["name"]
        if type(key) is not int or not isinstance(name, str) or not name.strip():
            raise UserError(f"{path}: a category needs a number as id and a name. Received: {key!r} and {name!r}")
        if key in names:
            raise UserError(f"{path}: category {key} is {names[key]!r} and {name!r}; give each an id of its own")
        names[key] = name
    return names


def _category_list(path: Path) -> list[dict]:
    """Returns the list of categories without reading the rest of a file, which may have gigabytes."""
    if path.stat().st_size:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            for found in re.finditer(rb'"categories"\s*:\s*(?=\[)', content):
                entries = _first_value(content, found.end())
                if entries and all(isinstance(entry, dict) and {"id", "name"} <= entry.keys() for entry in entries):
                    return entries
    read_json(path)
    raise UserError(f'{path}: names no categories; it needs "categories": [{{"id": 1, "name": "cat"}}, ...]')


def _first_value(content: mmap.mmap, start: int) -> Any:
    """Returns the JSON value at a position of a file, None if there is none."""
    length = 1 << 16
    while True:
        text = content[start : start + length].decode("utf-8", "replace")
        try:
            return json.JSONDecoder().raw_decode(text)[0]
        except (ValueError, RecursionError):
            if start + length >= len(content):
                return None
            length *= 16


def annotated_images(
    root: Path, path: Path, split: str, images: list[dict], shapes: dict[Any, Any]
) -> Iterator[Annotation | DataError]:
    """Yields what a file says of each image, or the fault in it.

    Args:
        root: The folder of the data set.
        path: The file.
        split: The name of its split, by which folders of images are found.
        images: Its images.
        shapes: What is drawn on each, by the image's id; an image that is not there has been found faulty.
    """
    files = Images.near(root, path, split)
    for entry in images:
        source = f"{path}: image {entry['id']}"
        if entry["id"] in shapes:
            try:
                image = files.find(source, entry.get("file_name"))
                yield Annotation(image, source, shapes[entry["id"]], _stated_size(source, entry))
            except DataError as fault:
                yield fault


def _stated_size(source: str, entry: dict) -> tuple[int, int] | None:
    height, width = entry.get("height"), entry.get("width")
    if height is None and width is None:
        return None
    if type(height) is int and type(width) is int:
        return height, width
    raise DataError("size mismatch", f"{source}: height and width must be numbers. Received: {height!r} and {width!r}")
