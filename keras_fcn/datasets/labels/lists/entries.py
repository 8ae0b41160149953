"""The classes that a file lists, and what follows for the masks."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from pathlib import Path

from keras_fcn.datasets.labels.labelmap import legend_of_colors
from keras_fcn.datasets.labels.legend import Legend, bare, is_void
from keras_fcn.errors import DataError, UserError
from keras_fcn.images.classes import VOID_LABEL, Color
from keras_fcn.images.photos import IMAGE_SUFFIXES

_NUMBERS = re.compile(r"[(\[]?\s*(\d{1,3})[\s,;]+(\d{1,3})[\s,;]+(\d{1,3})\s*[)\]]?", re.ASCII)
_HEX = re.compile(r"(?:#|0x)([0-9a-f]{2})([0-9a-f]{2})([0-9a-f]{2})", re.ASCII | re.IGNORECASE)


@dataclasses.dataclass(frozen=True)
class Entry:
    """A class that a file lists.

    Attributes:
        place: Where it stands in the file, for error messages.
        name: Its name.
        value: Its value in masks; None if the file has none.
        color: Its colour in masks; None if the file has none.
    """

    place: str
    name: str
    value: int | None = None
    color: Color | None = None


def is_name(text: object) -> bool:
    """Returns whether a text may be the name of a class: it has a letter, and is no path of a picture."""
    if not isinstance(text, str) or len(text) > 200:
        return False
    return any(letter.isalpha() for letter in text) and not text.lower().endswith(IMAGE_SUFFIXES)


def are_plain(entries: Sequence[Entry]) -> bool:
    """Returns whether each class has a value, and a name without digits, such as images seldom have."""
    has_values = all(entry.value is not None for entry in entries)
    return has_values and not any(letter.isdigit() for entry in entries for letter in entry.name)


def color_of(value: object) -> Color | None:
    """Returns the colour that a list of three numbers, `#rrggbb` or `r, g, b` means; None if it means none."""
    if isinstance(value, str):
        found, base = (_NUMBERS.fullmatch(value.strip()), 10) if "#" not in value else (None, 10)
        if found is None:
            found, base = _HEX.fullmatch(value.strip()), 16
        value = [int(number, base) for number in found.groups()] if found else None
    if not isinstance(value, (list, tuple)) or len(value) not in (3, 4):
        return None
    if any(isinstance(number, bool) or not isinstance(number, int) or not 0 <= number <= 255 for number in value):
        return None
    red, green, blue = value[:3]
    return red, green, blue


def legend_of(path: Path, entries: Sequence[Entry]) -> Legend:
    """Returns what the classes of a file say about masks.

    With colours, masks may be in these, or hold the values; without values, the places in the list. Without colours,
    the values or places are the ids. A class named void, ignore or unlabeled is void; values below 0 are in no mask.

    Raises:
        UserError: If a name, a value or a colour is there twice, some classes alone have one, or no value is 0 or more.
        DataError: If a value is too large.
    """
    entries = [entry for entry in entries if entry.value is None or entry.value >= 0]
    if not entries:
        raise UserError(f"{path}: all values are below 0, which no mask holds; give the classes values from 0 on")
    _require_all(path, entries, "whole number", [entry.value is not None for entry in entries])
    _require_all(path, entries, "colour of three numbers from 0 to 255", [entry.color is not None for entry in entries])
    has_ids, has_colors = entries[0].value is not None, entries[0].color is not None
    if has_colors and has_ids and max(entry.value or 0 for entry in entries) > VOID_LABEL:
        has_ids, entries = False, [dataclasses.replace(entry, value=None) for entry in entries]  # keys of a database
    values = [position if entry.value is None else entry.value for position, entry in enumerate(entries)]
    _require_once(path, entries, "name", [entry.name for entry in entries])
    _require_once(path, entries, "value", values)
    for entry, value in zip(entries, values):
        if value > VOID_LABEL or (value == VOID_LABEL and not is_void(entry.name)):
            message = f"{path}: {entry.place}: values of classes are 0 to 254, 255 is void. Received: {value}"
            raise DataError("id out of range", message)
    if has_colors and has_ids and len({entry.color for entry in entries}) < len(entries):
        has_colors = False  # such as Cityscapes', where a pole and a group of poles look alike: values tell them apart
    names = {value: entry.name for value, entry in zip(values, entries)}
    if not has_colors:
        return dataclasses.replace(Legend.of_values(path, names), has_ids=has_ids)
    _require_once(path, entries, "colour", [entry.color for entry in entries])
    colors = {entry.name: entry.color for entry in entries if entry.color is not None}
    return legend_of_colors(path, colors, {entry.name: entry.place for entry in entries}, values if has_ids else None)


def _require_all(path: Path, entries: Sequence[Entry], what: str, having: Sequence[bool]) -> None:
    if any(having) and not all(having):
        entry = entries[having.index(False)]
        raise UserError(f"{path}: {entry.place}: {entry.name!r} has no {what}, others have; give all one, or none")


def _require_once(path: Path, entries: Sequence[Entry], what: str, keys: Sequence) -> None:
    first: dict[object, Entry] = {}
    for entry, key in zip(entries, keys):
        if key in first:
            shown = ",".join(map(str, key)) if isinstance(key, tuple) else repr(key)
            raise UserError(
                f"{path}: {entry.place}: the {what} {shown} is already that of {first[key].place}; change one"
            )
        first[key] = entry


def agreed(first: Legend, second: Legend) -> Legend:
    """Returns what two files say together.

    Raises:
        UserError: If they contradict each other: in the names, their values or their colours.
    """
    one, other = (_by_name(legend) for legend in (first, second))
    both = f"{first.source} and {second.source} contradict each other"
    if alone := sorted(one.keys() ^ other.keys()):
        where = first.source if alone[0] in one else second.source
        raise UserError(f"{both}: {alone[0]!r} is in {where} alone; remove or move one of the files")
    colored, plain = (first, second) if first.has_colors else (second, first)
    by_place = colored.has_colors and not colored.has_ids and plain.has_ids
    for name, (value, color) in one.items():
        differing: list[tuple[str, object, object]] = [("value", value, other[name][0])] * (not by_place)
        differing += [("colour", color, other[name][1])] * (first.has_colors and second.has_colors)
        for what, this, that in differing:
            if this != that:
                raise UserError(f"{both}: the {what} of {name!r} is {this} and {that}; remove or move one of the files")
    if not by_place:
        return colored
    places = {bare(name): index for index, name in enumerate(colored.classes.names)}
    names = [bare(name) for name in plain.classes.names]
    ids = tuple(places[names[index]] if index < len(names) else index for index in plain.ids)
    return dataclasses.replace(colored, ids=ids, has_ids=True)


def _by_name(legend: Legend) -> dict[str, tuple[int, Color]]:
    """Returns value and colour of each class by its name."""
    values = {index: value for value, index in enumerate(legend.ids) if index < legend.classes.num_classes}
    return {
        bare(name): (values[index], legend.classes.colors[index]) for index, name in enumerate(legend.classes.names)
    }
