"""Data sets in the layout of PASCAL VOC: JPEGImages, SegmentationClass, ImageSets/Segmentation."""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path

from keras_fcn.datasets.labels.class_files import find_legend, like_class_files
from keras_fcn.datasets.labels.legend import Legend
from keras_fcn.datasets.labels.naming import masks_of_images
from keras_fcn.datasets.labels.reading import Masks
from keras_fcn.datasets.listing import Files, files_by_stem, images_by_stem, masks_by_stem
from keras_fcn.datasets.pairs import Pairs
from keras_fcn.datasets.splits import read_list, resolved, split_named, split_to_read
from keras_fcn.errors import DataError, UserError
from keras_fcn.images.classes import ClassTable

LISTS = Path("ImageSets/Segmentation")


def recognizes(root: Path) -> bool:
    """Returns whether the folder, or VOC2012 or VOCdevkit/VOC2012 in it, has VOC's split lists."""
    return (voc_folder(root) / LISTS).is_dir()


def read_voc(root: Path, split: str) -> Pairs:
    """Lists the pairs of one split; the classes are VOC's, unless a file of classes lies beside.

    Args:
        root: The folder that holds JPEGImages, SegmentationClass and ImageSets/Segmentation, or one with
            VOC2012 or VOCdevkit/VOC2012 inside.
        split: The name of a list in ImageSets/Segmentation, without its suffix.

    Raises:
        UserError: If a folder or the list is missing, or the list is empty or repeats a name.
    """
    legend = _legend(root)
    root = voc_folder(root)
    lists = lists_in(root)
    source, lines, divide = read_lists(root / LISTS, lists, split)
    images, masks = images_by_stem(root / "JPEGImages"), masks_by_stem(root / "SegmentationClass")
    all_masks = Masks(legend, functools.partial(tuple, [*masks.values()]), by_color=True)
    classes, labels = legend.classes, all_masks.reader()
    pairs = Pairs.listed("PASCAL VOC", split, source, lines, images, masks, classes, labels, divide)
    findings = (*pairs.findings, *unlisted(root / LISTS, lists, images, masks))
    return dataclasses.replace(pairs, findings=findings, palette_means_colors=True, masks=all_masks)


def _legend(root: Path) -> Legend:
    """Returns the classes of a file beside the folders, or VOC's."""
    folder = voc_folder(root)
    own = find_legend(folder) or (find_legend(root) if folder != root else None)
    notes = like_class_files(folder)
    return own or Legend.of_layout("PASCAL VOC's 21 classes", ClassTable.voc(), folder, notes=notes)


def read_voc_images(root: Path, split: str) -> dict[str, Path]:
    """Lists the images of one split by name; masks are not needed.

    Args:
        root: As for `read_voc`.
        split: As for `read_voc`.

    Raises:
        UserError: If the list or an image is missing, or the list is empty or repeats a name.
    """
    path = list_path(root, split)
    images = files_by_stem(voc_folder(root) / "JPEGImages")
    names = list(resolved(path, read_list(path), images, {}))
    missing = [name for name in names if name not in images]
    if missing:
        others = f", as are those of {len(missing) - 1} others" if len(missing) > 1 else ""
        raise UserError(f"{path}: the image of {missing[0]!r:.100} is missing{others}; add what is missing")
    return {name: images[name] for name in names}


def lists_in(root: Path) -> dict[str, Path]:
    """Returns the split lists of a data set by name; none if it has no folder of lists."""
    return files_by_stem(root / LISTS, (".txt",)) if (root / LISTS).is_dir() else {}


def list_path(root: Path, split: str) -> Path:
    """Returns the path of a split list in VOC's layout.

    Raises:
        UserError: If it does not exist.
    """
    folder = voc_folder(root) / LISTS
    lists = lists_in(voc_folder(root))
    name = split_named(lists, split)
    if name is None:
        found = ", ".join(sorted(lists)) or "none"
        raise UserError(f"{folder / split}.txt: no such split list; lists there: {found}")
    return lists[name]


def read_lists(folder: Path, lists: dict[str, Path], split: str) -> tuple[Path, list[str], bool]:
    """Reads the list of a split, or those that have to be divided.

    Args:
        folder: The folder of the lists.
        lists: All lists by name.
        split: The name of the split.

    Returns:
        The list or the folder, its lines, and whether they have to be divided.

    Raises:
        UserError: If there is no such list, or it is empty or repeats a name.
    """
    name, divide = split_to_read(lists, split)
    if name is not None:
        return lists[name], read_list(lists[name]), divide
    if lists and split in ("train", "val", "all") and split_named(lists, "val") is None:
        return folder, list(dict.fromkeys(line for path in lists.values() for line in read_list(path))), True
    found = ", ".join(sorted(lists)) or "none"
    raise UserError(
        f"{folder / split}.txt: no such split list; lists there: {found}. "
        "Give one of those, or keep only one there, which is divided"
    )


def unlisted(folder: Path, lists: dict[str, Path], images: Files, masks: Files) -> list[DataError]:
    """Returns a finding, not fatal, about masks whose images are in no list."""
    listed = {name for path in lists.values() for name in resolved(path, read_list(path), images, masks)}
    alone = [path for name, path in masks_of_images(images, masks).items() if name not in listed]
    if not alone:
        return []
    message = f"{folder}: no list has the images of {len(alone)} masks, such as {alone[0]}; add them to one"
    return [DataError("not listed", message, is_fatal=False, count=len(alone))]


def voc_folder(root: Path) -> Path:
    """Returns VOCdevkit/VOC2012 or VOC2012 in a folder if it exists, else the folder itself."""
    inner = (root / "VOCdevkit/VOC2012", root / "VOC2012")
    return next((folder for folder in inner if folder.is_dir()), root)
