"""Reading CVAT's labelmap.txt."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from keras_fcn.datasets.labels.legend import NO_CLASS, Legend, bare, is_void
from keras_fcn.errors import UserError
from keras_fcn.images.classes import VOID_LABEL, ClassTable, Color, voc_palette
from keras_fcn.system.files import read_lines

LABELMAP = "labelmap.txt"
EXAMPLE_LINE = "cat:255,0,0::"

_FIELDS = 4  # name, colour, parts, actions


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
    return _legend(path, labels, lines)


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
    values = [int(number) for number in numbers if number.isascii() and number.isdigit()]
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


def _legend(path: Path, labels: dict[str, Color], lines: dict[str | Color, int]) -> Legend:
    """Returns the classes, background first and without void; values are the positions of the labels."""
    voids = [name for name in labels if is_void(name)]
    if len(voids) > 1:
        raise UserError(
            f"{path}: lines {lines[voids[0]]} and {lines[voids[1]]} are both void ({', '.join(voids)}); "
            "keep one, or rename what is a class"
        )
    names = sorted((name for name in labels if name not in voids), key=lambda name: bare(name) != "background")
    if not names:
        raise UserError(f"{path}: names no class; write a line such as {EXAMPLE_LINE} for each")
    colors = tuple(labels[name] for name in names)
    try:
        classes = ClassTable(tuple(names), colors, labels[voids[0]] if voids else _free_void_color(colors))
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    ids = [VOID_LABEL if name in voids else names.index(name) for name in labels][:VOID_LABEL]
    ids += [NO_CLASS] * (VOID_LABEL - len(ids)) + [VOID_LABEL]
    notes = tuple(f"{path.name}: {name!r} is void: it counts nowhere" for name in voids)
    return Legend(str(path), classes, tuple(ids), has_colors=True, notes=notes)


def _free_void_color(colors: Sequence[Color]) -> Color:
    """Returns VOC's void colour, or another of its palette if a class has that one."""
    return next((r, g, b) for r, g, b in reversed(voc_palette().tolist()) if (r, g, b) not in colors)


def _shown(value: str | Color) -> str:
    return repr(value) if isinstance(value, str) else ",".join(map(str, value))
