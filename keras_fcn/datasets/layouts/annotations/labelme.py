"""Folders as labelme leaves them: a JSON for each annotated image."""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from typing import Any

from keras_fcn.datasets.layouts.annotations.common.cache import packed
from keras_fcn.datasets.layouts.annotations.common.classes import class_table
from keras_fcn.datasets.layouts.annotations.common.drawing import Annotation, Found, draw_pairs
from keras_fcn.datasets.layouts.annotations.common.files import (
    Images,
    beginning,
    holds_masks,
    json_files,
    read_json,
)
from keras_fcn.datasets.layouts.annotations.common.splits import files_to_read
from keras_fcn.datasets.layouts.annotations.raster.labelme import draw_labelme
from keras_fcn.datasets.pairs import Pairs
from keras_fcn.datasets.splits import is_split
from keras_fcn.errors import DataError, UserError
from keras_fcn.images.photos import IMAGE_SUFFIXES
from keras_fcn.system.files import read_lines, walk_files

LABELS = ("labels.txt", "class_names.txt", "classes.txt")
"""Files of labels, in the order of their class ids."""

_BEGINNING = re.compile(r'\s*\{\s*"(version|flags|shapes|imagePath|checked)"\s*:')
_LOOKED_AT = 100  # files by which the layout is recognized


def recognizes(root: Path) -> bool:
    """Returns whether there is a JSON file of labelme's, and no folder of masks."""
    return any(map(_is_labelme, itertools.islice(json_files(root), _LOOKED_AT))) and not holds_masks(root)


def read_labelme_json(root: Path, split: str) -> Pairs:
    """Lists the pairs of one split: of the folders train, val, ..., or a part of all.

    Classes are `_background_` and the labels, in the order of labels.txt, else of the alphabet; `__ignore__` is void.
    Shapes are drawn in the order of the file, a later one over an earlier one. Images without JSON have no mask.

    Args:
        root: The folder that holds the JSON files and images, in it or in folders in it.
        split: The name of a folder of a split; without any, "train", "val" or "all".

    Raises:
        UserError: If there is no such split, or no image is annotated.
    """
    parts: dict[str, list[Path]] = {}
    for path in walk_files(root):
        parts.setdefault(_part(path.relative_to(root)), []).append(path)
    jsons = {part: [path for path in files if path.suffix.lower() == ".json"] for part, files in parts.items()}
    jsons = {part: files for part, files in jsons.items() if any(map(_is_labelme, files))}
    if not jsons:
        raise UserError(f"{root}: holds no JSON of labelme's; annotate the images")
    names, divide = files_to_read(root, jsons, split)
    contents = {path: _content(path) for files in jsons.values() for path in files}
    source, labels = _labels(root, contents)
    classes, indices = class_table(source, labels, "_background_")
    ids = dict(zip(labels, indices))
    items = (_annotation(root, path, contents[path], ids) for name in names for path in jsons[name])
    found: list[Found] = [item for item in items if item]
    images = [path for name in names for path in parts[name] if path.suffix.lower() in IMAGE_SUFFIXES]
    annotated = {item.image for item in found if isinstance(item, Annotation)}
    broken = {path.with_suffix("") for path in contents}
    found += [path for path in images if path not in annotated and path.with_suffix("") not in broken]
    return draw_pairs("labelme's JSON", split, root, found, classes, draw_labelme, divide)


def _is_labelme(path: Path) -> bool:
    start = beginning(path)
    return _BEGINNING.match(start) is not None and '"shapes"' in start


def _part(path: Path) -> str:
    """Returns the folder of a split that a file lies in, or nothing."""
    return next((part for part in path.parts[:-1] if is_split(part)), "")


def _content(path: Path) -> dict | DataError | None:
    """Returns what is read of a file, the fault in it, or None if it is no annotation of an image."""
    try:
        content = read_json(path)
    except UserError as error:
        return DataError("broken JSON", str(error))
    shapes = content.get("shapes") if isinstance(content, dict) else None
    if not isinstance(shapes, list) or not all(isinstance(shape, dict) for shape in shapes):
        is_beside = any(path.with_suffix(suffix).is_file() for suffix in IMAGE_SUFFIXES)
        return (
            DataError("broken JSON", f"{path}: has no list of shapes; save it again in labelme") if is_beside else None
        )
    for shape in shapes:
        if not isinstance(shape.get("label"), str):
            return DataError("shape", f"{path}: has a shape without label; give it one")
    if not all(type(content.get(key)) in (int, type(None)) for key in ("imageHeight", "imageWidth")):
        return DataError(
            "size mismatch", f"{path}: imageHeight and imageWidth must be numbers; save it again in labelme"
        )
    about = {key: content.get(key) for key in ("version", "imagePath", "imageHeight", "imageWidth")}
    try:
        kept = packed(str(path), shapes)
    except DataError as fault:
        return fault
    return about | {"labels": list(dict.fromkeys(shape["label"] for shape in shapes)), "shapes": kept}


def _labels(root: Path, contents: dict[Path, Any]) -> tuple[Path, list[str]]:
    """Returns the labels in the order of their ids, and the file or folder that gives them."""
    for name in LABELS:
        if (root / name).is_file():
            return root / name, [line for line in read_lines(root / name) if line]
    used = {label for content in contents.values() if isinstance(content, dict) for label in content["labels"]}
    return root, sorted(used)


def _annotation(root: Path, path: Path, content: Any, ids: dict[str, int]) -> Annotation | DataError | None:
    if not isinstance(content, dict):
        return content
    unknown = next((label for label in content["labels"] if label not in ids), None)
    if unknown is not None:
        return DataError("unknown label", f"{path}: {unknown!r} is none of the labels of the data set; add it there")
    try:
        image = Images.near(root, path, _part(path.relative_to(root))).find(str(path), content["imagePath"])
    except DataError as fault:
        return fault
    height, width = content["imageHeight"], content["imageWidth"]
    version = tuple(map(int, re.findall(r"\d{1,9}", str(content["version"]))[:2]))
    shapes = tuple(
        (ids[shape["label"]], shape.get("shape_type"), shape.get("points"), shape.get("mask"), version)
        for shape in content["shapes"].read()
    )
    return Annotation(image, str(path), shapes, (height, width) if height and width else None)
