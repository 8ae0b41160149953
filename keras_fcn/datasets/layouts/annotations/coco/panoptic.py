"""COCO's panoptic format: PNGs of segment ids, and a JSON that says the category of each."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from keras_fcn.datasets.layouts.annotations.coco.contents import (
    annotated_images,
    coco_files,
    is_panoptic,
    read_files,
)  # fmt: skip
from keras_fcn.datasets.layouts.annotations.coco.scanning import key_of, scan
from keras_fcn.datasets.layouts.annotations.common.drawing import Annotation
from keras_fcn.datasets.layouts.annotations.common.files import Images, holds_masks, image_folders
from keras_fcn.datasets.layouts.annotations.common.splits import by_split
from keras_fcn.datasets.layouts.annotations.raster.panoptic import draw_panoptic
from keras_fcn.datasets.pairs import Pairs
from keras_fcn.errors import DataError


def recognizes(root: Path) -> bool:
    """Returns whether COCO's files there are panoptic ones alone, and there is no folder of masks."""
    files = coco_files(root)
    return bool(files) and all(map(is_panoptic, files)) and not holds_masks(root)


def read_coco_panoptic(root: Path, split: str) -> Pairs:
    """Lists the pairs of one split; classes are the categories in the order of their ids, things and stuff alike.

    A pixel's segment is R + 256 G + 65,536 B; segment 0 is void. PNGs are in a folder named like their JSON, or beside.

    Args:
        root: The folder that holds the JSON files, in it or in folders in it, the PNGs and the images.
        split: The name of a split in the names of files or of their folders; without any, "train", "val" or "all".

    Raises:
        UserError: If there is no such split, a file is not COCO's panoptic JSON, or files disagree about categories.
    """
    files = by_split(root, [path for path in coco_files(root) if is_panoptic(path)], "panoptic JSON of COCO's")
    return read_files("COCO panoptic", root, split, files, None, _described, draw_panoptic)


def _described(root: Path, path: Path, split: str, ids: dict[int, int]) -> Iterator[Annotation | DataError]:
    entries: list[dict] = []
    images = scan(path, lambda entry, *_: entries.append(entry))
    shapes, faults = _shapes(root, path, split, images, entries, ids)
    yield from faults
    yield from annotated_images(root, path, split, images, shapes)


def _shapes(
    root: Path, path: Path, name: str, images: list[dict], entries: list[dict], ids: dict[int, int]
) -> tuple[dict[Any, Any], list[DataError]]:  # fmt: skip
    """Returns what `draw_panoptic` takes for each image that has a PNG, by the image's id; and faults."""
    pngs = Images(root, [path.with_suffix(""), root / path.stem, *image_folders(root, path.parent, name)])
    known = {image["id"] for image in images}
    shapes: dict[Any, Any] = {}
    faults = [
        DataError("missing mask", f"{path}: image {key} has no annotation; add it, or remove the image")
        for key in sorted(known - {key_of(entry, "image_id") for entry in entries}, key=str)
    ]
    for entry in entries:
        image = key_of(entry, "image_id")
        source = f"{path}: the annotation of image {image}"
        try:
            if image not in known or image in shapes:
                what = "is there more than once" if image in known else "is of no image"
                raise DataError("unknown image", f"{source} {what}; remove it")
            png = pngs.find(source, entry.get("file_name"))
            digest = hashlib.sha256(png.read_bytes()).hexdigest()
            shapes[image] = (str(png), digest, _segments(source, entry.get("segments_info"), ids))
        except DataError as fault:
            faults.append(fault)
    return shapes, faults


def _segments(source: str, segments: Any, ids: dict[int, int]) -> tuple[tuple[int, int], ...]:
    if not isinstance(segments, list) or not all(isinstance(each, dict) for each in segments):
        raise DataError("broken JSON", f"{source} has no list of segments_info; export it again")
    for segment in segments:
        if type(segment.get("id")) is not int or key_of(segment, "category_id") not in ids:
            of = f"category {segment.get('category_id')!r}"
            raise DataError(
                "unknown category", f"{source}: segment {segment.get('id')!r} is of {of}, which is not listed"
            )
    return tuple((segment["id"], ids[segment["category_id"]]) for segment in segments)
