"""YOLO's folders of polygons: data.yaml, images/ and labels/, as Ultralytics, Roboflow and CVAT lay them out."""

from __future__ import annotations

import math
import reprlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from keras_fcn.datasets.layouts.annotations.common.classes import class_table
from keras_fcn.datasets.layouts.annotations.common.drawing import Annotation, draw_pairs
from keras_fcn.datasets.layouts.annotations.common.files import holds_masks
from keras_fcn.datasets.layouts.annotations.common.splits import files_to_read
from keras_fcn.datasets.layouts.annotations.raster.yolo import draw_yolo
from keras_fcn.datasets.pairs import Pairs
from keras_fcn.datasets.splits import is_split
from keras_fcn.errors import DataError, UserError
from keras_fcn.images.photos import IMAGE_SUFFIXES
from keras_fcn.system.files import read_lines, walk_files
from keras_fcn.system.packages import require_packages
from keras_fcn.system.text import load_yaml, may_be_path, reason_of

NAMES = ("classes.txt", "obj.names")
"""Files of names where there is no YAML, a name a line in the order of their numbers."""

_IMAGES, _LABELS = "images", "labels"
_MARGIN = 0.01
"""Ultralytics takes coordinates as far outside of 0 to 1 as this."""


def recognizes(root: Path) -> bool:
    """Returns whether there are folders of labels with text files, the names of their classes, and no masks."""
    folders = [root / _LABELS, *root.glob(f"*/{_LABELS}")]
    has_labels = any(path.suffix == ".txt" for folder in folders if folder.is_dir() for path in walk_files(folder))
    return has_labels and not holds_masks(root)


def read_yolo(root: Path, split: str) -> Pairs:
    """Lists the pairs of one split; classes are background and the names, in the order of their numbers.

    Splits are the folders that data.yaml names, else those in the images' paths; where it names the same for train and
    val, that is divided. An empty file of labels is background alone; an image without such a file has no mask.

    Args:
        root: The folder that holds data.yaml, images/ and labels/; or train/images, train/labels and so on.
        split: The name of a split; without any, "train", "val" or "all".

    Raises:
        UserError: If there is no such split, no file of names, or it is wrong.
    """
    require_packages("the layout yolo", "extra", "cv2")
    about, source, names = _about(root)
    classes, ids = class_table(source, names)
    parts = _parts(root, about)
    chosen, divide = files_to_read(root, parts, split)
    images = [image for name in chosen for image in parts[name]]
    labels = {image: _label_of(image, root) for image in images}
    if not any(label.is_file() for label in labels.values()):
        raise UserError(f"{root}: none of its {len(images)} images in {_IMAGES}/ has a file in {_LABELS}/ of its name")
    found = [_annotation(image, label, ids) if label.is_file() else image for image, label in labels.items()]
    return draw_pairs("YOLO polygons", split, root, found, classes, draw_yolo, divide)


def _about(root: Path) -> tuple[dict, Path, list[str]]:
    """Returns the content of data.yaml, the file of names, and the names.

    Raises:
        UserError: If there are several such files, none, or it has no names.
    """
    files = [path for path in sorted(root.glob("*.y*ml")) if _named(path)]
    if len(files) > 1:
        raise UserError(f"{files[0]} and {files[1].name} both name classes; move one of them away")
    if files:
        content = _named(files[0])
        names = content["names"]
        if isinstance(names, dict) and set(names) == set(range(len(names))):
            names = [names[number] for number in range(len(names))]
        if not isinstance(names, list) or not names or any(isinstance(name, (dict, list)) for name in names):
            received = reprlib.repr(names)[:60]  # of YAML's aliases the whole text may be endless
            raise UserError(f"{files[0]}: names must be a list, or numbered from 0 on. Received: {received}")
        return content, files[0], list(map(str, names))
    for path in (folder / name for folder in (root, root / _LABELS) for name in NAMES):
        if path.is_file() and (lines := [line for line in read_lines(path) if line]):
            return {}, path, lines
    raise UserError(f"{root}: no file there names the classes of its labels; write `names: [cat, dog]` to data.yaml")


def _named(path: Path) -> dict:
    """Returns the content of a YAML file that has names; nothing for others."""
    try:
        content = load_yaml(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError(f"{path}: cannot be read as YAML ({reason_of(error)}); fix it") from None
    return content if isinstance(content, dict) and "names" in content else {}


def _parts(root: Path, about: dict) -> dict[str, list[Path]]:
    """Returns the images of each split that data.yaml names, else of each folder whose name is a split's."""
    parts: dict[str, list[Path]] = {}
    for split in ("train", "val", "test"):
        folders = list(filter(None, (_folder(root, about, text, split) for text in _texts(about.get(split)))))
        if folders:
            parts[split] = [image for folder in folders for image in _images(folder)]
    if parts.get("train") == parts.get("val"):
        parts.pop("val", None)
    if not parts:
        for image in _images(root):
            inner = image.relative_to(root).parts
            if _IMAGES in inner:
                parts.setdefault(next(filter(is_split, inner), ""), []).append(image)
    if not any(parts.values()):
        raise UserError(f"{root}: holds no images in {_IMAGES}/; put them there, beside {_LABELS}/")
    return parts


def _texts(value: Any) -> list[str]:
    """Returns the paths that data.yaml gives of a split, one or several."""
    return [text for text in (value if isinstance(value, list) else [value]) if text and may_be_path(text)]


def _folder(root: Path, about: dict, text: str, split: str) -> Path | None:
    """Returns a folder of images, or list of them, that data.yaml names; None if there is none of test images.

    As with Ultralytics, "../train/images", which Roboflow writes, is also looked for from the YAML itself.
    """
    top = root.joinpath(*_texts(about.get("path"))[:1])
    inner = text.replace("\\", "/")
    places = [top / inner, root / inner, root / inner.removeprefix("../")]
    for place in places:
        if place.exists() and place.resolve().is_relative_to(root.resolve()):
            return root / place.resolve().relative_to(root.resolve())
    if split == "test":
        return None
    raise UserError(f"{root}: has no {text}, which its YAML names; write a path in this folder, such as images/train")


def _images(place: Path) -> Iterator[Path]:
    """Yields the images in a folder, or of a list, whose paths may begin anywhere above or in its folder."""
    if place.is_dir():
        yield from (path for path in walk_files(place) if path.suffix.lower() in IMAGE_SUFFIXES)
    elif place.suffix == ".txt":
        yield from (_listed(place.parent, line.replace("\\", "/")) for line in read_lines(place) if may_be_path(line))
    else:
        raise UserError(f"{place}: is neither a folder of images nor a .txt that lists them")


def _listed(folder: Path, line: str) -> Path:
    parts = [part for part in line.split("/") if part not in ("", ".", "..")]
    ends = (folder.joinpath(*parts[start:]) for start in range(len(parts)))
    return next((path for path in ends if path.is_file()), folder.joinpath(*parts))


def _label_of(image: Path, root: Path) -> Path:
    """Returns the path of an image's labels: its own, with labels instead of the last images."""
    parts = [*image.relative_to(root).parts]
    if _IMAGES in parts[:-1]:
        parts[len(parts) - 1 - parts[::-1].index(_IMAGES)] = _LABELS
    return root.joinpath(*parts).with_suffix(".txt")


def _annotation(image: Path, label: Path, ids: list[int]) -> Annotation | DataError:
    try:
        lines = read_lines(label)
        shapes = tuple(_shape(f"{label}: line {number}", line, ids) for number, line in enumerate(lines, 1) if line)
    except DataError as fault:
        return fault
    except UserError as error:
        return DataError("label", str(error))
    return Annotation(image, str(label), shapes)


def _shape(source: str, line: str, ids: list[int]) -> tuple[int, list[float]]:
    try:
        number, *points = map(float, line.split())
    except ValueError:
        raise DataError("polygon", f"{source} must be a class number and x y of each point. Received: {line}") from None
    if not 0 <= number < len(ids) or number != int(number):
        raise DataError("unknown class", f"{source}: there is no class {number:g}; numbers are 0 to {len(ids) - 1}")
    if len(points) == 4:
        raise DataError("polygon", f"{source} is a box, which is no mask; outline the object, or remove the line")
    if len(points) < 6 or len(points) % 2:
        raise DataError("polygon", f"{source} has {len(points)} coordinates; a polygon needs three points, x y of each")
    wrong = next((value for value in points if not -_MARGIN <= value <= 1 + _MARGIN or math.isnan(value)), None)
    if wrong is not None:
        raise DataError("polygon", f"{source} has the coordinate {wrong:g}; they are fractions of width and height")
    return ids[int(number)], points
