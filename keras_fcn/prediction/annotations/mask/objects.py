"""A mask's objects, the 4-connected components of its classes: without specks, without holes, as runs of pixels."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np

from keras_fcn.images.classes import VOID_LABEL, ClassTable, class_fractions
from keras_fcn.prediction.annotations.style import AnnotationStyle


@dataclasses.dataclass(frozen=True)
class MaskObject:
    """A 4-connected component of a class.

    Attributes:
        index: The class id.
        left: The first column of its bounding box.
        top: The first row.
        mask: Its pixels in the bounding box, boolean [height, width].
    """

    index: int
    left: int
    top: int
    mask: np.ndarray


def present(ids: np.ndarray, classes: ClassTable) -> list[int]:
    """Returns the ids of the classes in a mask uint8 [H, W] but background, in order."""
    return sorted(index for index, _ in class_fractions(ids, classes) if index != classes.background)


def objects(ids: np.ndarray, classes: ClassTable) -> list[MaskObject]:
    """Returns every object but background, larger ones first: what is drawn later lies on top, and smaller.

    Args:
        ids: Class ids uint8 [H, W].
        classes: The class table, with its background.
    """
    from scipy.ndimage import find_objects, label

    found = []
    for index in present(ids, classes):
        numbers = label(ids == index)[0]
        for number, (rows, columns) in enumerate(find_objects(numbers), 1):
            found.append(MaskObject(index, columns.start, rows.start, numbers[rows, columns] == number))
    return sorted(found, key=lambda each: -each.mask.sum())


def cleaned(ids: np.ndarray, classes: ClassTable, style: AnnotationStyle) -> np.ndarray:
    """Returns a mask whose small holes are filled and whose small objects are background, or void where there is none.

    A hole is what an object encloses, be it background or other objects, as far as pixels touch along their edges.

    Args:
        ids: Class ids uint8 [H, W].
        classes: The class table, with its background.
        style: The least areas.

    Returns:
        uint8 [H, W]; `ids` itself if nothing is asked for.
    """
    if not style.fill_holes and not style.min_area:
        return ids
    from scipy.ndimage import label

    result = ids.copy()
    nothing = VOID_LABEL if classes.background is None else classes.background
    if style.fill_holes:
        for index in present(ids, classes):
            numbers = _without_border(label(result != index)[0])
            result[(numbers > 0) & (np.bincount(numbers.ravel()) < style.fill_holes)[numbers]] = index
    if style.min_area:
        for index in present(result, classes):
            numbers = label(result == index)[0]
            result[(numbers > 0) & (np.bincount(numbers.ravel()) < style.min_area)[numbers]] = nothing
    return result


def without_holes(mask: np.ndarray) -> np.ndarray:
    """Cuts an object from top to bottom at its holes, so that no part has any.

    Args:
        mask: Boolean [H, W].

    Returns:
        int32 [H, W]: 0 outside, the number of its part, from 1 on, inside; parts are 4-connected.
    """
    from scipy.ndimage import find_objects, label

    holes = find_objects(_renumbered(_without_border(label(~mask)[0])))
    cuts = _stabs([(columns.start, columns.stop - 1) for _, columns in holes])
    parts, count = np.zeros(mask.shape, np.int32), 0
    for start, stop in zip([0, *cuts], [*cuts, mask.shape[1]]):
        numbers, found = label(mask[:, start:stop])
        parts[:, start:stop] = np.where(numbers > 0, numbers + count, 0)
        count += found
    return parts


def _without_border(numbers: np.ndarray) -> np.ndarray:
    """Returns numbered components without those that touch the border, which are 0 then."""
    border = np.concatenate([numbers[0], numbers[-1], numbers[:, 0], numbers[:, -1]])
    keeps = np.ones(numbers.max() + 1, bool)
    keeps[border] = False
    return np.where(keeps[numbers], numbers, 0)


def _renumbered(numbers: np.ndarray) -> np.ndarray:
    """Returns components numbered without gaps, as `find_objects` wants them."""
    found = np.unique(numbers)
    return np.searchsorted(found, numbers) + (found[0] != 0)


def _stabs(intervals: list[tuple[int, int]]) -> list[int]:
    """Returns the fewest numbers such that each interval, ends included, holds one; those in their middle."""
    found = []
    first, last = 0, -1
    for start, stop in sorted(intervals, key=lambda interval: interval[1]):
        if start <= last:
            first = max(first, start)
        else:
            if last >= 0:
                found.append((first + last) // 2)
            first, last = start, stop
    return [*found, (first + last) // 2] if last >= 0 else found


def runs(flat: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Yields the number of each object in a row of pixels, and where its runs begin and end, int64 [runs, 2].

    All objects are read off at once: a mask of each would take the time and memory of a whole image.

    Args:
        flat: Integers [N], 0 where no object is.
    """
    edges = np.flatnonzero(np.diff(flat, prepend=0, append=0))  # where runs begin, and the last ends
    starts, ends = edges[:-1], edges[1:]
    numbers = flat[starts]
    order = np.argsort(numbers, kind="stable")[(numbers == 0).sum() :]  # object by object, without pixels outside
    firsts = np.flatnonzero(np.diff(numbers[order])) + 1  # index of each next object in this order
    for group in np.split(np.stack([starts, ends, numbers], axis=1)[order], firsts):
        if len(group):
            yield int(group[0, 2]), group[:, :2]


def run_lengths(spans: np.ndarray, size: int) -> list[int]:
    """Returns the lengths of runs of pixels outside and inside, in turn, the last being inside if it ends the row.

    Args:
        spans: Begin and end of each run inside, integers [runs, 2].
        size: The length of the row.
    """
    lengths = np.diff(spans.ravel(), prepend=0, append=size).tolist()
    return lengths if lengths[-1] else lengths[:-1]
