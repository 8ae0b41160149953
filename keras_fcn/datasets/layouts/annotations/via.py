"""VGG Image Annotator's JSON and CSV: projects and exports of annotations of VIA 1 and 2, beside the images."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from keras_fcn.datasets.layouts.annotations.common.classes import class_table
from keras_fcn.datasets.layouts.annotations.common.drawing import Annotation, draw_pairs, no_areas
from keras_fcn.datasets.layouts.annotations.common.files import (
    Images,
    beginning,
    files_named,
    holds_masks,
    json_files,
    read_json,
)  # fmt: skip
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
    contents = {name: _content(path) for name, path in files.items()}
    images = {name: _images(files[name], content) for name, content in contents.items()}
    attribute = _attribute(root, [each for found in images.values() for each in found], attribute)
    labels = _labels(contents, images, attribute)
    classes, indices = class_table(files[names[0]], list(labels.values()))
    ids = dict(zip(labels, indices))
    found: list[Annotation | DataError] = []
    others: list[tuple[str, str]] = []
    for name in names:
        finder = Images.near(root, files[name], name)
        for image in images[name]:
            source = f"{files[name]}: image {image['filename']!s:.80}"
            others += [(source, _kind(region)) for region in image["regions"] if _kind(region) not in AREAS]
            found.append(_annotation(source, image, finder, attribute, ids))
    found += no_areas(others)
    return draw_pairs("VIA's regions", split, root, found, classes, draw_via, divide)


def _files(root: Path) -> list[Path]:
    found = [path for path in json_files(root) if any(each.match(beginning(path)) for each in (_PROJECT, _EXPORT))]
    return sorted([*found, *(path for path in files_named(root, ".csv") if _TABLE.match(beginning(path)))])


def _content(path: Path) -> dict:
    """Returns a project: the images of an export of annotations, or of a table, are those of a project, too."""
    content = _table(path) if path.suffix == ".csv" else read_json(path)
    if not isinstance(content, dict):
        raise UserError(f"{path}: is no project or export of VIA's; save it again")
    return content if _IMAGES in content else {_IMAGES: content}


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


def _images(path: Path, content: dict) -> list[dict]:
    """Returns the images of a project, each with a list of its regions, which VIA 1 numbers."""
    images = content[_IMAGES]
    if not isinstance(images, dict):
        raise UserError(f"{path}: has no images in {_IMAGES}; save it again")
    found = []
    for key, image in images.items():
        regions = image.get("regions") if isinstance(image, dict) else None
        regions = list(regions.values()) if isinstance(regions, dict) else regions
        parts = ("shape_attributes", "region_attributes")
        if not isinstance(regions, list) or not all(
            isinstance(region, dict) and all(isinstance(region.get(part), dict) for part in parts) for region in regions
        ):
            raise UserError(
                f"{path}: the image {key!r:.80} has no list of regions with {' and '.join(parts)}; save it again"
            )
        found.append({"filename": image.get("filename"), "regions": regions})
    return found


def _attribute(root: Path, images: list[dict], attribute: str) -> str:
    """Returns the attribute that names classes: the one given, else the only one that the regions have."""
    named: dict[str, set[str]] = {}
    for image in images:
        for region in image["regions"]:
            for key, value in region["region_attributes"].items():
                named.setdefault(key, set()).add(str(value))
    if attribute in named or (not attribute and len(named) == 1):
        return attribute or next(iter(named))
    if not named:
        raise UserError(f"{root}: its regions have no attribute that names their class; add one in VIA")
    shown = "; ".join(f"{key}: {', '.join(sorted(values)[:4])[:60]}" for key, values in sorted(named.items()))
    which = f"is no attribute {attribute!r}" if attribute else f"are {len(named)} attributes"
    fix = argument("layout", f"via:{min(named)}")
    raise UserError(f"{root}: there {which} of regions; say which names classes, such as {fix} ({shown})")


def _labels(contents: dict[str, dict], images: dict[str, list[dict]], attribute: str) -> dict[str, str]:
    """Returns the names of classes by the values that mean them.

    They are the options of the attribute, which may have names of their own, and without such all values of regions.
    """
    options: dict[str, str] = {}
    for content in contents.values():
        about: Any = content.get(_ATTRIBUTES)
        for key in ("region", attribute, "options"):
            about = about.get(key) if isinstance(about, dict) else None
        for value, name in about.items() if isinstance(about, dict) else ():
            options.setdefault(value, name.strip() if isinstance(name, str) and name.strip() else value)
    regions = (region for found in images.values() for image in found for region in image["regions"])
    used = {value for region in regions for value in _values(region, attribute)}
    return options or {value: value for value in sorted(used)}


def _values(region: dict, attribute: str) -> list[str]:
    """Returns what an attribute says: a text, or of a checkbox the names that are ticked."""
    value = region["region_attributes"].get(attribute)
    if isinstance(value, dict):
        return [name for name, is_ticked in value.items() if is_ticked]
    return [str(value).strip()] if isinstance(value, (str, int)) and str(value).strip() else []


def _kind(region: dict) -> str:
    return str(region["shape_attributes"].get("name"))


def _annotation(
    source: str, image: dict, images: Images, attribute: str, ids: dict[str, int]
) -> Annotation | DataError:
    areas = [region for region in image["regions"] if _kind(region) in AREAS]
    try:
        return Annotation(images.find(source, image["filename"]), source, tuple(_shapes(source, areas, attribute, ids)))
    except DataError as fault:
        return fault


def _shapes(source: str, areas: list[dict], attribute: str, ids: dict[str, int]) -> Iterator[tuple[int, dict]]:
    for region in areas:
        values, kind = _values(region, attribute), _kind(region)
        if len(values) != 1 or values[0] not in ids:
            said = f"{attribute} {', '.join(map(repr, values))}" if values else f"no {attribute}"
            fix = "choose one of its options" if values else "give it one"
            raise DataError("unknown label", f"{source}: a {kind} has {said}; {fix}")
        shape = region["shape_attributes"]
        yield ids[values[0]], {key: shape[key] for key in ("name", *AREAS[kind]) if key in shape}
