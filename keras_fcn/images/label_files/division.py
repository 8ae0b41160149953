"""Class ids in masks that number objects, too: class * 256 + number (KITTI), class * 1000 + number (Cityscapes)."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from keras_fcn.errors import UserError
from keras_fcn.images.classes import VOID_LABEL

BY_256, BY_1000 = "by_256", "by_1000"

DIVISORS = {BY_256: 256, BY_1000: 1000}
"""The numbers of objects that a class has room for, by the name of the reading."""

_SHOWN = 8

NOTES = {
    BY_256: "masks hold class * 256 + number of the object: a value divided by 256 is the class",
    BY_1000: "masks hold class * 1000 + number of the object: a value from 1000 on, divided by 1000, is the class",
}


def class_part(values: np.ndarray, divisor: int) -> np.ndarray:
    """Returns the class in values that number objects, too: class * divisor + number; 255 stays as it is.

    Args:
        values: Integers [...].
        divisor: 1, for values without a number; 256, as in KITTI; or 1000, as in Cityscapes, where values below it are
            classes without objects.
    """
    values = values.astype(np.int32) if values.dtype == np.uint8 else values  # which cannot be divided by 256
    is_whole = (values == VOID_LABEL) | ((values < divisor) & (divisor == 1000))
    return np.where(is_whole, values, values // divisor)


def choose_division(values: Iterable[int], place: Path) -> str:
    """Returns one of `DIVISORS` for the values of all masks; nothing if these are ids.

    Numbers of objects leave hardly any out, so only the right divisor has small remainders.

    Args:
        values: The values in use.
        place: The mask of the greatest value, or the folder of the masks, for error messages.

    Raises:
        UserError: If values are above 255 and not of such a form.
    """
    used = sorted(set(values) - {VOID_LABEL})
    if not used or used[-1] < VOID_LABEL:
        return ""
    classes = [value for value in used if value <= VOID_LABEL]
    numbered = [value for value in used if value > VOID_LABEL]
    fits = []
    if classes in ([], [0]) and _are_numbered(numbered, 256):
        fits.append(BY_256)
    if numbered[0] >= 1000 and _are_numbered(numbered, 1000):
        fits.append(BY_1000)
    if len(fits) == 1:
        return fits[0]
    shown = ", ".join(map(str, used[:_SHOWN])) + (f", {len(used) - _SHOWN} more" if len(used) > _SHOWN else "")
    form = "class * 256 + number of an object and class * 1000 + number"
    which = "it and others" if place.suffix else "masks"
    raise UserError(
        f"{place}: {which} hold {len(used)} values up to {used[-1]} ({shown}), but ids "
        f"are 0 to 254, and 255 is void; {form} {'both fit' if fits else 'do not fit'}; export masks of class ids"
    )


def _are_numbered(values: list[int], divisor: int) -> bool:
    """Returns whether values are classes with numbers of objects that hardly leave out any."""
    numbers: dict[int, set[int]] = {}
    for value in values:
        numbers.setdefault(value // divisor, set()).add(value % divisor)
    return max(numbers) < VOID_LABEL and all(max(each) <= 16 + 4 * len(each) for each in numbers.values())
