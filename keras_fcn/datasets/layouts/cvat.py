"""Data sets as CVAT exports them ("Segmentation mask 1.1"): VOC's folders, and labelmap.txt with names and colours."""

from __future__ import annotations

from pathlib import Path

from keras_fcn.datasets.labels.class_files import find_legend
from keras_fcn.datasets.labels.labelmap import LABELMAP, read_labelmap
from keras_fcn.datasets.layouts.listed import MASKS, read_voc_like
from keras_fcn.datasets.pairs import Pairs


def recognizes(root: Path) -> bool:
    """Returns whether the folder has labelmap.txt and SegmentationClass."""
    return (root / LABELMAP).is_file() and (root / MASKS).is_dir()


def read_cvat(root: Path, split: str) -> Pairs:
    """Lists the pairs of one split; classes and colours are those of labelmap.txt; grey masks hold positions in it.

    Args:
        root: The unpacked export. Images that CVAT left out of it belong in JPEGImages.
        split: The name of a list in ImageSets/Segmentation. CVAT's default.txt is divided into "train" and "val".

    Raises:
        UserError: If a file or folder is missing, or a line of labelmap.txt or of a list is wrong.
    """
    legend = find_legend(root) or read_labelmap(root / LABELMAP)
    return read_voc_like("CVAT segmentation masks", root, split, legend)
