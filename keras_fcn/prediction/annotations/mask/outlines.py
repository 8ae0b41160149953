"""Outlines of a mask's objects for the tool that reads them: drawn by its rule they give the mask back."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator

import numpy as np

from keras_fcn.images.classes import ClassTable
from keras_fcn.prediction.annotations.mask.objects import MaskObject, objects, without_holes

Ring = np.ndarray
"""Corners of a closed outline, integers [N, 2], x and y, the first not repeated."""

_MOST_CHANGED = 0.1
"""The most of an object's pixels that simplifying may change: else a crack thinner than the tolerance would vanish."""

_ATTEMPTS = 4  # halvings of the tolerance before the outline stays as it is


@dataclasses.dataclass(frozen=True)
class Rule:
    """How a tool fills polygons.

    Attributes:
        through_centres: Whether exact outlines go through the centres of the outermost pixels, of which (0, 0) is the
            upper left one's; else along the edges of pixels, (0, 0) being the upper left corner of the image.
        draw: Draws the union of rings on an image of a height and width: boolean [H, W].
    """

    through_centres: bool
    draw: Callable[[list[Ring], tuple[int, int]], np.ndarray]


def outlined(
    ids: np.ndarray, classes: ClassTable, rule: Rule, tolerance: float
) -> Iterator[tuple[MaskObject, list[Ring]]]:  # fmt: skip
    """Yields every object but background, larger ones first, with outlines that a tool fills with it.

    Where an object has holes, there are several: it is cut open. Filled again, the object differs in no pixel whose
    centre is farther from the object's edge than the tolerance, and in a tenth of its pixels at most. Where a simpler
    outline would change more, it is simplified less.

    Args:
        ids: Class ids uint8 [H, W].
        classes: The class table, with its background.
        rule: The tool's.
        tolerance: In pixels; 0 keeps every corner.
    """
    found = objects(ids, classes)
    parts, counts = np.zeros(ids.shape, np.int32), list[int]()
    for each in found:
        own = without_holes(each.mask)
        height, width = own.shape
        box = parts[each.top : each.top + height, each.left : each.left + width]
        box[each.mask] = own[each.mask] + sum(counts[-1:])
        counts.append(int(box[each.mask].max()))
    traced = _traced(parts, rule.through_centres)  # once for all: a call takes a millisecond
    for each, first, last in zip(found, [0, *counts], counts):
        exact = [traced[number] for number in range(first + 1, last + 1)]
        yield each, _simpler(exact, each, rule, tolerance)


def _simpler(exact: list[Ring], each: MaskObject, rule: Rule, tolerance: float) -> list[Ring]:
    corner = np.array([each.left, each.top])
    for halving in range(_ATTEMPTS if tolerance else 0):
        simple = [simplified(ring, tolerance / 2**halving) for ring in exact]
        if _is_close(rule.draw([ring - corner for ring in simple], each.mask.shape), each.mask, tolerance):
            return simple
    return exact


def _is_close(drawn: np.ndarray, mask: np.ndarray, tolerance: float) -> bool:
    changed = np.argwhere(drawn != mask)
    if len(changed) > _MOST_CHANGED * mask.sum():
        return False
    return not len(changed) or bool(distances(changed, mask).max() <= tolerance)


def distances(pixels: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Returns how far the centres of pixels are from a mask's edge, float64 [N].

    Args:
        pixels: Rows and columns, integers [N, 2].
        mask: Boolean [H, W], neither empty nor full but for its border, beyond which it ends.
    """
    from scipy.spatial import KDTree

    padded = np.pad(mask, 1)
    across, down = (np.argwhere(np.diff(padded, axis=axis)) for axis in (1, 0))
    # The nearest point of an edge, one pixel long, to the centre of a pixel is its middle or one of its ends.
    points = [across - (0.5, 0), across - (0, 0), across - (1, 0), down - (0, 0.5), down - (0, 0), down - (0, 1)]
    return KDTree(np.concatenate(points)).query(pixels + 0.5)[0]


def _traced(parts: np.ndarray, through_centres: bool) -> dict[int, Ring]:
    """Returns the outline of each part, none of which has holes, by its number: its corners only.

    Args:
        parts: int32 [H, W], 0 outside.
        through_centres: As of `Rule`.
    """
    from rasterio.features import shapes

    rings = {}
    for shape, number in shapes(parts, mask=parts > 0, connectivity=4):
        ring = np.array(shape["coordinates"][0], np.int64)[:-1]
        rings[int(number)] = _corners(_centres(ring)) if through_centres else _corners(ring)
    return rings


def _centres(ring: Ring) -> Ring:
    """Returns the pixels inside along an outline of pixels' edges, each as often as the outline comes back to it."""
    x, y = ring.T
    is_clockwise = (x * np.roll(y, -1) - np.roll(x, -1) * y).sum() > 0  # as one sees it, y being down
    ring = ring if is_clockwise else ring[::-1]
    steps = np.roll(ring, -1, axis=0) - ring
    counts = np.abs(steps).sum(axis=1)
    units = np.repeat(steps // counts[:, None], counts, axis=0)
    starts = ring[0] + np.concatenate([np.zeros((1, 2), np.int64), np.cumsum(units, axis=0)[:-1]])
    inward = np.stack([-units[:, 1], units[:, 0]], axis=1)  # to the right
    pixels = (2 * starts + units + inward - 1) // 2
    is_next = (pixels != np.roll(pixels, 1, axis=0)).any(axis=1)
    return pixels[is_next] if is_next.any() else pixels[:1]


def _corners(ring: Ring) -> Ring:
    """Returns a ring without the points between two others on a straight line, in their direction."""
    if len(ring) < 3:
        return ring
    before, after = ring - np.roll(ring, 1, axis=0), np.roll(ring, -1, axis=0) - ring
    turns = before[:, 0] * after[:, 1] != before[:, 1] * after[:, 0]
    backwards = (before * after).sum(axis=1) < 0
    return ring[turns | backwards]


def simplified(ring: Ring, tolerance: float) -> Ring:
    """Returns some of a ring's points, none of which was farther from the new outline than the tolerance.

    By Ramer, Douglas and Peucker, from the first point and the one farthest from it.
    """
    if len(ring) < 4:
        return ring
    far = int(((ring - ring[0]) ** 2).sum(axis=1).argmax())
    closed = np.concatenate([ring, ring[:1]]).astype(float)
    keeps = np.zeros(len(closed), bool)
    keeps[[0, far]] = True
    open_spans = [(0, far), (far, len(ring))]
    while open_spans:
        first, last = open_spans.pop()
        if last - first < 2:
            continue
        away = _from_segment(closed[first + 1 : last], closed[first], closed[last])
        place = int(away.argmax())
        if away[place] > tolerance:
            middle = first + 1 + place
            keeps[middle] = True
            open_spans += [(first, middle), (middle, last)]
    return ring[keeps[:-1]]


def _from_segment(points: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Returns the distances of points [N, 2] from a segment."""
    along = end - start
    length = (along**2).sum()
    place = np.clip(((points - start) @ along) / length, 0, 1) if length else np.zeros(len(points))
    return np.sqrt(((points - start - place[:, None] * along) ** 2).sum(axis=1))
