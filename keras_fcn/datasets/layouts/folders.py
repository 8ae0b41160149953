"""Images in one folder, masks in another, and an optional file of class names."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from keras_fcn.datasets.labels.choice import BLACK_AND_WHITE
from keras_fcn.datasets.labels.class_files import above, find_legend, like_class_files
from keras_fcn.datasets.labels.legend import Legend, id_of_values
from keras_fcn.datasets.labels.naming import UnpairedError, masks_of_images, require_pairs
from keras_fcn.datasets.labels.reading import LabelReader, Masks
from keras_fcn.datasets.labels.scan import scan_classes
from keras_fcn.datasets.labels.survey import all_masks
from keras_fcn.datasets.layouts.voc import LISTS, read_lists, unlisted
from keras_fcn.datasets.listing import Files, holds_pictures, images_by_stem, inner_folders, masks_by_stem, pictures_in
from keras_fcn.datasets.pairs import Pairs, reader
from keras_fcn.datasets.splits import is_split, list_name, resolved, split_named, split_to_read
from keras_fcn.errors import UserError
from keras_fcn.images.classes import ClassTable
from keras_fcn.images.label_files.division import DIVISORS, NOTES
from keras_fcn.images.masks import read_value_label
from keras_fcn.system.text import by_suffix, shown

IMAGES = ("images", "image", "imgs", "img", "photos")
MASKS = (
    "masks", "mask", "labels", "label", "annotations", "annotation", "gt", "groundtruth", "ground_truth",
    "segmentation", "manual", "manual1", "1st_manual",
)  # fmt: skip
"""Names of the folders, in lower case; those of a data set may be in upper case."""


_OF_VOC = (("jpegimages",), ("segmentationclass",))


@dataclasses.dataclass(frozen=True)
class FolderPair:
    """A folder of images with its folder of masks."""

    images: Path
    masks: Path

    def files(self) -> tuple[Files, Files]:
        """Returns images and masks, each by its own name."""
        return images_by_stem(self.images), masks_by_stem(self.masks)


def recognizes(root: Path) -> bool:
    """Returns whether there are images and masks in folders of the known names."""
    return bool(_folder_pairs(root))


def read_folders(root: Path, split: str) -> Pairs:
    """Lists the pairs of one split.

    Classes come from labelmap.txt, classes.txt or class_names.txt in `root`; without those, from the ids in all masks.

    Args:
        root: The folder that holds images and masks, or train/images and train/masks, or images/train and masks/train,
            and so on.
        split: The name of such a split, or of a list such as train.txt; without any, "train", "val" or "all".

    Raises:
        UserError: If there are no such folders or no such split, or the classes of the masks are unclear.
    """
    folders = _folder_pairs(root)
    if not folders:
        raise UserError(
            f"{root}: holds no {IMAGES[0]} with {', '.join(MASKS[:4])} or {MASKS[4]} next to it; make these folders"
        )
    wanted, divide = _wanted(folders, split)
    if wanted not in folders and not any(map(is_split, filter(None, folders))):
        raise UnpairedError(
            f"{root}: its folders {shown(sorted(filter(None, folders)))} are no splits; give one of these"
        )
    if wanted not in folders:
        raise UserError(f"{root}: has no split {split!r}; splits there: {', '.join(sorted(filter(None, folders)))}")
    images, masks = folders[wanted].files()
    source = folders[wanted].images
    others = [] if None in folders else [pair.masks for name, pair in folders.items() if name != wanted]
    whole = folders[None].files()[1] if None in folders and wanted is not None else masks
    list_all = functools.partial(all_masks, whole, masks_by_stem, others)
    if wanted is None and (lists := split_lists(root)):
        images, masks, divide = listed_files(lists, split, images, masks)
    require_pairs(source, images, masks)
    found = functools.partial(Pairs.found, "images and masks", split, source, images, masks, divide=divide)
    pairs = with_classes(root, list_all, found)
    return dataclasses.replace(pairs, mask_notes=(*pairs.mask_notes, *_not_read(root, folders.values())))


def _not_read(root: Path, used: Iterable[FolderPair]) -> tuple[str, ...]:
    """Returns a line about the pictures in other folders than those of images and masks; none without any."""
    known = [folder for pair in used for folder in (pair.images, pair.masks)]
    others = []
    for folder in inner_folders(root):
        parts = [folder] if not any(path.is_relative_to(folder) for path in known) else inner_folders(folder)
        others += [part for part in parts if not any(path in (part, *part.parents) for path in known)]
    held = [(folder, by_suffix(pictures_in(folder))) for folder in others]
    named = [f"{folder.relative_to(root)}/ ({pictures})" for folder, pictures in held if pictures]
    return (f"not read: {shown(named)}",) if named else ()


def with_classes(
    root: Path, list_all: Callable[[], Sequence[Path]], found: Callable[[ClassTable, LabelReader], Pairs]
) -> Pairs:
    """Returns pairs with the classes of the file of classes in `root`; without one, of the ids in all masks.

    Args:
        root: The folder of the data set.
        list_all: Lists the masks of all splits.
        found: Makes the pairs from their classes and the reader of their masks.

    Raises:
        UserError: If the classes are unclear.
    """
    if legend := find_legend(root):
        return _with_legend(legend, list_all, found)
    notes = like_class_files(root)
    try:
        classes, division = scan_classes(list_all(), root)
    except UserError as error:
        raise UserError("; ".join([error.marked, *notes, *above(root)])) from None
    if division == BLACK_AND_WHITE:
        legend = Legend.of_values(root / "no classes.txt names them", dict(enumerate(classes.names)))
        return _with_legend(dataclasses.replace(legend, notes=notes), list_all, found)
    ids = id_of_values({index: index for index in range(classes.num_classes)})
    pairs = found(classes, reader(read_value_label, classes, ids, DIVISORS.get(division, 1)))
    return dataclasses.replace(pairs, mask_notes=(*pairs.mask_notes, *filter(None, [NOTES.get(division)]), *notes))


def _with_legend(
    legend: Legend, list_all: Callable[[], Sequence[Path]], found: Callable[[ClassTable, LabelReader], Pairs]
) -> Pairs:
    every_mask = Masks(legend, list_all)
    return dataclasses.replace(found(legend.classes, every_mask.reader()), masks=every_mask)


def _wanted(folders: dict[str | None, FolderPair], split: str) -> tuple[str | None, bool]:
    """Returns which of the folders to read, None for the whole data set, and whether to divide it."""
    names = [name for name in folders if name is not None]
    name, divide = split_to_read(names, split)
    if name is None and None in folders and not any(split_named(names, known) for known in ("train", "val")):
        return None, True
    return name or split, divide


def split_lists(root: Path) -> dict[str, Path]:
    """Returns the split lists beside the folders, by name; none unless one is of training images."""
    for folder in (root, root / LISTS, root / LISTS.parent, root / "splits", root / "lists"):
        paths = sorted(folder.glob("*.txt"))
        lists = {name: path for path in paths if is_split(name := list_name(path.stem))}
        if split_named(lists, "train"):
            return lists
    return {}


def listed_files(lists: dict[str, Path], split: str, images: Files, masks: Files) -> tuple[Files, Files, bool]:
    """Returns the images and masks of a list, and whether they have to be divided.

    Raises:
        UserError: If there is no such list, or it names an image that is missing.
    """
    path, lines, divide = read_lists(next(iter(lists.values())).parent, lists, split)
    given = resolved(path, lines, images, masks)
    missing = [name for name in given if name not in images]
    if missing:
        raise UserError(
            f"{path}: the image of {missing[0]!r:.100} is missing, one of {len(missing)}; add what is missing"
        )
    labels = masks_of_images(images, masks) | {name: mask for name, mask in given.items() if mask is not None}
    listed_images = Files((name, images[name]) for name in given)
    listed_masks = Files((name, labels[name]) for name in given if name in labels)
    listed_images.left_out = (*images.left_out, *unlisted(path.parent, lists, images, masks))
    listed_masks.left_out = masks.left_out
    return listed_images, listed_masks, divide


def _folder_pairs(root: Path) -> dict[str | None, FolderPair]:
    """Returns the folders of each split, and those of the whole data set under None if there are such."""
    whole = _folder_pair(root) or _folder_pair(root, *_OF_VOC)
    pairs: dict[str | None, FolderPair] = {}
    for folder in inner_folders(root):
        if pair := _folder_pair(folder):
            pairs[folder.name] = pair
    if whole is not None and (holds_pictures(whole.images) or not pairs):
        masks = {folder.name.lower(): folder for folder in inner_folders(whole.masks)}
        inner = {
            folder.name: FolderPair(folder, masks[folder.name.lower()])
            for folder in inner_folders(whole.images)
            if folder.name.lower() in masks
        }
        return {None: whole} | inner
    if len(pairs) > 1 or any(name and is_split(name) for name in pairs):
        return pairs
    return _side_by_side(root)  # one folder of another name is a data set, which lies in `root`


def _side_by_side(root: Path) -> dict[str | None, FolderPair]:
    """Returns the folders of splits that lie beside each other, such as `train` and `train_masks`."""
    images: dict[str, Path] = {}
    masks: dict[str, Path] = {}
    for folder in inner_folders(root):
        split, _, kind = folder.name.lower().partition("_")
        if is_split(split):
            if kind in ("", *IMAGES):
                images[split] = folder
            elif kind in MASKS:
                masks[split] = folder
    return {split: FolderPair(folder, masks[split]) for split, folder in images.items() if split in masks}


def _folder_pair(
    root: Path, of_images: tuple[str, ...] = IMAGES, of_masks: tuple[str, ...] = MASKS
) -> FolderPair | None:
    """Returns the folders of images and of masks in a folder; it is an error if several such folders hold pictures."""
    images, masks = (_one_of(root, names) for names in (of_images, of_masks))
    return FolderPair(images, masks) if images and masks else None


def _one_of(root: Path, names: tuple[str, ...]) -> Path | None:
    """Returns the folder of one of these names, one with pictures before others."""
    found = sorted((path for path in inner_folders(root) if path.name.lower() in names), key=_rank(names))
    full = [folder for folder in found if holds_pictures(folder)] if len(found) > 1 else found
    if len(full) > 1:
        raise UserError(f"{full[0]} and {full[1]} both hold {names[0]}; move one of them away")
    return next(iter(full or found), None)


def _rank(names: tuple[str, ...]) -> Callable[[Path], int]:
    return lambda path: names.index(path.name.lower())
