"""Listing the pairs of a data set by patterns."""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path

from keras_fcn.datasets.layouts.folders import listed_files, split_lists, with_classes
from keras_fcn.datasets.layouts.patterns.matching import Matched, Patterns
from keras_fcn.datasets.listing import Files, inside
from keras_fcn.datasets.pairs import Pairs
from keras_fcn.datasets.splits import split_named, split_to_read
from keras_fcn.errors import DataError, UserError, argument
from keras_fcn.system.text import by_suffix


def read_patterns(root: Path, split: str, patterns: Patterns, needs_masks: bool = True) -> Pairs:
    """Lists the pairs of one split.

    Classes come from the file of classes in `root`; without one, from the ids in all masks.

    Args:
        root: The folder of the data set.
        split: What {split} stands for; without it, the name of a list such as train.txt in `root`, or a division.
        patterns: The patterns of images and masks.
        needs_masks: Whether a split without masks is an error, rather than as good as not there.

    Raises:
        UserError: If a pattern matches nothing, a name is there twice, the split is empty or not there, or the classes
            of the masks are unclear.
    """
    if not root.is_dir():
        raise UserError(f"{root}: no such folder; {argument('data')} takes the folder that the patterns begin in")
    matched = patterns.matched(root)
    if not matched.pairs:
        names = [inside(root, files[0].path) for files in (matched.images, matched.masks)]
        raise UserError(
            f"{root}: none of the {len(matched.images)} images and {len(matched.masks)} masks of the patterns have the "
            f"same {{name}} (such as {names[0]} and {names[1]}); leave out of {{name}} what differs"
        )
    if not needs_masks:
        matched = matched.of_masks()
    else:
        _require_files(root, patterns, matched, split)
    wanted, divide = _wanted(root, patterns, matched, split)
    of_split = matched.of_split(wanted)
    lists = {} if matched.splits else split_lists(root)
    images, masks = _files(of_split, bool(lists))
    if not masks:
        raise UserError(f"{root}: none of the {len(images)} images of the split {wanted!r} has a mask by {patterns}")
    masks.left_out = tuple(
        DataError("mask alone", f"{file.path}: has no image; it is ignored until you add one", is_fatal=False)
        for file in of_split.masks
    )
    if lists:
        images, masks, divide = listed_files(lists, split, images, masks)
    found = functools.partial(Pairs.found, "images and masks by patterns", split, root, images, masks, divide=divide)
    every_mask = tuple(sorted(mask.path for _, mask in matched.pairs))
    pairs = with_classes(root, functools.partial(list, every_mask), found)
    return dataclasses.replace(pairs, mask_notes=(*pairs.mask_notes, *_unmatched(matched, root)))


def _files(matched: Matched, is_listed: bool) -> tuple[Files, Files]:
    """Returns images and masks by name; by that without folders, as lists have it, if all of these differ."""
    files = [*(image for image, _ in matched.pairs), *matched.images]
    is_alone = is_listed and len({file.name for file in files}) == len(files)
    named = [(file.name if is_alone else matched.name(file), file.path) for file in files]
    masks = Files((name, mask.path) for (name, _), (_, mask) in zip(named, matched.pairs))
    return Files(sorted(named, key=lambda item: item[1])), masks


def _unmatched(matched: Matched, root: Path) -> tuple[str, ...]:
    """Returns a line about the pictures that no pattern matches, if there are any."""
    others = matched.unmatched
    if not others:
        return ()
    match = "matches neither pattern and is" if len(others) == 1 else "match neither pattern and are"
    return (f"{by_suffix(others)} {match} not read (such as {inside(root, others[0])})",)


def _require_files(root: Path, patterns: Patterns, matched: Matched, split: str) -> None:
    """Raises UserError if the folder of the split is empty."""
    for pattern in (patterns.images, patterns.masks) if split_named(matched.splits, split) is None else ():
        folders = pattern.split_folders(root)
        if (empty := split_named(folders, split)) is not None:
            raise UserError(f"{folders[empty]}: holds no file that {argument(pattern.option, pattern.text)} matches")


def _wanted(root: Path, patterns: Patterns, matched: Matched, split: str) -> tuple[str | None, bool]:
    """Returns what {split} stands for in the split to read, None for the whole data set, and whether to divide it."""
    if not patterns.images.has_split and not patterns.masks.has_split:
        return None, True
    wanted, divide = split_to_read(matched.splits, split)
    if wanted is None:
        raise UserError(f"{root}: has no split {split!r}; splits by the patterns: {', '.join(matched.splits)}")
    return wanted, divide
