"""Oxford-IIIT Pets: images, and trimaps of pet, background and the border between in annotations."""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path

from keras_fcn.datasets.labels.class_files import find_legend
from keras_fcn.datasets.labels.legend import Legend, id_of_values
from keras_fcn.datasets.labels.reading import Masks
from keras_fcn.datasets.listing import files_by_stem, images_by_stem, masks_by_stem
from keras_fcn.datasets.pairs import Pairs
from keras_fcn.datasets.splits import read_list
from keras_fcn.errors import UserError
from keras_fcn.images.classes import VOID_LABEL, ClassTable

IMAGES, ANNOTATIONS, MASKS = "images", "annotations", "annotations/trimaps"
CLASSES = ClassTable.named(["background", "pet"])
PET, BACKGROUND, BORDER = 1, 2, 3
"""The values in trimaps."""


def recognizes(root: Path) -> bool:
    """Returns whether the folder has images and trimaps."""
    return (root / IMAGES).is_dir() and (root / MASKS).is_dir()


def read_pets(root: Path, split: str) -> Pairs:
    """Lists the pairs of one split; the border, value 3 in trimaps, is void.

    Args:
        root: The folder that holds images and annotations/trimaps.
        split: "train" or "val", parts of the list trainval.txt; or the name of a list in annotations, such as "test".

    Raises:
        UserError: If there is no such list, or no image has a trimap.
    """
    images, masks = images_by_stem(root / IMAGES), masks_by_stem(root / MASKS)
    legend = find_legend(root) or _legend(root)
    every_mask = Masks(legend, functools.partial(tuple, masks.values()))
    arguments = legend.classes, every_mask.reader()
    lists = files_by_stem(root / ANNOTATIONS, (".txt",))
    divide = split not in lists
    source = lists.get("trainval" if divide else split)
    if source is None and lists:
        raise UserError(f"{root / ANNOTATIONS}: has no list trainval.txt; lists there: {', '.join(lists)}")
    if source is None:
        pairs = Pairs.found("Oxford-IIIT Pets", split, root, images, masks, *arguments, divide=True)
    else:
        # A line is `Abyssinian_100 1 1 1`: name, class, species, breed.
        lines = [line.split()[0] for line in read_list(source) if not line.startswith("#")]
        pairs = Pairs.listed(
            "Oxford-IIIT Pets", split, source, lines, images, masks, *arguments, divide=divide, needs_masks=False
        )
    return dataclasses.replace(pairs, masks=every_mask)


def _legend(root: Path) -> Legend:
    note = f"trimaps: {PET} is 'pet', {BACKGROUND} is 'background', {BORDER}, the border, is void"
    ids = id_of_values({PET: 1, BACKGROUND: 0, BORDER: VOID_LABEL})
    return dataclasses.replace(Legend.of_layout("the trimaps of pets", CLASSES, root, notes=(note,)), ids=ids)
