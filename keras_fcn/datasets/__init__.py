"""Data sets of images and masks, read in the layouts in which tools write them."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from pkgutil import resolve_name
from typing import Any, NoReturn

from keras_fcn.datasets.download import download_voc2012, unpack_voc2012
from keras_fcn.datasets.foreign import contents, foreign_format
from keras_fcn.datasets.inspection import Inspection, inspect_pairs
from keras_fcn.datasets.labels.mapping import class_mapping
from keras_fcn.datasets.labels.naming import UnpairedError
from keras_fcn.datasets.layouts import folders, voc
from keras_fcn.datasets.layouts.patterns.matching import Patterns
from keras_fcn.datasets.layouts.patterns.reading import read_patterns
from keras_fcn.datasets.layouts.patterns.search import search_patterns
from keras_fcn.datasets.listing import holds_pictures, inner_folders, listing_once, once
from keras_fcn.datasets.pairs import Pairs
from keras_fcn.datasets.splits.folds import val_of_fold
from keras_fcn.datasets.splits.groups import group_images, val_of_groups
from keras_fcn.datasets.toy import draw_toy_dataset
from keras_fcn.datasets.windows.blocks import divided_by_blocks
from keras_fcn.errors import UserError, argument
from keras_fcn.images.values.channels import Channels
from keras_fcn.runs import names
from keras_fcn.runs.data_options import SourceOptions

__all__ = [
    "LAYOUTS", "TOY_ROOT", "Inspection", "Pairs", "find_layout", "inspect_pairs", "open_pairs", "open_splits",
    "open_voc_images",
]  # fmt: skip

TOY_ROOT = Path("data/toy")
"""Folder of the embedded data set, relative to the current folder."""

DOWNLOADS = Path("data")
"""Folder for downloaded and extracted data sets, relative to the current folder."""


@dataclasses.dataclass(frozen=True)
class Layout:
    """An arrangement of images and masks in folders.

    Attributes:
        recognizes: Returns whether a folder is in this layout.
        read: Lists the pairs of one split of a folder; what follows a colon in the layout's name is a third argument.
        shape: Contents of such a folder, human-readable.
        takes: What may follow the name and a colon, human-readable; nothing if `read` takes two arguments.
    """

    recognizes: Callable[[Path], bool]
    read: Callable[..., Pairs]
    shape: str
    takes: str = ""


def _layout(entry: names.LayoutEntry) -> Layout:
    module = entry.function.partition(":")[0]
    return Layout(resolve_name(f"{module}:recognizes"), resolve_name(entry.function), entry.shape, entry.takes)


LAYOUTS = {name: _layout(entry) for name, entry in names.LAYOUTS.items()}
"""The layouts, in the order in which they are recognized."""


def open_pairs(
    data: str | Path,
    split: str,
    layout: str = "auto",
    unlabelled: names.Unlabelled = "leave_out",
    reading: str = "",
    images: str | None = None,
    masks: str | None = None,
    merge: Sequence[str] = (),
    ignore_classes: Sequence[str] = (),
    drop: Sequence[str] = (),
    group_by: str | None = None,
    already: Sequence[str] = (),
    blocks: int | None = None,
    folds: int | None = None,
    fold: int | None = None,
    channels: str | int = "3",
) -> Pairs:
    """Lists the pairs of one split of a data set.

    Args:
        data: A folder in one of `LAYOUTS`; "toy" for the embedded data set, which is drawn at first use; "voc2012" for
            PASCAL VOC 2012, which is downloaded at first use; or its tar, which is extracted.
        split: The name of a split, such as "train" or "val".
        layout: One of `LAYOUTS`, or "auto" to recognize it; "via:ATTRIBUTE" says which attribute of VIA's regions
            names classes, "datumaro:FORMAT" what Datumaro shall import.
        unlabelled: Whether images without a mask are left out, or are "background" as a whole.
        reading: How its masks are read, as the `reading` of pairs that were opened before; chosen by what all masks
            hold if empty.
        images: Instead of a layout, a pattern of the paths of images in the folder, such as "{split}/*/{name}.jpg".
            {split} and {name} are parts of the name of a folder or file, * is any text in one, ** any folders.
        masks: The pattern of the masks; what {split} and {name} stand for is the same in an image and its mask.
        merge: Classes that become one, such as "cow+sheep=cattle"; "cow=cattle" renames one.
        ignore_classes: Classes whose pixels become void.
        drop: Classes whose pixels become background.
        group_by: Which images belong together, and stay so where the data set has to be divided: a pattern of their
            paths, such as "{group}_*"; a regular expression with (?P<group>...); or "FILE.csv:COLUMN".
        already: Names of classes; data that have these already keep them.
        blocks: The side in pixels of the blocks into which images are divided, a fifth of which becomes "val", for data
            that have no splits of their own.
        folds: Number of folds, for cross-validation: all images of "train" and "val", or of data without splits.
        fold: The fold that is "val", from 1; the others are "train".
        channels: Which channels of images are read: "3" for red, green and blue of any image; another number if all
            have so many; or numbers of a file's channels from 1, such as "1,2,3,8".

    Raises:
        UserError: If a pattern matches nothing or a name is there twice, the folder is not such a data set, has no such
            split, its masks are not clear, there is no background for images without mask, or classes cannot be merged,
            ignored or dropped so, or images have no group, or all the same, or there is no such fold.
    """
    read = Channels(str(channels))
    root, patterns = _folder(data), Patterns.given(images, masks, layout)
    wanted = SourceOptions(
        merge=tuple(merge), ignore_classes=tuple(ignore_classes), drop=tuple(drop), group_by=group_by, blocks=blocks,
        folds=folds, fold=fold,
    )  # fmt: skip
    with listing_once():
        pairs, is_whole = _to_divide(root, split, layout, patterns, reading, blocks, fold, group_by)
    pairs = dataclasses.replace(pairs, channels=read)
    pairs = pairs.with_background() if unlabelled == "background" else pairs
    if wanted.changes_classes and pairs.classes.names != tuple(already):
        pairs = pairs.with_classes(class_mapping(pairs.classes, wanted))
    if group_by is not None:
        groups = group_images(group_by, root, (*pairs.images, *pairs.unlabelled))
        pairs = dataclasses.replace(pairs, group_of=groups)
    if blocks is not None:
        return divided_by_blocks(pairs, split, blocks, root)
    if not is_whole or split == "all":
        return pairs
    if folds is not None and fold is not None:
        return pairs.divided(split, *val_of_fold(pairs.images, pairs.names, folds, fold, pairs.group_of, group_by))
    return pairs.divided(split, *val_of_groups(pairs.group_of, pairs.images, group_by or ""))


def _to_divide(
    root: Path, split: str, layout: str, patterns: Patterns | None, reading: str, blocks: int | None, fold: int | None,
    group_by: str | None,
) -> tuple[Pairs, bool]:  # fmt: skip
    """Lists the pairs of a split; or all, which then have to be divided, as blocks, folds or groups want it."""
    if blocks is not None:
        return _undivided(root, layout, patterns).chosen(reading), True
    is_of_folds = fold is not None and split in ("train", "val", "all")
    listed = _listed(root, "train" if is_of_folds else split, layout, patterns)
    if listed.note and (is_of_folds or group_by is not None):
        return _listed(root, "all", layout, patterns).chosen(reading), True
    listed = listed.chosen(reading)
    if is_of_folds:
        listed = listed.joined(_listed(root, "val", layout, patterns).chosen(reading or listed.reading))
    return listed, is_of_folds


def _undivided(root: Path, layout: str, patterns: Patterns | None) -> Pairs:
    """Lists all pairs of data that have no splits of their own."""
    try:
        return _listed(root, "all", layout, patterns)
    except UserError as error:
        _ = _listed(root, "train", layout, patterns)  # raises what is wrong with the folder
        if not re.search("no (such )?split", str(error)):
            raise
        own = f"{root}: has splits of its own, which {argument('blocks')} does not divide; leave it out"
        raise UserError(own) from None


def _listed(root: Path, split: str, layout: str, patterns: Patterns | None) -> Pairs:
    """Lists the pairs of a split by patterns, by a layout, or, in no known layout, by the only patterns that fit."""
    if patterns is not None:
        return read_patterns(root, split, patterns)
    known = layout != "auto" or not root.is_dir() or _recognized(root) or _inner(root)
    try:
        if known:
            name, _, more = find_layout(root, layout).partition(":")
            return LAYOUTS[name].read(root, split, *filter(None, [more]))
    except UnpairedError as error:
        if layout != "auto" or name != "folders":
            raise
        unpaired = error.marked
    found, note = search_patterns(root)
    if found is None and known:
        raise UserError("; ".join(filter(None, [unpaired, note])))
    if found is None:
        _refuse(root, note)
    pairs = read_patterns(root, split, found, needs_masks=False)
    return dataclasses.replace(pairs, mask_notes=(note, *pairs.mask_notes))


def open_splits(data: str | Path, splits: Sequence[str], **options: Any) -> list[Pairs]:
    """Lists the pairs of several splits of a data set that are used together.

    Training images that are divided for want of a split "val" stay whole if "val" is not one of `splits`.

    Args:
        data: As for `open_pairs`.
        splits: The names of the splits.
        **options: The other arguments of `open_pairs`.

    Raises:
        UserError: As `open_pairs` does.
    """
    _folder(data)  # is made, if it is to be, before it is listed
    with listing_once():
        opened = [open_pairs(data, split, **options) for split in splits]
        if "val" in splits or all(pairs.note for pairs in opened):
            return opened
        return [
            dataclasses.replace(open_pairs(data, "all", **options), split=pairs.split) if pairs.note else pairs
            for pairs in opened
        ]


def open_voc_images(data: str | Path, split: str) -> dict[str, Path]:
    """Lists the images of one split of a folder in VOC's layout by name; masks are not needed.

    Args:
        data: As for `open_pairs`.
        split: The name of a split, such as "test".

    Raises:
        UserError: If the folder is not in that layout, has no such split, or an image is missing.
    """
    root = _folder(data)
    if not voc.recognizes(root):
        raise UserError(f"{root}: is not in VOC's layout, without which there is no archive for its test server")
    return voc.read_voc_images(root, split)


def _folder(data: str | Path) -> Path:
    """Returns the folder of `data`; draws, downloads or extracts it if needed."""
    if data == "toy":
        return draw_toy_dataset(TOY_ROOT)
    if data == "voc2012":
        return download_voc2012(DOWNLOADS)
    path = Path(data)
    return unpack_voc2012(path, DOWNLOADS) if path.suffix == ".tar" and path.is_file() else path


def find_layout(root: Path, layout: str = "auto") -> str:
    """Returns the name of a folder's layout.

    Raises:
        UserError: If the folder or the layout does not exist, or the folder is in no known layout.
    """
    name, colon, _ = layout.partition(":")
    if name not in ("auto", *LAYOUTS) or (colon and not (name in LAYOUTS and LAYOUTS[name].takes)):
        raise UserError(f"{argument('layout', layout)}: no such layout; there are auto, {', '.join(LAYOUTS)}")
    if root.is_file():
        raise UserError(f"{root}: is a file; give the folder of the data set, such as {root.parent}")
    if not root.is_dir():
        raise UserError(
            f"{root}: no such folder; {argument('data')} takes a folder of images and masks, `toy` or `voc2012`"
        )
    if layout != "auto":
        return layout
    return _recognized(root) or _refuse(root)


def _refuse(root: Path, near: str = "") -> NoReturn:
    """Raises UserError about a folder in no known layout; `near` are patterns that pair a part of it."""
    if inner := _inner(root):
        raise UserError(f"{root}: is in no known layout, but the folder in it is; give {inner}")
    if form := foreign_format(root):
        raise UserError(f"{root}: is in no known layout; {form}")
    if near:
        raise UserError(f"{root}: is in no known layout. It holds {contents(root, ())}; {near}")
    raise UserError(
        f"{root}: is in no known layout. It holds {contents(root, _FOLDERS)}; put images into images/ and masks of "
        f"the same names into masks/, or as one of the layouts {', '.join(LAYOUTS)} has them, or say where they are by "
        f"{argument('images')} and {argument('masks')}"
    )


def _inner(root: Path) -> Path | None:
    """Returns the only folder in a folder that is in a known layout, unless others hold pictures, too."""
    inner = [path for path in sorted(root.iterdir()) if path.is_dir() and _recognized(path)]
    others = [folder for folder in inner_folders(root) if folder not in inner]
    return inner[0] if len(inner) == 1 and not any(map(holds_pictures, others)) else None


_FOLDERS = (*folders.IMAGES, *folders.MASKS, "jpegimages", "segmentationclass", "imagesets", "trainannot", "valannot")


@once
def _recognized(root: Path) -> str | None:
    return next((name for name, entry in LAYOUTS.items() if entry.recognizes(root)), None)
