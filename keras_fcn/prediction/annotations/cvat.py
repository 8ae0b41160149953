"""A mask's objects as CVAT's XML, "CVAT for images 1.1"."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from xml.etree import ElementTree
from xml.sax.saxutils import escape, quoteattr

import numpy as np

from keras_fcn.errors import UserError
from keras_fcn.images.classes import ClassTable, Color
from keras_fcn.prediction.annotations.coco import PYCOCOTOOLS
from keras_fcn.prediction.annotations.mask.objects import MaskObject, objects, run_lengths, runs
from keras_fcn.prediction.annotations.mask.outlines import outlined
from keras_fcn.prediction.annotations.style import AnnotationStyle
from keras_fcn.prediction.plan import is_frame

_UNWRITABLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 has no way to write."""

_LONGEST_NAME = 64

_END = b"</annotations>\n"


def cvat(name: str, ids: np.ndarray, classes: ClassTable, tolerance: float = 1) -> bytes:
    """Returns the annotations of one image, with the definitions of the labels.

    Shapes are polygons, several of one group where an object has holes; with a tolerance of 0 they are masks, exact.

    Args:
        name: The image's name, by which CVAT finds its frame.
        ids: Class ids uint8 [H, W] of the image as displayed.
        classes: Names and colours; background becomes no shape.
        tolerance: In pixels.

    Raises:
        UserError: If the name cannot be written into XML.
    """
    if _UNWRITABLE.search(name):
        raise UserError(f"XML cannot hold the image's name {name!r}; rename it")
    height, width = ids.shape
    shapes = _polygons(ids, classes, tolerance) if tolerance else map(_mask, objects(ids, classes))
    image = f'  <image id="0" name={quoteattr(name)} width="{width}" height="{height}">\n'
    drawn = [
        f'    <{kind} label={quoteattr(classes.names[index])} source="auto" occluded="0" {shape} z_order="0"/>\n'
        for index, kind, shape in shapes
    ]
    return _beginning(classes) + "".join([image, *drawn, "  </image>\n"]).encode() + _END


def _polygons(ids: np.ndarray, classes: ClassTable, tolerance: float) -> Iterator[tuple[int, str, str]]:
    for number, (each, rings) in enumerate(outlined(ids, classes, PYCOCOTOOLS, tolerance), 1):
        group = f' group_id="{number}"' if len(rings) > 1 else ""
        for ring in rings:
            points = ";".join(f"{x},{y}" for x, y in ring.tolist())
            yield each.index, "polygon", f'points="{points}"{group}'


def _mask(each: MaskObject) -> tuple[int, str, str]:
    height, width = each.mask.shape
    ((_, spans),) = runs(each.mask.ravel().astype(np.int8))
    counts = ", ".join(map(str, run_lengths(spans, each.mask.size)))
    box = f'left="{each.left}" top="{each.top}" width="{width}" height="{height}"'
    return each.index, "mask", f'rle="{counts}" {box}'


def _beginning(classes: ClassTable) -> bytes:
    labels = "".join(
        f"      <label><name>{escape(name)}</name><color>{_hex(color)}</color><type>any</type><attributes/></label>\n"
        for name, color in _labels(classes)
    )
    meta = f"  <meta>\n    <task>\n      <labels>\n{labels}      </labels>\n    </task>\n  </meta>\n"
    return f'<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n  <version>1.1</version>\n{meta}'.encode()


def _labels(classes: ClassTable) -> list[tuple[str, Color]]:
    return [pair for index, pair in enumerate(zip(classes.names, classes.colors)) if index != classes.background]


def _hex(color: Color) -> str:
    return "#" + bytes(color).hex()


def label_definitions(classes: ClassTable, style: AnnotationStyle) -> bytes:
    """Returns the labels as JSON, which CVAT takes as the raw labels of a new task.

    Raises:
        UserError: If CVAT cannot hold a label's name.
    """
    for name in classes.names:
        if len(name) > _LONGEST_NAME or _UNWRITABLE.search(name):
            raise UserError(f"CVAT takes names of up to {_LONGEST_NAME} printable characters. Received: {name!r}")
    labels = [{"name": name, "color": _hex(color), "attributes": []} for name, color in _labels(classes)]
    return (json.dumps(labels, ensure_ascii=False, indent=1) + "\n").encode()


def merged_cvat(files: Iterable[bytes], left_out: list[bytes]) -> Iterator[bytes]:
    """Yields, in pieces, one file with the images of several, numbered anew.

    Args:
        files: The result of `cvat` for each image. Frames of videos are skipped.
        left_out: Files with other labels than the first, or in another form, are added to it.
    """
    beginning, number = b"", 0
    for file in files:
        start = file.find(b"  <image ")
        try:
            image = ElementTree.fromstring(file).find("image")
        except ElementTree.ParseError:
            image = None
        if image is None or start < 0 or (beginning and not file.startswith(beginning)):
            left_out.append(file)
        elif not is_frame(image.get("name", "")):
            if not beginning:
                beginning = file[:start]
                yield beginning
            yield file[start:].replace(b'<image id="0"', f'<image id="{number}"'.encode(), 1).removesuffix(_END)
            number += 1
    yield _END if beginning else b"<annotations>\n" + _END
