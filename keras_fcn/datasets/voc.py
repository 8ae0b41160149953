"""Data sets in the layout of PASCAL VOC: JPEGImages, SegmentationClass, ImageSets/Segmentation."""

from __future__ import annotations

from pathlib import Path

from keras_fcn.datasets.pairs import Pairs
from keras_fcn.errors import UserError
from keras_fcn.image_files import IMAGE_SUFFIXES
from keras_fcn.labels import ClassTable


def read_voc(root: Path, split: str) -> Pairs:
    """Lists the pairs of one split.

    Args:
        root: The folder that holds JPEGImages, SegmentationClass and ImageSets/Segmentation, or a VOCdevkit folder
            with VOC2012 inside.
        split: The name of a list in ImageSets/Segmentation, without its suffix.

    Raises:
        UserError: If a folder, the list, or a file that it names is missing, or the list is empty or repeats itself.
    """
    if (root / "VOC2012").is_dir():
        root = root / "VOC2012"
    names = _read_split(root, split)
    images = _files_by_stem(root / "JPEGImages", IMAGE_SUFFIXES)
    labels = _files_by_stem(root / "SegmentationClass", (".png",))
    for name in names:
        for files, folder, what in ((images, "JPEGImages", "photo"), (labels, "SegmentationClass", "mask")):
            if name not in files:
                raise UserError(
                    f"{root / folder / name}.*: the {what} of {name!r} is missing; "
                    f"add it, or take {name!r} out of ImageSets/Segmentation/{split}.txt"
                )
    return Pairs(split, tuple(images[name] for name in names), tuple(labels[name] for name in names), ClassTable.voc())


def _read_split(root: Path, split: str) -> list[str]:
    if not root.is_dir():
        raise UserError(f"{root}: no such folder; --data takes a folder in VOC's layout, or `toy`")
    lists = root / "ImageSets" / "Segmentation"
    path = lists / f"{split}.txt"
    if not path.is_file():
        found = ", ".join(sorted(file.stem for file in lists.glob("*.txt"))) or "none"
        raise UserError(f"{path}: no such split list; lists there: {found}")
    names = path.read_text(encoding="utf-8-sig").split()
    if not names:
        raise UserError(f"{path}: lists no images; write one name per line, without folder and suffix")
    twice = next((name for name, following in zip(sorted(names), sorted(names)[1:]) if name == following), None)
    if twice is not None:
        raise UserError(f"{path}: lists {twice!r} more than once; remove the repetition")
    return names


def _files_by_stem(folder: Path, suffixes: tuple[str, ...]) -> dict[str, Path]:
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; a data set in VOC's layout has one")
    return {path.stem: path for path in sorted(folder.iterdir()) if path.suffix.lower() in suffixes}
