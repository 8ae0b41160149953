"""Finding the classes from the ids in masks alone; masks that are not clearly ids are an error."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from keras_fcn.datasets.layouts.labelmap import EXAMPLE_LINE, LABELMAP
from keras_fcn.errors import DataError, UserError
from keras_fcn.images.classes import VOID_LABEL, ClassTable, Color
from keras_fcn.images.masks import label_colors, label_values, palette_in_use
from keras_fcn.images.photos import decoded_bytes
from keras_fcn.system.machine import DECODING, decoding_threads

SHOWN_COLORS = 8
MOST_CLASSES = 254

_SMALL = 32  # up to this many classes, any of them may be absent from a small data set
_SPARSE = 8  # beyond that, values of which less than one in this many occurs are shades, not ids


def scan_classes(root: Path, masks: Sequence[Path]) -> ClassTable:
    """Returns `background`, `class1`, ... up to the largest id below 255 in masks of grey ids or palette indices.

    Masks that cannot be decoded or hold other values are skipped; `inspect_pairs` reports them.

    Args:
        root: The folder of the data set, for error messages.
        masks: Its masks of all splits, so that every split has the same classes.

    Raises:
        UserError: If masks are in colour, an index has different colours in two palettes, or the values are no ids.
    """
    with decoding_threads() as threads:
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
            f"black-and-white masks write {root / LABELMAP} with the lines background:0,0,0:: and object:255,255,255::"
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
    """The contents of a mask: its values, with their palette if it has one, or else its colours with pixel counts."""

    path: Path
    values: frozenset[int] = frozenset()
    palette: dict[int, Color] | None = None
    colors: dict[Color, int] | None = None


def _content(path: Path) -> _Content | DataError:
    with DECODING.taking(decoded_bytes(path)):
        return _decoded(path)


def _decoded(path: Path) -> _Content | DataError:
    try:
        return _Content(path, frozenset(np.unique(label_values(path)).tolist()), palette_in_use(path))
    except DataError as error:
        return _Content(path, colors=label_colors(path)) if error.kind == "colours" else error


def _require_values(root: Path, contents: Sequence[_Content]) -> None:
    """Raises UserError with the most frequent colours if masks are in colour."""
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
    """Raises UserError if an index has different colours in two masks, as drawing programs renumber colours."""
    first: dict[int, tuple[Color, Path]] = {}
    for content in contents:
        path = content.path
        for index, color in (content.palette or {}).items():
            before, earlier = first.setdefault(index, (color, path))
            if before != color:
                raise UserError(
                    f"{earlier} and {path.name}: palette index {index} is {_text(before)} in one and {_text(color)} in "
                    f"the other, so indices are no ids; write {root / LABELMAP} with a line such as {EXAMPLE_LINE} "
                    "for each colour"
                )


def _text(color: Color) -> str:
    return ",".join(map(str, color))
