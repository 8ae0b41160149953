"""Data sets in the layout of PASCAL VOC: JPEGImages, SegmentationClass, ImageSets/Segmentation."""

from __future__ import annotations

from pathlib import Path

from keras_fcn.datasets.pairs import Pairs, files_by_stem, pair_listed, read_list, reader
from keras_fcn.errors import UserError
from keras_fcn.images.classes import ClassTable
from keras_fcn.images.masks import read_label

LISTS = Path("ImageSets/Segmentation")


def recognizes(root: Path) -> bool:
    """Returns whether the folder, or VOC2012 or VOCdevkit/VOC2012 in it, has VOC's split lists."""
    return (voc_folder(root) / LISTS).is_dir()


def read_voc(root: Path, split: str) -> Pairs:
    """Lists the pairs of one split; the classes are VOC's.

    Args:
        root: The folder that holds JPEGImages, SegmentationClass and ImageSets/Segmentation, or one with
            VOC2012 or VOCdevkit/VOC2012 inside.
        split: The name of a list in ImageSets/Segmentation, without its suffix.

    Raises:
        UserError: If a folder or the list is missing, or the list is empty or repeats a name.
    """
    root, classes = voc_folder(root), ClassTable.voc()
    path = list_path(root, split)
    names = read_list(path)
    by_name, masks = files_by_stem(root / "JPEGImages"), files_by_stem(root / "SegmentationClass", (".png",))
    images, labels, findings = pair_listed(names, by_name, masks, path)
    return Pairs("PASCAL VOC", split, images, labels, classes, reader(read_label, classes), findings, True)


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
    names = read_list(path)
    missing = [name for name in names if name not in images]
    if missing:
        others = f", as are those of {len(missing) - 1} others" if len(missing) > 1 else ""
        raise UserError(f"{path}: the image of {missing[0]!r} is missing{others}; add what is missing")
    return {name: images[name] for name in names}


def list_path(root: Path, split: str) -> Path:
    """Returns the path of a split list in VOC's layout.

    Raises:
        UserError: If it does not exist.
    """
    folder = voc_folder(root) / LISTS
    path = folder / f"{split}.txt"
    if not path.is_file():
        found = ", ".join(sorted(file.stem for file in folder.glob("*.txt"))) or "none"
        raise UserError(f"{path}: no such split list; lists there: {found}")
    return path


def voc_folder(root: Path) -> Path:
    """Returns VOCdevkit/VOC2012 or VOC2012 in a folder if it exists, else the folder itself."""
    inner = (root / "VOCdevkit/VOC2012", root / "VOC2012")
    return next((folder for folder in inner if folder.is_dir()), root)
