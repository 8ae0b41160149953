"""Annotations of images become pairs of images and masks."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from PIL import Image

from keras_fcn.datasets.inspection import require_sound
from keras_fcn.datasets.layouts.annotations.common.cache import Draw, Later, mask_path, packed, store_mask
from keras_fcn.datasets.listing import normal_name
from keras_fcn.datasets.pairs import Pairs, reader
from keras_fcn.errors import DataError, Remark, UserError
from keras_fcn.images.classes import ClassTable
from keras_fcn.images.headers.orientation import turned
from keras_fcn.images.masks import read_label
from keras_fcn.images.photos import displayed_size, orientation_of
from keras_fcn.system.machine import granted_cores
from keras_fcn.system.progress import progress_bar


@dataclasses.dataclass(frozen=True)
class Annotation:
    """What a tool's file says about one image.

    Attributes:
        image: The image.
        source: The file and the place in it, for error messages.
        shapes: What the format's `Draw` takes, of the types that JSON has, and tuples, which is packed, or `Later`;
            empty for background alone.
        size: Height and width of the image by that file; None if it does not say.
    """

    image: Path
    source: str
    shapes: Any
    size: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.shapes, Later):
            object.__setattr__(self, "shapes", packed(self.source, self.shapes))


Found: TypeAlias = Annotation | DataError | Path
"""What a tool's files say about an image: its shapes, a fault, or nothing, for which the image itself stands."""


def draw_pairs(
    layout: str,
    split: str,
    root: Path,
    found: Sequence[Found],
    classes: ClassTable,
    draw: Draw,
    divide: bool,
) -> Pairs:
    """Returns the pairs of annotated images and masks; masks that are not in the cache yet are drawn, on all cores.

    Where a file gives an image's size before EXIF turns it, shapes are drawn on that, and the mask is turned like the
    image.

    Args:
        layout: The name of the data set's layout, human-readable.
        split: The name of the split.
        root: The folder of the data set.
        found: What is said about the split's images, or with `divide` about all; those without shapes have no mask.
        classes: The classes.
        draw: The format's way to draw its shapes.
        divide: Whether the images have to be divided by `split_of`.

    Raises:
        UserError: If there are no images, too few to divide, or the cache cannot be written.
    """
    named, faults = _named([item for item in found if not isinstance(item, Path)], root)
    drawn = _draw_all(list(named.values()), classes, draw)
    masks = {name: mask for name, mask in zip(named, drawn) if isinstance(mask, Path)}
    faults += [fault for fault in drawn if isinstance(fault, DataError)]
    if not masks:
        require_sound(faults)
        raise UserError(f"{root}: nothing there is annotated in the split {split!r}")
    images = {name: named[name].image for name in masks}
    without, alike = _without((item for item in found if isinstance(item, Path)), root, named)
    images, faults = images | without, faults + alike
    pairs = Pairs.found(layout, split, root, images, masks, classes, reader(read_label, classes), divide)
    read = frozenset(pairs.images)
    empty = [each for each in named.values() if not each.shapes and each.image in read]
    findings = (*faults, *pairs.findings, *_remarks(empty, len(pairs)))
    return dataclasses.replace(pairs, findings=findings, palette_means_colors=True)


def _named(
    found: Sequence[Annotation | DataError], root: Path
) -> tuple[dict[str, Annotation], list[DataError]]:  # fmt: skip
    """Returns annotations by their images' names, and faults; an image that is annotated again is a fault."""
    named: dict[str, Annotation] = {}
    faults = []
    for item in found:
        if isinstance(item, DataError):
            faults.append(item)
        elif (other := named.setdefault(_name(item.image, root), item)) is not item:
            what = "has been annotated already" if other.image == item.image else f"is named like {other.image.name}"
            message = f"{item.source}: {item.image} {what} by {other.source}; keep one of both, or rename it"
            faults.append(DataError("annotated twice", message))
    return named, faults


def _without(
    images: Iterable[Path], root: Path, named: dict[str, Annotation]
) -> tuple[dict[str, Path], list[DataError]]:  # fmt: skip
    """Returns images that nothing is said about by their names, and findings on those named like an annotated one."""
    names = {_name(image, root): image for image in images}
    findings = [
        DataError("photo alone", f"{image}: has no mask, {named[name].image.name} has; it is ignored", is_fatal=False)
        for name, image in names.items()
        if name in named
    ]
    return {name: image for name, image in names.items() if name not in named}, findings


def _name(image: Path, root: Path) -> str:
    return normal_name(image.relative_to(root).with_suffix("").as_posix())


def _remarks(empty: Sequence[Annotation], count: int) -> list[Remark]:
    if not empty:
        return []
    are = f"{len(empty)} of {count} images have" if len(empty) > 1 else f"1 of {count} images has"
    message = f"{empty[0].source}: has no shape, {are} none; they are background alone: remove what nobody annotated"
    return [Remark("no shapes", message)]


def no_areas(shapes: Sequence[tuple[str, str]]) -> list[Remark]:
    """Returns a remark that shapes are no areas, such as lines and points, and are not drawn; none without any.

    Args:
        shapes: The image's place in a file of annotations, and the kind, of each such shape.
    """
    if not shapes:
        return []
    counts = Counter(kind for _, kind in shapes)
    kinds = ", ".join(f"{kind} ({count})" for kind, count in counts.most_common())
    images = list(dict.fromkeys(source for source, _ in shapes))
    where = f"{len(images)} images" if len(images) > 1 else "1 image"
    message = f"{images[0]}: has shapes that are no areas and are not drawn; in {where}: {kinds}"
    return [Remark("no areas", message, count=len(images))]


def _draw_all(annotations: Sequence[Annotation], classes: ClassTable, draw: Draw) -> list[Path | DataError]:
    """Returns the path of each mask in the cache, or the fault for which there is none."""
    with ThreadPoolExecutor(granted_cores()) as threads:
        plans = list(threads.map(lambda each: _planned(each, classes, draw), annotations))
        missing = {
            plan[0]: (plan, annotation)
            for plan, annotation in zip(plans, annotations)
            if not isinstance(plan, DataError) and not plan[0].exists()
        }
        if not missing:
            return [plan if isinstance(plan, DataError) else plan[0] for plan in plans]
        faults: dict[Path, DataError] = {}
        with progress_bar(len(missing), "image", "drawing masks") as bar:

            def store(job: tuple[tuple[Path, tuple[int, int], int], Annotation]) -> None:
                (path, size, turn), annotation = job
                try:
                    store_mask(path, _turned(_drawn(annotation, size, draw), turn), classes)
                except DataError as fault:
                    faults[path] = fault
                bar.update()

            for _ in threads.map(store, missing.values()):
                pass
    return [plan if isinstance(plan, DataError) else faults.get(plan[0], plan[0]) for plan in plans]


def _planned(
    annotation: Annotation, classes: ClassTable, draw: Draw
) -> tuple[Path, tuple[int, int], int] | DataError:  # fmt: skip
    """Returns a mask's path, the size at which it is drawn, and the EXIF orientation to turn it by then."""
    try:
        size, turn = _size(annotation)
    except DataError as fault:
        return fault
    return mask_path(annotation.shapes, size, turn, classes, draw), size, turn


def _size(annotation: Annotation) -> tuple[tuple[int, int], int]:
    upright, turn = displayed_size(annotation.image), orientation_of(annotation.image)
    stored = upright[::-1] if turn >= 5 else upright
    if annotation.size in (None, upright):
        return upright, 1
    if annotation.size == stored:
        return stored, turn
    said, found = ("x".join(map(str, size)) for size in (annotation.size, upright))
    raise DataError(
        "size mismatch",
        f"{annotation.source}: says that {annotation.image} is {said} pixels (height x width), but it is {found}; "
        "annotate this image, or put the one that was annotated there",
    )


def _drawn(annotation: Annotation, size: tuple[int, int], draw: Draw) -> np.ndarray:
    try:
        return draw(annotation.shapes.read(), size)
    except DataError as fault:
        raise DataError(fault.kind, f"{annotation.source}: {fault}") from None


def _turned(ids: np.ndarray, turn: int) -> np.ndarray:
    return ids if turn == 1 else np.asarray(turned(Image.fromarray(ids), turn))
