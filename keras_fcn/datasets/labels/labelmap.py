"""Reading CVAT's labelmap.txt."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from keras_fcn.datasets.labels.legend import Legend, bare, id_of_values, is_void
from keras_fcn.errors import UserError, about
from keras_fcn.images.classes import VOID_LABEL, ClassTable, Color, voc_palette
from keras_fcn.system.files import read_lines

LABELMAP = "labelmap.txt"
EXAMPLE_LINE = "cat:255,0,0::"

_FIELDS = 4  # name, colour, parts, actions
_LINE = re.compile(r"[^:]+:(\s*\d+\s*(,\s*\d+\s*)*)?:[^:]*:[^:]*", re.ASCII)


def read_labelmap(path: Path) -> Legend:
    """Reads CVAT's labelmap.txt, a line `name:red,green,blue:parts:actions` per class.

    A label named void, ignore or unlabeled, with or without underscores around it, is void and no class. A class named
    background gets id 0; the others follow in the file's order. If no label has a colour, they have those of the VOC
    palette in that order, as Datumaro, CVAT's exporter, paints them. Without a void label, void has VOC's colour,
    unless a class has it. The values of grey masks are the positions of the labels, from 0, as CVAT imports them.

    Raises:
        UserError: If a line is not of that form, or repeats a name or a colour; the message has the line's number.
    """
    parsed = [
        (number, *_parse_line(f"{path}: line {number}", line))
        for number, line in enumerate(read_lines(path), 1)
        if line and not line.startswith("#")
    ]
    labels: dict[str, Color] = {}
    lines: dict[str | Color, int] = {}
    has_colors = any(field for _, _, field in parsed)
    for index, (number, name, field) in enumerate(parsed):
        color = _parse_color(f"{path}: line {number}", name, field) if has_colors else _palette_color(index)
        for what, value in (("name", name), ("colour", color)):
            if value in lines:
                raise UserError(
                    f"{path}: line {number}: the {what} {_shown(value)} is already in line {lines[value]}; "
                    f"give each class its own {what}"
                )
            lines[value] = number
        labels[name] = color
    return legend_of_colors(path, labels, {name: f"line {lines[name]}" for name in labels})


def is_labelmap(path: Path) -> bool:
    """Returns whether a text file of another name has labelmap.txt's lines, whatever their faults."""
    lines = [line for line in read_lines(path) if line and not line.startswith("#")]
    return bool(lines) and all(_LINE.fullmatch(line) for line in lines)


def _parse_line(source: str, line: str) -> tuple[str, str]:
    fields = [field.strip() for field in line.split(":")]
    if len(fields) != _FIELDS or not fields[0]:
        raise UserError(
            f"{source} has {len(fields)} fields, but name:red,green,blue:parts:actions are {_FIELDS}, the last two "
            f"mostly empty, as in {EXAMPLE_LINE} Received: {line}"
        )
    return fields[0], fields[1]


def _parse_color(source: str, name: str, field: str) -> Color:
    numbers = [number.strip() for number in field.split(",")]
    values = [int(number) for number in numbers if number.isascii() and number.isdigit() and len(number) < 10]
    if len(values) != len(numbers) or len(values) != 3 or max(values) > 255:
        raise UserError(
            f"{source}: the colour of {name!r} must be three numbers from 0 to 255, as in {EXAMPLE_LINE} "
            f"Received: {field or 'nothing'}"
        )
    red, green, blue = values
    return red, green, blue


def _palette_color(index: int) -> Color:
    red, green, blue = voc_palette()[index % 256].tolist()
    return red, green, blue


def legend_of_colors(
    path: Path, labels: Mapping[str, Color], places: Mapping[str, str], values: Sequence[int] | None = None
) -> Legend:
    """Returns the classes of names with colours, background first, or in the order of values, and without void.

    Args:
        path: The file that lists them.
        labels: The colours by the names.
        places: Where each name stands in the file, for error messages.
        values: The value of each in masks that are not in colour; the positions if None.

    Raises:
        UserError: If there is no class but void, several are void, or there are too many.
    """
    voids = [name for name in labels if is_void(name)]
    if len(voids) > 1:
        raise UserError(
            f"{path}: {places[voids[0]]} and {places[voids[1]]} are both void ({', '.join(voids)}); "
            "keep one, or rename what is a class"
        )
    of_name = dict(zip(labels, range(len(labels)) if values is None else values))
    names = [name for name in labels if name not in voids]
    names.sort(key=lambda name: bare(name) != "background" if values is None else of_name[name])
    if not names:
        raise UserError(f"{path}: names no class; write a line such as {EXAMPLE_LINE} for each")
    colors = tuple(labels[name] for name in names)
    with about(path):
        classes = ClassTable(tuple(names), colors, labels[voids[0]] if voids else _free_void_color(colors))
    ids = id_of_values({
        value: VOID_LABEL if name in voids else names.index(name) for name, value in of_name.items()
    })  # fmt: skip
    notes = tuple(f"{path.name}: {name!r} is void: it counts nowhere" for name in voids)
    return Legend(str(path), classes, ids, has_colors=True, has_ids=values is not None, notes=notes)


def _free_void_color(colors: Sequence[Color]) -> Color:
    """Returns VOC's void colour, or another of its palette if a class has that one."""
    return next((r, g, b) for r, g, b in reversed(voc_palette().tolist()) if (r, g, b) not in colors)


def _shown(value: str | Color) -> str:
    return repr(value) if isinstance(value, str) else ",".join(map(str, value))
