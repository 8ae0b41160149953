"""Any format of masks or polygons that Datumaro imports: `--layout datumaro:NAME`."""

from __future__ import annotations

import contextvars
import functools
import hashlib
import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from keras_fcn.datasets.layouts.annotations.common.cache import Later
from keras_fcn.datasets.layouts.annotations.common.classes import class_table
from keras_fcn.datasets.layouts.annotations.common.drawing import Annotation, Found, draw_pairs, no_areas
from keras_fcn.datasets.layouts.annotations.common.splits import files_to_read
from keras_fcn.datasets.pairs import Pairs
from keras_fcn.errors import DataError, UserError, argument
from keras_fcn.system.packages import require_packages
from keras_fcn.system.text import reason_of

_AREAS = ("mask", "polygon", "ellipse")
"""Datumaro's types of annotations that are areas."""


def recognizes(root: Path) -> bool:
    """Returns False: a format of Datumaro's has to be named."""
    return False


def read_datumaro(root: Path, split: str, name: str = "") -> Pairs:
    """Lists the pairs of one split; classes are background and Datumaro's labels, in its order.

    Masks, polygons and ellipses are drawn by Datumaro, by z-order and in the order in which it imports them. Images
    without any have no mask. Splits are its subsets.

    Args:
        root: The folder of the data set.
        split: The name of a subset; where none is a split, "train", "val" or "all".
        name: Datumaro's name of the format.

    Raises:
        UserError: If there is no such split or format, Datumaro is not installed, or it cannot read the folder.
    """
    if not name:
        raise UserError(
            f"{root}: {argument('layout', 'datumaro')} needs a format's name, such as datumaro:kitti_segmentation"
        )
    require_packages(argument("layout", f"datumaro:{name}"), "datumaro", "datumaro")
    data = _imported(root, name)
    labels = [label.name for label in data.categories().get(_module("annotation").AnnotationType.label, ())]
    classes, ids = class_table(root, labels)
    parts: dict[str, list[Any]] = {}
    for item in data:
        parts.setdefault(item.subset, []).append(item)
    if not parts:
        raise UserError(f"{root}: Datumaro finds no image there as {name!r}")
    names, divide = files_to_read(root, parts, split)
    found: list[Found] = []
    others: list[tuple[str, str]] = []
    for item in (item for part in names for item in parts[part]):
        source = f"{root}: image {item.id!r} of {item.subset!r}"
        others += [(source, each.type.name) for each in item.annotations if each.type.name not in _AREAS]
        found.append(_annotation(source, root, item, tuple(ids)))
    found += no_areas(others)
    return draw_pairs(f"Datumaro's {name}", split, root, found, classes, draw_datumaro, divide)


def draw_datumaro(shapes: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Returns what Datumaro has drawn; raises DataError if it has another size."""
    if shapes.shape != size:
        drawn, wanted = ("x".join(map(str, each)) for each in (shapes.shape, size))
        raise DataError("size mismatch", f"its mask is {drawn} pixels (height x width), but the image is {wanted}")
    return shapes


def _module(name: str) -> Any:
    return importlib.import_module(f"datumaro.components.{name}")


def _imported(root: Path, name: str) -> Any:
    importers = _module("environment").DEFAULT_ENVIRONMENT.importers
    if name not in importers:
        raise UserError(f"{argument('layout', f'datumaro:{name}')}: Datumaro has {', '.join(sorted(importers))}")
    try:
        data = importlib.import_module("datumaro").Dataset.import_from(str(root), name)
        data.init_cache()
    except Exception as error:  # of any kind: importers raise what their parsers do
        raise UserError(f"{root}: Datumaro cannot read it as {name!r} ({_line(error)}); check the format") from None
    return data


def _line(error: Exception) -> str:
    return " ".join(reason_of(error).split())[:200]


def _annotation(source: str, root: Path, item: Any, ids: tuple[int, ...]) -> Found:
    path = Path(getattr(item.media, "path", "") or "")
    if not path.is_file() or not path.resolve().is_relative_to(root.resolve()):
        return DataError(
            "missing photo", f"{source}: its image is no file in the folder, but {str(path)!r}; put it there"
        )
    image = root / path.resolve().relative_to(root.resolve())
    if not any(each.type.name in _AREAS for each in item.annotations):
        return image
    try:
        drawn = _drawn(item, ids)
    except Exception as error:  # of any kind, as above
        return DataError("annotation", f"{source}: Datumaro cannot draw its annotations ({_line(error)}); fix them")
    digest = hashlib.sha256(drawn.tobytes()).hexdigest()
    read = contextvars.copy_context().run  # Datumaro's readers have a setting in each thread's context
    return Annotation(image, source, Later(digest, functools.partial(read, _drawn, item, ids)), drawn.shape)


def _drawn(item: Any, ids: tuple[int, ...]) -> np.ndarray:
    """Returns the class ids of an image's areas, in the order in which Datumaro's exporters draw them."""
    masks = list(_masks(item))
    drawn = np.zeros(masks[0].image.shape[:2], np.uint8)
    for each in sorted(masks, key=lambda each: each.z_order):
        drawn[np.asarray(each.image) > 0] = ids[each.label]
    return drawn


def _masks(item: Any) -> Iterator[Any]:
    convert = importlib.import_module("datumaro.plugins.transforms").PolygonsToMasks.convert_polygon
    for each in item.annotations:
        if each.type.name == "mask":
            yield each
        elif each.type.name in _AREAS:
            yield convert(each, *item.media.size)
