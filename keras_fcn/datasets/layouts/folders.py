"""Images in one folder, masks in another, and an optional file of class names."""

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

IMAGES = "images"
MASKS = ("masks", "labels", "annotations")
CLASS_FILES = ("classes.txt", "class_names.txt")

_MASK_ENDING = "_mask"
_OTHER_NAMES = {"val": ("val", "valid", "validation")}
_NONE = 254  # a value that is neither a class nor void


@dataclasses.dataclass(frozen=True)
class FolderPair:
    """A folder of images with its folder of masks."""

    images: Path
    masks: Path

    def files(self) -> tuple[dict[str, Path], dict[str, Path]]:
        """Returns images and masks by name; a mask may be named like its image with `_mask` appended."""
        images = files_by_stem(self.images)
        masks: dict[str, Path] = {}
        for stem, path in masks_by_stem(self.masks).items():
            bare = stem.removesuffix(_MASK_ENDING)
            name = bare if stem not in images and bare in images else stem
            if name in masks:
                raise UserError(f"{path} and {masks[name].name} are masks of the same image; rename or remove one")
            masks[name] = path
        return images, masks


def recognizes(root: Path) -> bool:
    """Returns whether there are images and masks in folders of the known names."""
    return bool(_folder_pairs(root))


def read_folders(root: Path, split: str) -> Pairs:
    """Lists the pairs of one split.

    Classes come from labelmap.txt, classes.txt or class_names.txt in `root`; without those, from the ids in all masks.

    Args:
        root: The folder that holds images and masks, or train/images and train/masks, or images/train and masks/train,
            and so on.
        split: The name of such a split; without any, "train", "val" or "all".

    Raises:
        UserError: If there are no such folders or no such split, or the classes of the masks are unclear.
    """
    folders = _folder_pairs(root)
    if not folders:
        raise UserError(
            f"{root}: holds no {IMAGES} with {', '.join(MASKS[:-1])} or {MASKS[-1]} next to it; make these folders"
        )
    divide = None in folders
    wanted = None if divide else next((name for name in _OTHER_NAMES.get(split, (split,)) if name in folders), split)
    if wanted not in folders:
        raise UserError(f"{root}: has no split {split!r}; splits there: {', '.join(sorted(map(str, folders)))}")
    classes, read_label = _classes(root, list(folders.values()))
    images, masks = folders[wanted].files()
    source = folders[wanted].images
    return Pairs.found("images and masks", split, source, images, masks, classes, read_label, divide)


def _folder_pairs(root: Path) -> dict[str | None, FolderPair]:
    """Returns the folders of each split, or those of the whole data set under None."""
    if _holds_images(root / IMAGES):
        return {None: pair} if (pair := _folder_pair(root)) else {}
    found: dict[str | None, FolderPair] = {}
    for folder in _inner_folders(root):
        if _holds_images(folder / IMAGES) and (pair := _folder_pair(folder)):
            found[folder.name] = pair
    for folder in _inner_folders(root / IMAGES):
        if _holds_images(folder) and (pair := _folder_pair(root, folder.name)):
            found[folder.name] = pair
    return found


def _folder_pair(root: Path, split: str = "") -> FolderPair | None:
    """Returns `root`/images with its folder of masks; it is an error if several such folders hold images."""
    masks = [root / name / split for name in MASKS if (root / name / split).is_dir()]
    if len(masks) > 1:
        masks = [folder for folder in masks if _holds_images(folder)] or masks[:1]
    if len(masks) > 1:
        raise UserError(f"{masks[0]} and {masks[1]} both hold masks; move one of them away")
    return FolderPair(root / IMAGES / split, masks[0]) if masks else None


def _inner_folders(root: Path) -> list[Path]:
    folders = sorted(root.iterdir()) if root.is_dir() else []
    return [path for path in folders if path.is_dir() and not is_hidden(Path(path.name))]


def _holds_images(folder: Path) -> bool:
    return folder.is_dir() and any(
        path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".") for path in folder.iterdir()
    )


def _classes(root: Path, folders: list[FolderPair]) -> tuple[ClassTable, LabelReader]:
    """Returns the classes of the masks and their reader."""
    files = [root / name for name in (LABELMAP, *CLASS_FILES) if (root / name).is_file()]
    if len(files) > 1:
        raise UserError(f"{files[0]} and {files[1].name} both define the classes; remove one")
    if files and files[0].name == LABELMAP:
        classes = read_labelmap(files[0])
        return classes, reader(read_color_label, classes)
    if files:
        classes = named_table(files[0], read_class_names(files[0]))
    else:
        masks = [path for pair in folders for path in pair.files()[1].values()]
        classes = scan_classes(root, masks)
    ids = (*range(classes.num_classes), *[_NONE] * (VOID_LABEL - classes.num_classes), VOID_LABEL)
    return classes, reader(read_value_label, classes, ids)
