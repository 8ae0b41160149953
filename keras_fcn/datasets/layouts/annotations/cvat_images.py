"""CVAT's XML of shapes, "CVAT for images 1.1", and images in images/, as CVAT and Datumaro write it."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.parsers import expat

from keras_fcn.datasets.layouts.annotations.common.cache import Later, packed
from keras_fcn.datasets.layouts.annotations.common.classes import class_table
from keras_fcn.datasets.layouts.annotations.common.drawing import Annotation, Found, draw_pairs, no_areas
from keras_fcn.datasets.layouts.annotations.common.files import Images, beginning, files_named, holds_masks
from keras_fcn.datasets.layouts.annotations.common.splits import files_to_read, split_of_file
from keras_fcn.datasets.layouts.annotations.raster.cvat import AREAS, draw_cvat
from keras_fcn.datasets.pairs import Pairs
from keras_fcn.errors import DataError, UserError
from keras_fcn.system.packages import require_packages
from keras_fcn.system.text import reason_of


def recognizes(root: Path) -> bool:
    """Returns whether there is an XML of CVAT's, and no folder of masks."""
    return bool(_files(root)) and not holds_masks(root)


def read_cvat_images(root: Path, split: str) -> Pairs:
    """Lists the pairs of one split; classes are background and the labels of the files, in their order.

    Shapes are drawn by `z_order`, and in the order of the file. Images without areas have no mask, as in CVAT's own
    exports: nobody has annotated them. Splits are the subsets, else in the names of files or of their folders.

    Args:
        root: The folder that holds XML files, in it or in folders in it, each beside images/ or the images themselves.
        split: The name of a split; without any, "train", "val" or "all".

    Raises:
        UserError: If there is no such split, or a file is not CVAT's XML of images.
    """
    files = _files(root)
    if not files:
        raise UserError(f"{root}: holds no XML of CVAT's; export it as 'CVAT for images 1.1'")
    require_packages("the layout cvat_images", "extra", "pycocotools", "cv2")
    contents = {path: _Content(path) for path in files}
    labels = list(dict.fromkeys(label for content in contents.values() for label in content.labels))
    classes, indices = class_table(files[0], labels)
    ids = dict(zip(labels, indices))
    parts: dict[str, list[tuple[Path, dict, Later]]] = {}
    for path, content in contents.items():
        for image, shapes in content.images:
            name = image.get("subset") or content.subset or split_of_file(root, path) or ""
            parts.setdefault(name, []).append((path, image, shapes))
    names, divide = files_to_read(root, parts, split)
    found: list[Found] = []
    others: list[tuple[str, str]] = []
    for name in names:
        finders = {path: Images.near(root, path, name) for path in files}
        for path, image, kept in parts[name]:
            source, shapes = f"{path}: image {image.get('id')}", kept.read()
            others += [(source, kind) for kind, _ in shapes if kind not in AREAS]
            found.append(_annotation(source, image, shapes, finders[path], ids))
    found += no_areas(others)
    return draw_pairs("CVAT for images", split, root, found, classes, draw_cvat, divide)


def _files(root: Path) -> list[Path]:
    return [path for path in files_named(root, ".xml") if "<annotations>" in beginning(path)]


def _annotation(
    source: str, image: dict[str, str], shapes: list[tuple[str, dict[str, str]]], images: Images, ids: dict[str, int]
) -> Found:
    """Returns what is drawn on an image, a fault, or the image alone if it has no areas."""
    try:
        path = images.find(source, image.get("name"))
        areas = sorted(
            ((kind, shape) for kind, shape in shapes if kind in AREAS), key=lambda each: _order(source, each[1])
        )
        if not areas:
            return path
        return Annotation(path, source, tuple(_area(source, *area, ids) for area in areas), _size(source, image))
    except DataError as fault:
        return fault


def _area(source: str, kind: str, shape: dict[str, str], ids: dict[str, int]) -> tuple[int, str, dict[str, str]]:
    label = shape.get("label")
    if label not in ids:
        raise DataError("unknown label", f"{source}: {label!r} is none of the labels of its <meta>; add it there")
    return ids[label], kind, {key: shape[key] for key in AREAS[kind] if key in shape}


def _order(source: str, shape: dict[str, str]) -> int:
    try:
        return int(shape.get("z_order", 0))
    except ValueError:
        raise DataError("shape", f"{source}: z_order must be a number. Received: {shape['z_order']!r}") from None


def _size(source: str, image: dict[str, str]) -> tuple[int, int] | None:
    sides = [image.get(key) for key in ("height", "width")]
    if sides == [None, None]:
        return None
    try:
        height, width = map(int, sides)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise DataError("size mismatch", f"{source}: height and width must be numbers. Received: {sides}") from None
    return height, width


class _Content:
    """What an XML file says, read as a stream.

    Attributes:
        labels: The names of its labels, in its order.
        subset: The subset of its task, or nothing.
        images: Of each image its attributes, and the tag and the attributes of each of its shapes.

    Raises:
        UserError: If it is not XML, declares a document type, which may define entities, or is not of images.
    """

    def __init__(self, path: Path) -> None:
        self.labels: list[str] = []
        self.subset = ""
        self.images: list[tuple[dict[str, str], Later]] = []
        self._shapes: list[tuple[str, dict[str, str]]] = []
        self._path, self._tags, self._text = path, list[str](), ""
        self._label, self._image = dict[str, str](), dict[str, str]()
        parser = expat.ParserCreate()
        parser.buffer_text = True
        parser.StartDoctypeDeclHandler = self._refuse
        parser.StartElementHandler, parser.EndElementHandler = self._start, self._end
        parser.CharacterDataHandler = self._take
        try:
            with path.open("rb") as file:
                parser.ParseFile(file)
        except expat.ExpatError as error:
            where = f"{expat.ErrorString(error.code)}, line {error.lineno}, column {error.offset + 1}"
            raise UserError(f"{path}: is not XML ({where}); export it again") from None
        except (OSError, ValueError, LookupError) as error:
            if isinstance(error, UserError):
                raise
            raise UserError(f"{path}: cannot be read as XML ({reason_of(error)}); export it again") from None

    def _refuse(self, *_: Any) -> None:
        raise UserError(f"{self._path}: has a <!DOCTYPE>, which CVAT writes none of; remove it")

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        self._tags.append(tag)
        self._text = ""
        if self._tags[0] != "annotations" or self._tags[1:] == ["track"]:
            what = "tracks of a video" if tag == "track" else f"<{tag}>"
            raise UserError(f"{self._path}: holds {what}; export it as 'CVAT for images 1.1'")
        if self._tags[1:] == ["image"]:
            self._image, self._shapes = attributes, []
        elif self._tags[1:-1] == ["image"] and tag != "tag":
            self._shapes.append((tag, attributes))

    def _take(self, text: str) -> None:
        self._text += text

    def _end(self, tag: str) -> None:
        inside = self._tags[-3:-1]
        if inside == ["labels", "label"]:
            self._label[tag] = self._text.strip()
        elif tag == "label" and inside[-1:] == ["labels"]:
            if "parent" not in self._label and self._label.get("name"):  # a part of a skeleton has a parent
                self.labels.append(self._label["name"])
            self._label = {}
        elif self._tags[1:] == ["image"]:
            self.images.append((self._image, packed(str(self._path), self._shapes)))
        elif tag == "subset" and self._tags[-2] in ("task", "job"):
            self.subset = self._text.strip()
        self._tags.pop()
        self._text = ""
