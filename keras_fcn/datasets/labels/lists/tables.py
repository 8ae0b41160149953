"""Reading classes from tables: CSV with a header or without, and lines such as SegNet's `128 64 128 Road`."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from pathlib import Path

from keras_fcn.datasets.labels.lists.entries import Entry, color_of, is_name
from keras_fcn.images.classes import Color
from keras_fcn.system.files import read_lines

_NAMES = (
    "name", "classname", "labelname", "categoryname", "class", "label", "category", "title", "readable", "objectclass",
    "classes", "names", "labels",
)  # fmt: skip
_VALUES = (
    "id", "value", "pixelvalue", "idx", "index", "classid", "labelid", "categoryid", "classindex", "labelindex", "code",
    "number", "grey", "gray", "greyvalue", "grayvalue", "maskvalue", "pixel", "classvalue", "class", "label",
)  # fmt: skip
_COLORS = ("color", "colour", "rgb", "hex", "hexcolor", "hexcolour", "rgbcolor", "colorrgb", "colorhex", "palette")
_CHANNELS = (("r", "red"), ("g", "green"), ("b", "blue"))
"""Names of columns, in lower case and without blanks, the first before others."""

_RGB = r"[(\[]?(?P<red>\d{1,3})[\s,;]+(?P<green>\d{1,3})[\s,;]+(?P<blue>\d{1,3})[)\]]?"
_ID, _NAME, _BETWEEN = r"(?P<id>\d{1,9})", r"(?P<name>\S.*?)", r"[\s,;:=]+"
_FORMS = [
    re.compile(_BETWEEN.join(parts), re.ASCII)
    for parts in ((_ID, _RGB, _NAME), (_RGB, _NAME), (_ID, _NAME, _RGB), (_NAME, _RGB))
]
"""Lines of a text with colours."""

_COMMENTS = ("#", "//")

Row = tuple[int, list[str]]


def table_entries(path: Path) -> list[Entry] | None:
    """Returns the classes of a table; None if it is none of classes.

    Raises:
        UserError: If the file cannot be read.
    """
    lines = [(number, line) for number, line in enumerate(read_lines(path), 1) if line]
    for delimiter in (",", "\t", ";"):
        rows = _rows(lines, delimiter)
        if rows and (found := _of_header(rows) or _of_columns(rows)):
            return found
    return _of_lines([(number, line) for number, line in lines if not line.startswith(_COMMENTS)])


def _rows(lines: Sequence[tuple[int, str]], delimiter: str) -> list[Row]:
    """Returns the rows of a table, the first of which may be a comment; none if these have not as many fields each."""
    comments = [place for place, (_, line) in enumerate(lines) if line.startswith(_COMMENTS)]
    for left_out in ([place for place in comments if place], comments):
        texts = [line for place, line in enumerate(lines) if place not in left_out]
        try:
            rows = [
                next(csv.reader([line.lstrip("#/ ")], delimiter=delimiter, skipinitialspace=True)) for _, line in texts
            ]
        except (csv.Error, StopIteration):
            continue
        rows = [[field.strip() for field in row] for row in rows]
        while rows and len(rows[0]) > 2 and all(row and not row[-1] for row in rows):
            rows = [row[:-1] for row in rows]  # each line ends in the delimiter
        if len({len(row) for row in rows}) == 1 and len(rows[0]) > 1:
            return [(number, row) for (number, _), row in zip(texts, rows)]
    return []


def _of_header(rows: Sequence[Row]) -> list[Entry] | None:
    """Returns the classes of a table whose first row names its columns."""
    header = [re.sub(r"[\s_\-.]", "", field.lower()) for field in rows[0][1]]
    columns = list(zip(*(row for _, row in rows[1:])))
    if not columns:
        return None
    names = [header.index(word) for word in _NAMES if word in header]
    name = next((place for place in names if not all(map(_is_number, columns[place]))), None)
    if name is None or not all(map(is_name, columns[name])):
        return None
    values = [header.index(word) for word in _VALUES if word in header and header.index(word) != name]
    value = next((place for place in values if all(map(_is_number, columns[place]))), None)
    colors = _colors(header, columns)
    if value is None and colors is None:
        return None
    ids = [None] * len(columns[name]) if value is None else [int(text) for text in columns[value]]
    places = [f"line {number}" for number, _ in rows[1:]]
    shades = colors or [None] * len(places)
    return [Entry(*fields) for fields in zip(places, columns[name], ids, shades)]


def _colors(header: Sequence[str], columns: Sequence[Sequence[str]]) -> list[Color | None] | None:
    """Returns the colour of each row, None if there is none; None without a column of colours."""
    channels = [next((header.index(word) for word in words if word in header), None) for words in _CHANNELS]
    if None not in channels:
        texts = zip(*(columns[place] for place in channels if place is not None))
        return [color_of(" ".join(text)) for text in texts]
    place = next((header.index(word) for word in _COLORS if word in header), None)
    return None if place is None else [color_of(text) for text in columns[place]]


def _of_columns(rows: Sequence[Row]) -> list[Entry] | None:
    """Returns the classes of a table without header: one column of names, and numbers."""
    columns = list(zip(*(row for _, row in rows)))
    numbers = [place for place, column in enumerate(columns) if all(map(_is_number, column))]
    others = [place for place in range(len(columns)) if place not in numbers]
    shades = [place for place in others if all(map(color_of, columns[place]))]
    names = [place for place in others if place not in shades and all(map(is_name, columns[place]))]
    if len(names) != 1 or len(names) + len(shades) != len(others):
        return None
    colors: list[Color | None] = [None] * len(rows)
    if shades and len(shades) == 1:
        colors = [color_of(text) for text in columns[shades[0]]]
    elif len(numbers) in (3, 4) and (len(numbers) == 3 or numbers[0] < names[0]):
        colors = [color_of(" ".join(row[place] for place in numbers[-3:])) for _, row in rows]
        numbers = numbers[:-3]
        if None in colors:
            return None
    if len(numbers) > 1 or (not numbers and None in colors):
        return None
    ids = [int(text) for text in columns[numbers[0]]] if numbers else [None] * len(rows)
    places = [f"line {number}" for number, _ in rows]
    return [Entry(*fields) for fields in zip(places, columns[names[0]], ids, colors)]


def _of_lines(lines: Sequence[tuple[int, str]]) -> list[Entry] | None:
    """Returns the classes of lines with a colour each."""
    for form in _FORMS:
        matches = [match for _, line in lines if (match := form.fullmatch(line)) and is_name(match["name"])]
        colors = [color_of(" ".join(match.group("red", "green", "blue"))) for match in matches]
        if matches and len(matches) == len(lines) and None not in colors:
            ids = [int(match["id"]) if "id" in form.groupindex else None for match in matches]
            names = [match["name"] for match in matches]
            places = [f"line {number}" for number, _ in lines]
            return [Entry(*fields) for fields in zip(places, names, ids, colors)]
    return None


def _is_number(text: str) -> bool:
    return bool(re.fullmatch(r"-?\d{1,9}", text, re.ASCII))
