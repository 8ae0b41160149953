"""Photographs in one folder, masks in another, and a file that says what the masks mean."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from keras_fcn.datasets.layouts.labelmap import LABELMAP, named_table, read_class_names, read_labelmap
from keras_fcn.datasets.layouts.mask_scan import scan_classes
from keras_fcn.datasets.pairs import LabelReader, Pairs, files_by_stem, is_hidden, masks_by_stem, reader
from keras_fcn.errors import UserError
from keras_fcn.images.classes import VOID_LABEL, ClassTable
from keras_fcn.images.masks import read_color_label, read_value_label
from keras_fcn.images.photos import IMAGE_SUFFIXES

PHOTOS = "images"
MASKS = ("masks", "labels", "annotations")
CLASS_FILES = ("classes.txt", "class_names.txt")

_MASK_ENDING = "_mask"
_OTHER_NAMES = {"val": ("val", "valid", "validation")}
_NONE = 254  # a value that is neither a class nor void


@dataclasses.dataclass(frozen=True)
class Place:
    """A folder of photographs with its folder of masks."""

    photos: Path
    masks: Path

    def files(self) -> tuple[dict[str, Path], dict[str, Path]]:
        """Returns photographs and masks by name; a mask's may have `_mask` after its photograph's."""
        photos = files_by_stem(self.photos)
        masks: dict[str, Path] = {}
        for stem, path in masks_by_stem(self.masks).items():
            bare = stem.removesuffix(_MASK_ENDING)
            name = bare if stem not in photos and bare in photos else stem
            if name in masks:
                raise UserError(f"{path} and {masks[name].name}: which of them is meant? Rename or remove one")
            masks[name] = path
        return photos, masks


def recognizes(root: Path) -> bool:
    """Returns whether there are photographs and masks in folders of the known names."""
    return bool(_places(root))


def read_folders(root: Path, split: str) -> Pairs:
    """Lists the pairs of one split.

    Classes come from labelmap.txt, classes.txt or class_names.txt in `root`; without those, from the ids in all masks.

    Args:
        root: The folder that holds images and masks, or train/images and train/masks, or images/train and masks/train,
            and so on.
        split: The name of such a split; without any, "train", "val" or "all".

    Raises:
        UserError: If there are no such folders or no such split, or it remains unclear what the masks mean.
    """
    places = _places(root)
    if not places:
        raise UserError(
            f"{root}: holds no {PHOTOS} with {', '.join(MASKS[:-1])} or {MASKS[-1]} beside it; make these folders"
        )
    divide = None in places
    wanted = None if divide else next((name for name in _OTHER_NAMES.get(split, (split,)) if name in places), split)
    if wanted not in places:
        raise UserError(f"{root}: has no split {split!r}; splits there: {', '.join(sorted(map(str, places)))}")
    classes, read_label = _classes(root, list(places.values()))
    photos, masks = places[wanted].files()
    where = places[wanted].photos
    return Pairs.found("images and masks", split, where, photos, masks, classes, read_label, divide)


def _places(root: Path) -> dict[str | None, Place]:
    """Returns the folders of each split, or those of the whole data set under None."""
    if _holds_pictures(root / PHOTOS):
        return {None: place} if (place := _place(root)) else {}
    found: dict[str | None, Place] = {}
    for folder in _inner_folders(root):
        if _holds_pictures(folder / PHOTOS) and (place := _place(folder)):
            found[folder.name] = place
    for folder in _inner_folders(root / PHOTOS):
        if _holds_pictures(folder) and (place := _place(root, folder.name)):
            found[folder.name] = place
    return found


def _place(root: Path, split: str = "") -> Place | None:
    """Returns the folder of masks that goes with `root`/images; several are an error if more than one holds PNGs."""
    masks = [root / name / split for name in MASKS if (root / name / split).is_dir()]
    if len(masks) > 1:
        masks = [folder for folder in masks if _holds_pictures(folder)] or masks[:1]
    if len(masks) > 1:
        raise UserError(f"{masks[0]} and {masks[1]}: which of them holds the masks? Move the other one away")
    return Place(root / PHOTOS / split, masks[0]) if masks else None


def _inner_folders(root: Path) -> list[Path]:
    folders = sorted(root.iterdir()) if root.is_dir() else []
    return [path for path in folders if path.is_dir() and not is_hidden(Path(path.name))]


def _holds_pictures(folder: Path) -> bool:
    return folder.is_dir() and any(
        path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".") for path in folder.iterdir()
    )


def _classes(root: Path, places: list[Place]) -> tuple[ClassTable, LabelReader]:
    """Returns what the masks mean and how to read them."""
    files = [root / name for name in (LABELMAP, *CLASS_FILES) if (root / name).is_file()]
    if len(files) > 1:
        raise UserError(f"{files[0]} and {files[1].name}: which of them holds the classes? Remove one")
    if files and files[0].name == LABELMAP:
        classes = read_labelmap(files[0])
        return classes, reader(read_color_label, classes)
    if files:
        classes = named_table(files[0], read_class_names(files[0]))
    else:
        masks = [path for place in places for path in place.files()[1].values()]
        classes = scan_classes(root, masks)
    ids = (*range(classes.num_classes), *[_NONE] * (VOID_LABEL - classes.num_classes), VOID_LABEL)
    return classes, reader(read_value_label, classes, ids)
