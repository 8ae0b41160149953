"""A mask's objects as the predictions of Label Studio's tasks."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from urllib.parse import quote
from xml.sax.saxutils import quoteattr

import numpy as np

from keras_fcn.errors import UserError
from keras_fcn.images.classes import ClassTable
from keras_fcn.prediction.annotations.coco import PYCOCOTOOLS
from keras_fcn.prediction.annotations.mask.objects import present
from keras_fcn.prediction.annotations.mask.outlines import Ring, outlined
from keras_fcn.prediction.annotations.style import AnnotationStyle
from keras_fcn.prediction.plan import is_frame

_CHANNELS, _LONGEST_RUN = 4, 1 << 16

_HEADER = [(7, 5), (2, 4), (3, 4), (7, 4), (15, 4)]
"""Bits of a value, and of the lengths of runs in four sizes, each less one; and how many bits say so."""


def label_studio(address: str, ids: np.ndarray, classes: ClassTable, tolerance: float = 1) -> list[dict]:
    """Returns the task of one image, with its objects as a prediction.

    Regions are polygons, several where an object has holes; with a tolerance of 0, a brush for each class, exact.

    Args:
        address: The image's address, as Label Studio serves it.
        ids: Class ids uint8 [H, W] of the image as displayed.
        classes: Names; background becomes no region.
        tolerance: In pixels.

    Raises:
        UserError: If a brush cannot hold as many pixels.
    """
    if tolerance:
        found = [
            {"points": _percents(ring, ids.shape), "closed": True} | {"polygonlabels": [classes.names[each.index]]}
            for each, rings in outlined(ids, classes, PYCOCOTOOLS, tolerance)
            for ring in rings
        ]
    else:
        found = [
            {"format": "rle", "rle": brush(ids == index), "brushlabels": [classes.names[index]]}
            for index in present(ids, classes)
        ]
    height, width = ids.shape
    about = {"original_width": width, "original_height": height, "image_rotation": 0, "to_name": "image"}
    kind = "polygonlabels" if tolerance else "brushlabels"
    results = [
        {"id": f"object{number}", "from_name": "label", "type": kind, **about, "value": value}
        for number, value in enumerate(found, 1)
    ]
    return [{"data": {"image": address}, "predictions": [{"model_version": "keras_fcn", "result": results}]}]


def address_of(location: str, name: str) -> str:
    """Returns an image's address: its own in a store; else that of a local file below the input folder's parent.

    Label Studio serves local files that way if LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT is that parent.

    Args:
        location: The image's path or URI.
        name: Its path below the input folder, with "/".
    """
    if "://" in location:
        return location
    folder = location.replace("\\", "/").removesuffix(name).rstrip("/").rpartition("/")[2]
    path = f"{folder}/{name}" if folder not in ("", ".", "..") else name
    return f"/data/local-files/?d={quote(path, errors='surrogateescape')}"


def _percents(ring: Ring, size: tuple[int, ...]) -> list[list[float]]:
    return (100 * ring / size[::-1]).tolist()


def brush(where: np.ndarray) -> list[int]:
    """Returns pixels as Label Studio's run lengths of RGBA, all four values being 255 or 0.

    Args:
        where: Boolean [H, W].

    Raises:
        UserError: If there are too many pixels for its 32 bits.
    """
    total = where.size * _CHANNELS
    if total >= 1 << 32:
        raise UserError(f"Label Studio's brushes hold at most {(1 << 30) - 1} pixels. Received: {where.size}")
    flat = where.ravel()
    ends = np.append(np.flatnonzero(np.diff(flat)) + 1, flat.size) * _CHANNELS
    lengths = np.diff(ends, prepend=0)
    pieces = -(-lengths // _LONGEST_RUN)
    values = np.repeat(flat[(ends - 1) // _CHANNELS], pieces)
    sizes = np.full(pieces.sum(), _LONGEST_RUN)
    sizes[np.cumsum(pieces) - 1] = lengths - (pieces - 1) * _LONGEST_RUN
    header = [_bits(np.array([number]), count) for number, count in [(total, 32), *_HEADER]]
    is_run_of_the_longest_size = np.full((len(sizes), 3), 1)
    each = np.concatenate([is_run_of_the_longest_size, _bits(sizes - 1, 16), _bits(values * 255, 8)], axis=1)
    return np.packbits(np.concatenate([*(part.ravel() for part in header), each.ravel()]).astype(np.uint8)).tolist()


def _bits(numbers: np.ndarray, count: int) -> np.ndarray:
    """Returns the lowest bits of numbers [N], the highest first: [N, count]."""
    return numbers[:, None] >> np.arange(count)[::-1] & 1


def labeling_config(classes: ClassTable, style: AnnotationStyle) -> bytes:
    """Returns the labeling interface of a project that these tasks are imported into."""
    kind = "PolygonLabels" if style.tolerance_or(1) else "BrushLabels"
    named = [pair for index, pair in enumerate(zip(classes.names, classes.colors)) if index != classes.background]
    labels = "".join(
        f"    <Label value={quoteattr(name)} background={quoteattr('#' + bytes(color).hex())}/>\n"
        for name, color in named
    )
    image = '  <Image name="image" value="$image"/>\n'
    return f'<View>\n{image}  <{kind} name="label" toName="image">\n{labels}  </{kind}>\n</View>\n'.encode()


def merged_label_studio(files: Iterable[bytes], left_out: list[bytes]) -> Iterator[bytes]:
    """Yields, in pieces, one list of the tasks of several files.

    Args:
        files: The result of `label_studio` for each image, as JSON. Frames of videos are skipped.
        left_out: Files in another form are added to it.
    """
    separator = "["
    for file in files:
        try:
            (task,) = json.loads(file)
            skip = is_frame(task["data"]["image"])
        except (KeyError, TypeError, ValueError):
            left_out.append(file)
            continue
        if not skip:
            yield (separator + json.dumps(task)).encode()
            separator = ",\n"
    yield b"]\n" if separator != "[" else b"[]\n"
