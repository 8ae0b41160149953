"""Images that are there twice: in a split, and in training and validation, by which metrics become too good."""

from __future__ import annotations

import collections

import numpy as np

from keras_fcn.datasets.inspection import Inspection
from keras_fcn.datasets.inspection.thumbnails import LIKE, likeness
from keras_fcn.datasets.pairs import Pairs
from keras_fcn.errors import Remark

_ROWS = 256
"""Images of a split that are compared with all training images at a time."""


def leaks(train: Pairs, trained: Inspection, val: Pairs, evaluated: Inspection) -> list[Remark]:
    """Returns remarks on images of a split that are in another: the same, one group, or, where thumbnails are, alike.

    Args:
        train: The training split.
        trained: The result of `inspect_pairs` for it.
        val: Another split.
        evaluated: The result of `inspect_pairs` for that.
    """
    same = _same_images(train, trained, val, evaluated)
    return [*same, *_alike(train, trained, val, evaluated), *_groups_in_both(train, val)]


def repeats(pairs: Pairs, inspection: Inspection) -> list[Remark]:
    """Returns a remark if images of a split have the contents of others in it, and whether their masks are the same.

    Args:
        pairs: The split.
        inspection: The result of `inspect_pairs` for it.
    """
    first: dict[str, int] = {}
    copies = []
    for index, digest in enumerate(inspection.contents):
        if digest and (before := first.setdefault(digest, index)) != index:
            copies.append((index, before))
    if not copies:
        return []
    masks = inspection.label_contents
    differing = sum(masks[index] != masks[before] for index, before in copies)
    copy, original = (pairs.images[index] for index in copies[0])
    are = f"of the {len(pairs)} images of {pairs.split}, {len(copies)} repeat another"
    fix = f"; {differing} of them with another mask: keep the right one" if differing else ", mask included"
    return [Remark("repeated", f"{copy}: is the same image as {original}; {are}{fix}", len(copies))]


def _same_images(train: Pairs, trained: Inspection, val: Pairs, evaluated: Inspection) -> list[Remark]:
    """Returns a remark if images of a split have the contents of training images, whatever their files' names."""
    first = dict(zip(reversed(trained.contents), reversed(train.images)))
    evaluated_images = zip(val.images, evaluated.contents)
    both = [(image, first[digest]) for image, digest in evaluated_images if digest and digest in first]
    if not both:
        return []
    same = f"{both[0][0]}: is the same image as {both[0][1]} of {train.split}"
    figures = f"of the {len(val)} images of {val.split}, {len(both)} are in {train.split}"
    return [Remark("in both splits", f"{same}; {figures}, so its metrics are too good: keep each image in one split")]


def _alike(train: Pairs, trained: Inspection, val: Pairs, evaluated: Inspection) -> list[Remark]:
    """Returns a remark if images of a split look like training images without being the same files."""
    near, best = 0, (0.0, 0, 0)
    known = set(trained.contents) - {""}
    for first in range(0, len(evaluated.thumbnails), _ROWS):
        likenesses = likeness(evaluated.thumbnails[first : first + _ROWS], trained.thumbnails)
        for row in np.flatnonzero(likenesses.max(axis=1, initial=0) >= LIKE).tolist():
            if evaluated.contents[first + row] not in known:
                near += 1
                other = int(likenesses[row].argmax())
                best = max(best, (float(likenesses[row, other]), first + row, other))
    if not near:
        return []
    value, index, other = best
    return [
        Remark(
            "nearly in both splits",
            f"{val.images[index]}: looks like {train.images[other]} of {train.split} (likeness {value:.2f}); of the "
            f"{len(val)} images of {val.split}, {near} look like one of {train.split} ({LIKE} and more): if they are "
            "of one video, place or object, keep them in one split (--group-by), or the metrics are too good",
            near,
        )
    ]


def _groups_in_both(train: Pairs, val: Pairs) -> list[Remark]:
    """Returns a remark if a group of images is in both splits."""
    groups, others = (collections.Counter(map(of.group_of.get, dict.fromkeys(of.images))) for of in (train, val))
    both = [group for group in others if group is not None and group in groups]
    if not both:
        return []
    first = next(image for image in val.images if val.group_of[image] == both[0])
    images = sum(others[group] for group in both)
    return [
        Remark(
            "group in both splits",
            f"{first}: is of the group {both[0]!r}, of which {groups[both[0]]} images are in {train.split} and "
            f"{others[both[0]]} in {val.split}; {len(both)} of {len(groups | others)} groups are in both, with "
            f"{images} of the {len(val)} images of {val.split}: keep each group in one split, or "
            "the metrics are too good",
            len(both),
        )
    ]
