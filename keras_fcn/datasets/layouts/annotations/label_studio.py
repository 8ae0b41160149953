"""Label Studio's JSON export: polygons, rectangles, ellipses and brushes of tasks, and their images."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from keras_fcn.datasets.layouts.annotations.common.cache import Later, packed
from keras_fcn.datasets.layouts.annotations.common.classes import class_table
from keras_fcn.datasets.layouts.annotations.common.drawing import Annotation, Found, draw_pairs
from keras_fcn.datasets.layouts.annotations.common.files import (
    Images,
    beginning,
    holds_masks,
    json_files,
)  # fmt: skip
from keras_fcn.datasets.layouts.annotations.common.pieces import opened_json
from keras_fcn.datasets.layouts.annotations.common.splits import by_split, files_to_read
from keras_fcn.datasets.layouts.annotations.raster.label_studio import draw_label_studio
from keras_fcn.datasets.pairs import Pairs
from keras_fcn.errors import DataError, UserError
from keras_fcn.system.packages import require_packages

_TASKS = re.compile(r"\s*\[\s*\{")
_KEYS = ('"annotations"', '"completed_by"', '"original_width"', '"from_name"', '"file_upload"')
_UPLOADED = re.compile(r"[0-9a-f]{8}-")
"""What Label Studio writes before the names of uploaded files."""

_KINDS = ({"rle"}, {"points"}, {"x", "y", "radiusX", "radiusY"}, {"x", "y", "width", "height"})
"""Keys of the values of brushes, polygons, ellipses and rectangles."""

_OF_SHAPES = {"x", "points", "rle", "vertices", "imageDataURL"}
"""Keys that values of regions of an image have; those of choices and texts have none."""


def recognizes(root: Path) -> bool:
    """Returns whether there is a JSON export of Label Studio's, and no folder of masks."""
    return bool(_files(root)) and not holds_masks(root)


def read_label_studio(root: Path, split: str) -> Pairs:
    """Lists the pairs of one split; classes are background and the labels in the order of the alphabet.

    Regions are drawn in the order of the file, a later one over an earlier one. Tasks without annotation, or with
    cancelled ones alone, have no mask.

    Args:
        root: The folder that holds the export, JSON or JSON-MIN, and the images under their own names or those that
            Label Studio has given them.
        split: The name of a split in the names of files or of their folders; without any, "train", "val" or "all".

    Raises:
        UserError: If there is no such split, or a file is not Label Studio's.
    """
    require_packages("the layout label_studio", "extra", "pycocotools")
    files = by_split(root, _files(root), "Label Studio's JSON")
    names, divide = files_to_read(root, files, split)
    tasks = {name: _tasks(path) for name, path in files.items()}
    labels = sorted({label for found in tasks.values() for task in found for label in task.labels})
    classes, indices = class_table(files[names[0]], labels)
    ids = dict(zip(labels, indices))
    found: list[Found] = []
    for name in names:
        images = Images.near(root, files[name], name)
        for task in tasks[name]:
            found.append(_annotation(task, images, ids))
    return draw_pairs("Label Studio's JSON", split, root, found, classes, draw_label_studio, divide)


def _files(root: Path) -> list[Path]:
    starts = ((path, beginning(path)) for path in json_files(root))
    return sorted(path for path, start in starts if _TASKS.match(start) and any(key in start for key in _KEYS))


@dataclasses.dataclass(frozen=True)
class _Task:
    """What is kept of a task.

    Attributes:
        source: The file and the task, for error messages.
        texts: The texts of its data, one of which is the image's address.
        regions: Its regions, a fault, or None without annotation.
        labels: The labels of its regions.
    """

    source: str
    texts: list[str]
    regions: Later | DataError | None
    labels: list[str]


def _tasks(path: Path) -> list[_Task]:
    tasks, seen = [], set()
    with opened_json(path) as pieces:
        for task, *_ in pieces.entries():
            if not isinstance(task, dict):
                raise UserError(f"{path}: is no list of tasks; export them as JSON")
            key = repr(task.get("id"))
            if key in seen and task.get("id") is not None:
                raise UserError(f"{path}: task {key} is there more than once; export it again")
            seen.add(key)
            source = f"{path}: task {task.get('id')}"
            data = task["data"] if isinstance(task.get("data"), dict) else task
            texts = [value for value in data.values() if isinstance(value, str)]
            result = _results(source, task)
            if isinstance(result, list):
                labels = list(dict.fromkeys(label for region in result for label in _labels(region)))
                tasks.append(_Task(source, texts, packed(source, result), labels))
            else:
                tasks.append(_Task(source, texts, result, []))
    return tasks


def _results(source: str, task: dict) -> list[dict] | DataError | None:
    """Returns the regions of a task, each with the size of its image in it; a fault; or None without annotation.

    A task of the JSON export has annotations with results with values, one of JSON-MIN the values themselves. What a
    model predicted for a task nobody has annotated.
    """
    if "annotations" not in task and "predictions" in task:
        return None
    if "annotations" not in task:
        lists = [
            each for each in task.values() if isinstance(each, list) and all(isinstance(item, dict) for item in each)
        ]
        return [region for regions in lists for region in regions if _OF_SHAPES & region.keys()] if lists else None
    annotations = task["annotations"]
    if not isinstance(annotations, list):
        return DataError("broken JSON", f"{source}: has no list of annotations; export it again")
    done = [each for each in annotations if isinstance(each, dict) and not each.get("was_cancelled")]
    done = [each for each in done if each.get("ground_truth")] or done
    if len(done) > 1:
        return DataError(
            "annotated twice",
            f"{source}: has {len(done)} annotations; delete all but one, or mark one as ground truth",
        )
    if not done:
        return None
    results = done[0].get("result")
    if not isinstance(results, list):
        return DataError("broken JSON", f"{source}: its annotation has no list of results; export it again")
    if any(not isinstance(each, dict) or _lacks_value(each) for each in results):
        return DataError("broken JSON", f"{source}: a region of its annotation has no value; export it again")
    values = [
        {key: each.get(key) for key in ("image_rotation", "original_width", "original_height")} | each["value"]
        for each in results
        if isinstance(each.get("value"), dict)
    ]
    return [value for value in values if _OF_SHAPES & value.keys()]


def _lacks_value(result: dict) -> bool:
    """Returns whether a result should have a value and has none; relations of two regions have none."""
    return result.get("type") != "relation" and not isinstance(result.get("value"), dict)


def _labels(region: dict) -> list[str]:
    lists = [value for key, value in region.items() if key.endswith("labels") and isinstance(value, list)]
    return [label for labels in lists for label in labels if isinstance(label, str)]


def _annotation(task: _Task, images: Images, ids: dict[str, int]) -> Found:
    """Returns what is drawn on a task's image, a fault, or the image alone if nobody has annotated it."""
    source, kept = task.source, task.regions
    if isinstance(kept, DataError):
        return kept
    regions = None if kept is None else kept.read()
    try:
        image = _image(source, task.texts, images)
        if regions is None:
            return image
        shapes = tuple(_shape(source, region, ids) for region in regions if not _is_bare(region, regions))
    except DataError as fault:
        return fault
    sides = [(region.get("original_height"), region.get("original_width")) for region in regions]
    if not all(type(side) in (int, type(None)) for size in sides for side in size):
        return DataError(
            "size mismatch", f"{source}: original_width and original_height must be numbers; export it again"
        )
    sizes: set[Any] = set(sides)
    if len(sizes) > 1:
        return DataError("size mismatch", f"{source}: its regions are of images of different sizes; annotate it again")
    size = next(iter(sizes), None)
    return Annotation(image, source, shapes, None if size == (None, None) else size)


def _is_bare(region: dict, regions: list[dict]) -> bool:
    """Returns whether a region is there again with its label, as tools for regions and labels apart write it."""
    return not _labels(region) and any(
        _labels(other) and all(other.get(key) == value for key, value in region.items()) for other in regions
    )


def _shape(source: str, region: dict, ids: dict[str, int]) -> tuple[int, dict[str, Any]]:
    labels = _labels(region)
    if len(labels) != 1:
        named = f"the labels {', '.join(labels)}" if labels else "no label"
        raise DataError("unknown label", f"{source}: a region has {named}; give each one label")
    if region.get("image_rotation"):
        raise DataError(
            "shape", f"{source}: its image was turned in Label Studio, which is not read; annotate it upright"
        )
    for keys in _KINDS:
        if keys <= region.keys():
            return ids[labels[0]], {key: region[key] for key in (*sorted(keys), "rotation") if key in region}
    raise DataError(
        "shape",
        f"{source}: a region of {labels[0]!r} is no polygon, rectangle, ellipse or brush of run lengths; remove it",
    )


def _image(source: str, texts: list[str], images: Images) -> Path:
    """Returns a task's image by the end of its address, with or without what Label Studio writes before its name."""
    addresses = [text for text in texts if re.search(r"[./\\]", text)]
    names = [name for address in addresses for name in _names(address)]
    for name in names:
        try:
            return images.find(source, name)
        except DataError:
            continue
    address = addresses[0] if addresses else None
    message = f"{source}: the image {address!r} is missing; put it beside the export or into images/"
    raise DataError("missing photo", message)


def _names(address: str) -> Iterator[str]:
    """Yields the ends of an address, the longest first, each also without the prefix of uploaded files."""
    try:
        parts = urlsplit(address.replace("\\", "/"))
    except ValueError:  # brackets of no address
        return
    path = parse_qs(parts.query).get("d", [unquote(parts.path)])[0]
    words = [word for word in path.split("/") if word not in ("", ".", "..")]
    for start in range(len(words)):
        yield "/".join(words[start:])
    if words and _UPLOADED.match(words[-1]):
        yield _UPLOADED.sub("", words[-1], count=1)
