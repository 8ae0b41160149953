"""Cross-validation: all labelled images in K folds, one of which is for validation."""

from __future__ import annotations

import collections
from collections.abc import Mapping, Sequence
from pathlib import Path

from keras_fcn.datasets.splits import by_hash
from keras_fcn.datasets.splits.groups import group_sizes
from keras_fcn.errors import UserError, argument


def val_of_fold(
    images: Sequence[Path],
    names: Sequence[str],
    folds: int,
    fold: int,
    group_of: Mapping[Path, str],
    group_by: str | None,
) -> tuple[set[Path], str]:
    """Returns the images of one fold, which are for validation, and how they were chosen, human-readable.

    Folds are as equal as groups allow: the largest first, those of one size in the order of their hashes, each goes to
    the fold that holds the fewest images. So every image is in one fold, and the same one on every machine.

    Args:
        images: The images that have masks.
        names: Their names.
        folds: Number of folds.
        fold: The one that is wanted, from 1.
        group_of: The group of each image, of those without mask, too; each is a group of its own if empty.
        group_by: What makes the groups, for the words.

    Raises:
        UserError: If there are fewer images, or groups, than folds.
    """
    group_of = group_of or dict(zip(images, names))
    sizes = group_sizes(group_of, images, group_by or "")
    if len(sizes) < folds:
        of = f"groups by {group_by}" if group_by else "labelled images"
        raise UserError(f"{argument('folds', folds)}: there are {len(sizes)} {of}; choose at most {len(sizes)}")
    held = collections.Counter(dict.fromkeys(range(1, folds + 1), 0))
    fold_of = {}
    for group in sorted(by_hash(sizes), key=sizes.__getitem__, reverse=True):
        fold_of[group] = min(held, key=held.__getitem__)
        held[fold_of[group]] += sizes[group]
    chosen = {group for group, number in fold_of.items() if number == fold}
    of = f": {len(chosen)} of {len(sizes)} groups by {group_by}," if group_by else ","
    note = (
        f"fold {fold} of {folds}, {held[fold]} of the {len(images)} labelled images, is val{of} chosen by their names"
    )
    return {image for image, group in group_of.items() if group in chosen}, note
