"""Folders like VOC's, JPEGImages and SegmentationClass, whose split lists may be missing or have other names."""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path

from keras_fcn.datasets.labels.legend import Legend
from keras_fcn.datasets.labels.reading import Masks
from keras_fcn.datasets.layouts.voc import LISTS, lists_in, read_lists, unlisted
from keras_fcn.datasets.listing import Files, images_by_stem, masks_by_stem
from keras_fcn.datasets.pairs import Pairs
from keras_fcn.errors import UserError

MASKS = "SegmentationClass"
IMAGES = "JPEGImages"


def read_voc_like(layout: str, root: Path, split: str, legend: Legend, masks_in: str = MASKS) -> Pairs:
    """Lists the pairs of one split; names may include folders.

    The split's list names them; images without mask are left out. A list of training images alone is divided by
    `split_of`, as are the images of all lists if none is for training or validation, or without any list all pairs.

    Args:
        layout: The name of the data set's layout, human-readable.
        root: The folder of the data set.
        split: The name of the split.
        legend: The classes of the labels, and what stands for them.
        masks_in: The folder of the masks.

    Raises:
        UserError: If a folder or the list is missing, there are no images, or a list is empty or repeats a name.
    """
    images, masks = _images(root / IMAGES), masks_by_stem(root / masks_in)
    all_masks = Masks(legend, functools.partial(tuple, [*masks.values()]), by_color=True)
    classes, read_label = legend.classes, all_masks.reader()
    if lists := lists_in(root):
        source, lines, divide = read_lists(root / LISTS, lists, split)
        pairs = Pairs.listed(
            layout, split, source, lines, images, masks, classes, read_label, divide, needs_masks=False
        )
        pairs = dataclasses.replace(pairs, findings=(*pairs.findings, *unlisted(root / LISTS, lists, images, masks)))
    else:
        pairs = Pairs.found(layout, split, root, images, masks, classes, read_label, divide=True)
    return dataclasses.replace(pairs, palette_means_colors=True, masks=all_masks)


def _images(folder: Path) -> Files:
    if not folder.is_dir():
        raise UserError(
            f"{folder}: no such folder; annotation tools may leave images out of an export: put them there, under the "
            "names of the masks"
        )
    return images_by_stem(folder)
