"""Finding the classes from the ids in masks alone; masks that are not clearly ids are an error."""

from __future__ import annotations

import collections
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from keras_fcn.datasets.labels.choice import BLACK_AND_WHITE, require_one_palette
from keras_fcn.datasets.labels.labelmap import EXAMPLE_LINE, LABELMAP
from keras_fcn.datasets.labels.survey import BLACK, WHITE, Colors, contents, remembered
from keras_fcn.errors import DataError, UserError
from keras_fcn.images.classes import VOID_LABEL, ClassTable, Color
from keras_fcn.images.label_files.content import LabelContent
from keras_fcn.images.label_files.division import DIVISORS, choose_division, class_part
from keras_fcn.system.text import shown

SHOWN_COLORS = 8
MOST_CLASSES = 254

_SMALL = 32  # up to this many classes, any of them may be absent from a small data set
_SPARSE = 8  # beyond that, values of which less than one in this many occurs are shades, not ids


@remembered
def scan_classes(masks: Sequence[Path], root: Path) -> tuple[ClassTable, str]:
    """Returns `background`, `class1`, ... up to the largest id below 255 in masks of grey ids or palette indices.

    The second is how masks are read that hold other values than ids: one of `DIVISORS` if they number objects, too,
    `BLACK_AND_WHITE` if all of them hold nothing but 0 and 255, which are background and one class; else it is empty.

    Masks that cannot be decoded or hold other values are skipped; `inspect_pairs` reports them.

    Args:
        masks: Its masks of all splits, so that every split has the same classes.
        root: The folder of the data set, for error messages.

    Raises:
        UserError: If masks are in colour, an index has different colours in two palettes, or the values are no ids.
    """
    found = list(contents(masks))
    sound = [content for content in found if isinstance(content, LabelContent)]
    if not sound:
        raise next(content for content in found if isinstance(content, DataError))
    _require_values(root, sound)
    colors = Colors(sound)
    if _is_black_and_white(colors):
        return ClassTable.named(["background", "class1"]), BLACK_AND_WHITE
    require_one_palette(colors, f"write {root / LABELMAP}")
    division = choose_division(colors.values, root)
    used = set(class_part(np.array([*colors.values]), DIVISORS.get(division, 1)).tolist())
    _require_ids(root, colors, sorted(used), bool(division))
    names = ["background", *(f"class{i}" for i in range(1, max(used - {VOID_LABEL}) + 1))]
    return ClassTable.named(names), division


def _is_black_and_white(colors: Colors) -> bool:
    """Returns whether masks hold black and white, the white of some of them as 255: no id, but a class beside black."""
    return colors.colors == {BLACK, WHITE} and VOID_LABEL in colors.values


def _require_ids(root: Path, colors: Colors, used: list[int], are_divided: bool) -> None:
    """Raises UserError if values are not clearly ids; `used` are what stands for classes in them."""
    ids = [value for value in used if value != VOID_LABEL]
    if max(ids, default=0) == 0:
        raise UserError(
            f"{root}: its masks hold only {' and '.join(map(str, used))}, and {VOID_LABEL} means void, so nothing is "
            f"left to learn; write {root / 'classes.txt'} with the names of all ids from 0 if other masks hold more"
        )
    count = max(ids) + 1
    if count > MOST_CLASSES or (count > _SMALL and len(ids) * _SPARSE < count and not are_divided):
        raise UserError(
            f"{root}: its masks hold {len(ids)} values up to {max(ids)} ({shown(list(map(str, ids)))}"
            f"{', and 255 for void' * (VOID_LABEL in used)}), which look like shades rather than class ids; "
            f"write {root / LABELMAP} with a line such as {EXAMPLE_LINE} for each colour, or classes.txt with the "
            "names of all ids from 0"
        )
    if count > 2 and (len(ids) * 2 < count or math.gcd(*ids) > 1):
        raise UserError(
            f"{root}: its masks hold the ids {shown(list(map(str, ids)))} only, and none between; write "
            f"{root / 'classes.txt'} with a name for each after its id, as in `{ids[-1]} road`"
        )
    greys = colors.greys
    moved = [value for value, of_value in colors.of_value.items() if greys is not None and (value,) * 3 not in of_value]
    if moved and greys is not None and max(greys - {VOID_LABEL}, default=0) < _SMALL and greys - {0, VOID_LABEL}:
        (grey, _, _), path = next(iter(colors.of_value[moved[0]].items()))
        raise UserError(
            f"{path}: palette index {moved[0]} is grey {grey}, and either could be the id; export 8-bit grey, or write "
            f"{root / 'classes.txt'} with the names of all ids from 0: greys are then ids"
        )


def _require_values(root: Path, found: Sequence[LabelContent]) -> None:
    """Raises UserError with the most frequent colours if masks are in colour."""
    counts: collections.Counter[Color] = collections.Counter()
    for content in found:
        counts.update(content.colors)
    if counts:
        masks = sum(bool(content.colors) for content in found)
        colors = "; ".join(",".join(map(str, color)) for color, _ in counts.most_common(SHOWN_COLORS))
        more = f" and {len(counts) - SHOWN_COLORS} more" if len(counts) > SHOWN_COLORS else ""
        raise UserError(
            f"{root}: {masks} of its masks are in colour ({colors}{more}), and no file says which class a colour is; "
            f"write {root / LABELMAP} with a line such as {EXAMPLE_LINE} for each"
        )
