"""Data sets as labelme2voc writes them: VOC's folders without lists, and class_names.txt."""

from __future__ import annotations

from pathlib import Path

from keras_fcn.datasets.labels.class_files import find_legend
from keras_fcn.datasets.labels.class_names import read_class_names
from keras_fcn.datasets.layouts.listed import MASKS, read_voc_like
from keras_fcn.datasets.pairs import Pairs

CLASS_NAMES = "class_names.txt"
OLDER_MASKS = "SegmentationClassPNG"
"""Where labelme2voc of before version 3 wrote PNGs, and arrays into SegmentationClass."""


def recognizes(root: Path) -> bool:
    """Returns whether the folder has class_names.txt, and SegmentationClass or SegmentationClassPNG."""
    return (root / CLASS_NAMES).is_file() and any((root / name).is_dir() for name in (MASKS, OLDER_MASKS))


def read_labelme(root: Path, split: str) -> Pairs:
    """Lists the pairs of one split; names are those of class_names.txt, colours those of the VOC palette.

    Args:
        root: The folder that labelme2voc wrote.
        split: "train", "val" or "all", or the name of a list that was added to ImageSets/Segmentation.

    Raises:
        UserError: If a file or folder is missing, or a line of class_names.txt is wrong.
    """
    legend = find_legend(root) or read_class_names(root / CLASS_NAMES)
    masks = OLDER_MASKS if (root / OLDER_MASKS).is_dir() else MASKS
    return read_voc_like("labelme", root, split, legend, masks)
