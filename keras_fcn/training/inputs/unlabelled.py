"""The images without labels that a teacher labels as training goes."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

import numpy as np

from keras_fcn.datasets import Inspection, Pairs, find_layout, inspect_pairs
from keras_fcn.datasets.listing import inner_folders, pictures_in
from keras_fcn.errors import UserError, argument
from keras_fcn.images.photos import IMAGE_SUFFIXES, displayed_size
from keras_fcn.images.pillow import opened
from keras_fcn.runs.names import TEACH
from keras_fcn.system.files import content_digest
from keras_fcn.system.machine import decoding_threads
from keras_fcn.system.text import by_suffix, shown

FEW_COLORS = 8
"""Colours up to which a picture looks like a mask, with few classes, too."""

SAMPLED = 16
"""Pictures that are looked at for such, before all are."""

LOSSY = (".jpg", ".jpeg", ".heic", ".avif")
"""Suffixes of pictures that are no masks, without looking."""


def open_unlabelled(
    unlabelled: str,
    pairs: Pairs,
    known: Collection[str],
    report: Callable[[str], None],
    test: Sequence[Path] = (),
) -> tuple[Pairs, Inspection]:
    """Lists images without labels, and decodes all of them once; those that are labelled somewhere are left out.

    So are images of the test split, and what looks like masks.

    Args:
        unlabelled: A folder, or "teach" for the training images that have no mask.
        pairs: The training data, for the classes and those images.
        known: The contents of all labelled images, those for validation too, as `Inspection` has them.
        report: Called with each line of the log.
        test: The images of the data set's test split.

    Returns:
        Pairs whose label files are the images themselves, read as class 0 everywhere; and their inspection.

    Raises:
        UserError: If there is no such folder, it holds no image or only labelled ones, or an image cannot be decoded.
    """
    images = unlabelled_images(unlabelled, pairs, report)
    if unlabelled != TEACH:
        images = _without_test(unlabelled, _without_masks(unlabelled, images, pairs, report), test, report)
    alone = dataclasses.replace(
        pairs, images=images, labels=images, read_label=_read_no_label, findings=(), palette_means_colors=False,
        unlabelled=(), masks=None, stored_classes=None, label_ids=(), group_of={},
    )  # fmt: skip
    inspection = inspect_pairs(alone)
    inspection.require_sound()
    first, seen = set(known), dict[str, int]()
    for index, content in enumerate(inspection.contents):
        if content not in first:
            seen.setdefault(content, index)
    kept = sorted(seen.values())
    labelled = [image.name for image, content in zip(images, inspection.contents) if content in first]
    if labelled:
        report(f"Files    {len(labelled)} of these images are in the data set, and left out: {shown(labelled)}")
    if copies := len(images) - len(labelled) - len(kept):
        report(f"Files    {copies} of these images are copies of others, and left out")
    if not kept:
        raise UserError(f"{argument('unlabelled', unlabelled)}: all of its {len(images)} images are in the data set")
    chosen = tuple(images[index] for index in kept)
    contents = tuple(inspection.contents[index] for index in kept)
    return (
        dataclasses.replace(alone, images=chosen, labels=chosen),
        dataclasses.replace(
            inspection,
            is_sound=inspection.is_sound[kept],
            sizes=inspection.sizes[kept],
            pixels=inspection.pixels[kept],
            contents=contents,
            label_contents=contents,
        ),
    )


def unlabelled_images(
    unlabelled: str, pairs: Pairs, report: Callable[[str], None] = lambda line: None
) -> tuple[Path, ...]:
    """Lists the images without labels; see `open_unlabelled`."""
    if unlabelled == TEACH:
        if not pairs.unlabelled:
            raise UserError(
                f"{argument('unlabelled', TEACH)}: all images of the split {pairs.split} have masks; give a folder of "
                "other images"
            )
        return pairs.unlabelled
    folder = Path(unlabelled)
    if not folder.is_dir():
        raise UserError(
            f"{argument('unlabelled', unlabelled)}: no such folder; it takes a folder of images, {TEACH}, leave_out or "
            "background"
        )
    if found := _data_set(folder):
        raise UserError(
            f"{argument('unlabelled', unlabelled)}: {found}, whose masks would be taken for images; give the folder of "
            "its images"
        )
    pictures = tuple(pictures_in(folder))
    images = tuple(path for path in pictures if path.suffix.lower() in IMAGE_SUFFIXES)
    if not images:
        raise UserError(f"{argument('unlabelled', unlabelled)}: holds no image ({', '.join(IMAGE_SUFFIXES)})")
    if others := [path for path in pictures if path.suffix.lower() not in IMAGE_SUFFIXES]:
        report(f"Files    left out of {folder}: {by_suffix(others)} (convert them to JPEGs or PNGs)")
    return images


def _without_masks(
    unlabelled: str, images: tuple[Path, ...], pairs: Pairs, report: Callable[[str], None]
) -> tuple[Path, ...]:
    """Returns images without those that have no more colours than a mask, unless the training images are so, too."""
    most = max(FEW_COLORS, pairs.classes.num_classes + 1)
    if _of_few_colors(pairs.images, most):
        return images
    masks = frozenset(_of_few_colors(images, most))
    if len(masks) == len(images):
        raise UserError(
            f"{argument('unlabelled', unlabelled)}: all of its {len(images)} images look like masks, of at most {most} "
            "colours each; give the folder of the images"
        )
    if masks:
        names = shown([image.name for image in images if image in masks])
        report(
            f"Files    {len(masks)} of these images look like masks, of at most {most} colours, and left out: {names}"
        )
    return tuple(image for image in images if image not in masks)


def _of_few_colors(images: Sequence[Path], most: int) -> list[Path]:
    """Returns the images of at most so many colours; none, without decoding all, if some of them show none."""
    lossless = [image for image in images if image.suffix.lower() not in LOSSY]

    def is_of_few(path: Path) -> bool:
        with contextlib.suppress(UserError), opened(path) as image:
            return image.getcolors(most) is not None
        return False

    if not any(map(is_of_few, lossless[:: len(lossless) // SAMPLED + 1])):
        return []
    with decoding_threads() as threads:
        return [path for path, is_one in zip(lossless, threads.map(is_of_few, lossless)) if is_one]


def _without_test(
    unlabelled: str, images: tuple[Path, ...], test: Sequence[Path], report: Callable[[str], None]
) -> tuple[Path, ...]:
    """Returns images without those of the test split, which are known by their contents, wherever they lie."""
    sizes = {image.stat().st_size for image in images}
    contents = {content_digest(image) for image in test if image.is_file() and image.stat().st_size in sizes}
    if not contents:
        return images
    tested = [image for image in images if content_digest(image) in contents]
    if len(tested) == len(images):
        raise UserError(
            f"{argument('unlabelled', unlabelled)}: all of its {len(images)} images are in the test split; it is there "
            "to be evaluated on"
        )
    if tested:
        names = shown([image.name for image in tested])
        report(f"Files    {len(tested)} of these images are in the test split, and left out: {names}")
    return tuple(image for image in images if image not in frozenset(tested))


def _data_set(folder: Path) -> str | None:
    """Returns what a folder holds that is a data set with masks or annotations; None if it holds images alone."""
    for inside in (folder, *inner_folders(folder)):
        with contextlib.suppress(UserError):
            layout = find_layout(inside)
            return f"is a data set ({layout})" if inside == folder else f"holds the data set {inside.name} ({layout})"
    return None


def _read_no_label(path: Path) -> np.ndarray:
    """Returns the label of an image that has none: class 0, uint8 [H, W]; padding around it becomes void."""
    return np.zeros(displayed_size(path), np.uint8)
