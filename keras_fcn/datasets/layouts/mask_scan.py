"""Finding out from masks alone which classes there are, without a guess: what is unclear is an error."""

from __future__ import annotations

import collections
import dataclasses
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from keras_fcn.datasets.layouts.labelmap import EXAMPLE_LINE, LABELMAP
from keras_fcn.errors import DataError, UserError
from keras_fcn.images.classes import VOID_LABEL, ClassTable, Color
from keras_fcn.images.masks import label_colors, label_values, palette_in_use

SHOWN_COLORS = 8
MOST_CLASSES = 254

_SMALL = 32  # up to so many classes, any of them may be absent from a small data set
_SPARSE = 8  # beyond that, ids of which not even one in so many occurs are no ids, but shades


def scan_classes(root: Path, masks: Sequence[Path]) -> ClassTable:
    """Returns `background`, `class1`, ... up to the largest id below 255 in masks of grey ids or palette indices.

    Masks that cannot be decoded, or hold something else, are left to the inspection of every pair to complain about.

    Args:
        root: The folder of the data set, for complaints.
        masks: All its masks, those of other splits, too, so that every split has the same classes.

    Raises:
        UserError: If masks are in colour, an index has different colours in two palettes, or the values are no ids.
    """
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        contents = list(threads.map(_content, masks))
    sound = [content for content in contents if isinstance(content, _Content)]
    if not sound:
        raise next(content for content in contents if isinstance(content, DataError))
    _require_values(root, sound)
    _require_one_palette(root, sound)
    used = sorted(set().union(*(content.values for content in sound)))
    ids = [value for value in used if value != VOID_LABEL]
    if max(ids, default=0) == 0:
        raise UserError(
            f"{root}: its masks hold only {' and '.join(map(str, used))}, and {VOID_LABEL} means void; for "
            f"black-and-white masks write {root / LABELMAP} with the lines background:0,0,0:: and thing:255,255,255::"
        )
    count = max(ids) + 1
    if count > MOST_CLASSES or (count > _SMALL and len(ids) * _SPARSE < count):
        raise UserError(
            f"{root}: its masks hold {len(ids)} values up to {max(ids)}, which look like shades rather than class ids; "
            f"write {root / LABELMAP} with a line such as {EXAMPLE_LINE} for each colour, or classes.txt with the "
            "names of all ids from 0"
        )
    return ClassTable.named(["background", *(f"class{index}" for index in range(1, count))])


@dataclasses.dataclass(frozen=True)
class _Content:
    """What is in a mask: values, and their palette if it has one; or else colours with their pixels."""

    path: Path
    values: frozenset[int] = frozenset()
    palette: dict[int, Color] | None = None
    colors: dict[Color, int] | None = None


def _content(path: Path) -> _Content | DataError:
    try:
        return _Content(path, frozenset(np.unique(label_values(path)).tolist()), palette_in_use(path))
    except DataError as error:
        return _Content(path, colors=label_colors(path)) if error.kind == "colours" else error


def _require_values(root: Path, contents: Sequence[_Content]) -> None:
    """Raises UserError if masks are in colour, and shows the most frequent colours."""
    counts: collections.Counter[Color] = collections.Counter()
    for content in contents:
        counts.update(content.colors or {})
    if counts:
        masks = sum(content.colors is not None for content in contents)
        shown = "; ".join(_text(color) for color, _ in counts.most_common(SHOWN_COLORS))
        more = f" and {len(counts) - SHOWN_COLORS} more" if len(counts) > SHOWN_COLORS else ""
        raise UserError(
            f"{root}: {masks} of its masks are in colour ({shown}{more}), and no file says which class a colour is; "
            f"write {root / LABELMAP} with a line such as {EXAMPLE_LINE} for each"
        )


def _require_one_palette(root: Path, contents: Sequence[_Content]) -> None:
    """Raises UserError if an index has different colours in two masks: drawing programs number colours anew."""
    first: dict[int, tuple[Color, Path]] = {}
    for content in contents:
        path = content.path
        for index, color in (content.palette or {}).items():
            before, where = first.setdefault(index, (color, path))
            if before != color:
                raise UserError(
                    f"{where} and {path.name}: palette index {index} is {_text(before)} in the one and {_text(color)} "
                    f"in the other, so indices are no ids; write {root / LABELMAP} with a line such as {EXAMPLE_LINE} "
                    "for each colour"
                )


def _text(color: Color) -> str:
    return ",".join(map(str, color))
