"""VGG Image Annotator's JSON and CSV: projects and exports of annotations of VIA 1 and 2, beside the images."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from keras_fcn.datasets.layouts.annotations.common.cache import Later, packed
from keras_fcn.datasets.layouts.annotations.common.classes import class_table
from keras_fcn.datasets.layouts.annotations.common.drawing import Annotation, Found, draw_pairs, no_areas
from keras_fcn.datasets.layouts.annotations.common.files import (
    Images,
    beginning,
    files_named,
    holds_masks,
    json_files,
)  # fmt: skip
from keras_fcn.datasets.layouts.annotations.common.pieces import opened_json
from keras_fcn.datasets.layouts.annotations.common.splits import by_split, files_to_read
from keras_fcn.datasets.layouts.annotations.raster.via import AREAS, draw_via
from keras_fcn.datasets.pairs import Pairs
from keras_fcn.errors import DataError, UserError, argument
from keras_fcn.system.packages import require_packages
from keras_fcn.system.text import reason_of

_PROJECT = re.compile(r'\s*\{\s*"_via_')
_EXPORT = re.compile(r'\s*\{\s*"[^"]*"\s*:\s*\{\s*"(fileref|filename|size)"\s*:')
_TABLE = re.compile(r"#?filename,file_size,file_attributes,region_count,")
_IMAGES, _ATTRIBUTES = "_via_img_metadata", "_via_attributes"


def recognizes(root: Path) -> bool:
    """Returns whether there is a JSON or CSV of VIA's, and no folder of masks."""
    return bool(_files(root)) and not holds_masks(root)


def read_via(root: Path, split: str, attribute: str = "") -> Pairs:
    """Lists the pairs of one split; classes are background and the values of an attribute of the regions.

    They are in the order of the attribute's options in a project, else of the alphabet. Regions are drawn in the order
    of the file, a later one over an earlier one.

    Args:
        root: The folder that holds the files, in it or in folders in it, and the images.
        split: The name of a split in the names of files or of their folders; without any, "train", "val" or "all".
        attribute: The region attribute that names classes; if regions have a single one, it need not be given.

    Raises:
        UserError: If there is no such split, a file is not VIA's, or regions have several attributes and none is given.
    """
    files = by_split(root, _files(root), "JSON or CSV of VIA's")
    require_packages("the layout via", "extra", "pycocotools")
    names, divide = files_to_read(root, files, split)
    contents = {name: _Content(path) for name, path in files.items()}
    attribute = _attribute(root, list(contents.values()), attribute)
    labels = _labels(list(contents.values()), attribute)
    classes, indices = class_table(files[names[0]], list(labels.values()))
    ids = dict(zip(labels, indices))
    found: list[Found] = []
    others: list[tuple[str, str]] = []
    for name in names:
        finder = Images.near(root, files[name], name)
        for filename, kept in contents[name].images:
            source, regions = f"{files[name]}: image {filename!s:.80}", kept.read()
            others += [(source, _kind(region)) for region in regions if _kind(region) not in AREAS]
            found.append(_annotation(source, filename, regions, finder, attribute, ids))
    found += no_areas(others)
    return draw_pairs("VIA's regions", split, root, found, classes, draw_via, divide)


def _files(root: Path) -> list[Path]:
    found = [path for path in json_files(root) if any(each.match(beginning(path)) for each in (_PROJECT, _EXPORT))]
    return sorted([*found, *(path for path in files_named(root, ".csv") if _TABLE.match(beginning(path)))])


class _Content:
    """What a project says, or an export of annotations or a table, whose images are those of a project, too.

    Attributes:
        images: Of each image its name, and a list of its regions.
        values: What regions have for each attribute.
        attributes: What the project says of its attributes, of any form.

    Raises:
        UserError: If it cannot be read, or an image has no regions of VIA's form.
    """

    def __init__(self, path: Path) -> None:
        self.images: list[tuple[Any, Later]] = []
        self.values: dict[str, dict[str, None]] = {}
        self.attributes: Any = None
        self._path = path
        if path.suffix == ".csv":
            for key, image in _table(path).items():
                self._take(key, image)
            return
        with opened_json(path) as pieces:
            for key in pieces.members():
                if key == _IMAGES and pieces.next() == "{":
                    for inner in pieces.members():
                        self._take(inner, pieces.value()[0])
                elif key == _ATTRIBUTES:
                    self.attributes = pieces.value()[0]
                elif key == _IMAGES:
                    raise UserError(f"{path}: has no images in {_IMAGES}; save it again")
                elif key.startswith("_via_"):
                    pieces.value()
                else:
                    self._take(key, pieces.value()[0])

    def _take(self, key: str, image: Any) -> None:
        regions = image.get("regions") if isinstance(image, dict) else None
        regions = list(regions.values()) if isinstance(regions, dict) else regions  # VIA 1 numbers them
        parts = ("shape_attributes", "region_attributes")
        if not isinstance(regions, list) or not all(
            isinstance(region, dict) and all(isinstance(region.get(part), dict) for part in parts) for region in regions
        ):
            what = f"the image {key!r:.80} has no list of regions with {' and '.join(parts)}"
            raise UserError(f"{self._path}: {what}; save it again")
        for region in regions:
            for attribute, value in region["region_attributes"].items():
                self.values.setdefault(attribute, {}).update(dict.fromkeys(_values(value)))
        self.images.append((image.get("filename"), packed(f"{self._path}: image {key!s:.80}", regions)))


def _table(path: Path) -> dict[str, dict]:
    """Returns the images of a CSV as an export of JSON has them."""
    images: dict[str, dict] = {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            for row in csv.DictReader(file):
                name = row.get("filename") or row.get("#filename") or ""
                image = images.setdefault(f"{name}{row['file_size']}", {"filename": name, "regions": []})
                shape, about = (json.loads(row[f"region_{key}attributes"]) for key in ("shape_", ""))
                if shape != {}:
                    image["regions"].append({"shape_attributes": shape, "region_attributes": about})
    except (OSError, ValueError, RecursionError, KeyError, TypeError, csv.Error) as error:
        raise UserError(f"{path}: cannot be read as VIA's CSV ({reason_of(error)}); export it again") from None
    return images


def _attribute(root: Path, contents: list[_Content], attribute: str) -> str:
    """Returns the attribute that names classes: the one given, else the only one that the regions have."""
    named: dict[str, set[str]] = {}
    for content in contents:
        for key, values in content.values.items():
            named.setdefault(key, set()).update(values)
    if attribute in named or (not attribute and len(named) == 1):
        return attribute or next(iter(named))
    if not named:
        raise UserError(f"{root}: its regions have no attribute that names their class; add one in VIA")
    shown = "; ".join(f"{key}: {', '.join(sorted(values)[:4])[:60]}" for key, values in sorted(named.items()))
    which = f"is no attribute {attribute!r}" if attribute else f"are {len(named)} attributes"
    fix = argument("layout", f"via:{min(named)}")
    raise UserError(f"{root}: there {which} of regions; say which names classes, such as {fix} ({shown})")


def _labels(contents: list[_Content], attribute: str) -> dict[str, str]:
    """Returns the names of classes by the values that mean them.

    They are the options of the attribute, which may have names of their own, and without such all values of regions.
    """
    options: dict[str, str] = {}
    for content in contents:
        about = content.attributes
        for key in ("region", attribute, "options"):
            about = about.get(key) if isinstance(about, dict) else None
        for value, name in about.items() if isinstance(about, dict) else ():
            options.setdefault(value, name.strip() if isinstance(name, str) and name.strip() else value)
    used = {value for content in contents for value in content.values.get(attribute, ())}
    return options or {value: value for value in sorted(used)}


def _values(value: Any) -> list[str]:
    """Returns what an attribute of a region says: a text, or of a checkbox the names that are ticked."""
    if isinstance(value, dict):
        return [name for name, is_ticked in value.items() if is_ticked]
    return [str(value).strip()] if isinstance(value, (str, int)) and str(value).strip() else []


def _kind(region: dict) -> str:
    return str(region["shape_attributes"].get("name"))


def _annotation(
    source: str, filename: Any, regions: list[dict], images: Images, attribute: str, ids: dict[str, int]
) -> Found:
    areas = [region for region in regions if _kind(region) in AREAS]
    try:
        return Annotation(images.find(source, filename), source, tuple(_shapes(source, areas, attribute, ids)))
    except DataError as fault:
        return fault


def _shapes(source: str, areas: list[dict], attribute: str, ids: dict[str, int]) -> Iterator[tuple[int, dict]]:
    for region in areas:
        values, kind = _values(region["region_attributes"].get(attribute)), _kind(region)
        if len(values) != 1 or values[0] not in ids:
            said = f"{attribute} {', '.join(map(repr, values))}" if values else f"no {attribute}"
            fix = "choose one of its options" if values else "give it one"
            raise DataError("unknown label", f"{source}: a {kind} has {said}; {fix}")
        shape = region["shape_attributes"]
        yield ids[values[0]], {key: shape[key] for key in ("name", *AREAS[kind]) if key in shape}
