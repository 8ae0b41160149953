"""Reading lists of class names: classes.txt, and labelme's class_names.txt."""

from __future__ import annotations

import re
from pathlib import Path

from keras_fcn.datasets.labels.legend import Legend
from keras_fcn.datasets.labels.lists.entries import is_name
from keras_fcn.errors import UserError
from keras_fcn.system.files import read_lines

IGNORED_NAME = "__ignore__"
"""The first line of labelme's lists of names, which stands for void and has no value."""

_NUMBERED = re.compile(r"(\d{1,9})(?:\s*[:,;=]\s*|\s+-\s+|\s+)(\S.*)", re.ASCII)
_NUMBER_LAST = re.compile(r"\S.*[:,;=\t]\s*\d+", re.ASCII)
_COLORED = re.compile(r".*\b\d+[\s,]+\d+[\s,]+\d+\b.*", re.ASCII)

MOST_NAMES, _LONGEST = 256, 60
"""Lines of a list of names, and letters in one."""

_Lines = list[tuple[int, str]]


def read_class_names(path: Path) -> Legend:
    """Reads a list of class names, one per line in the order of their ids from 0, or each after its id: `10 road`.

    Lines that begin with # are comments. A first line `__ignore__`, as in labelme's lists, is void and has no id; the
    names after it count from 0. A class named void, ignore or unlabeled is void.

    Raises:
        UserError: If the list is empty, repeats a name or an id, has an empty line between names, has ids before some
            names only, or holds colours; the message has the line's number.
    """
    lines = _lines(path)
    if lines and lines[0][1] == IGNORED_NAME:
        lines = lines[1:]
    if not lines:
        raise UserError(f"{path}: lists no classes; write one name per line, that of id 0 first")
    _require_names(path, lines)
    matches = [(number, _NUMBERED.fullmatch(line)) for number, line in lines]
    numbered = [(number, int(match[1]), match[2]) for number, match in matches if match]
    if not numbered:
        return _legend(path, [(number, index, name) for index, (number, name) in enumerate(lines)])
    if len(numbered) < len(lines):
        without = next(number for number, match in matches if not match)
        raise UserError(
            f"{path}: line {numbered[0][0]} begins with a number, line {without} does not; write its id before each "
            "name, as in `10 road`, or before none"
        )
    return _legend(path, numbered)


def holds_names(path: Path) -> bool:
    """Returns whether each line of a text file may be the name of a class, with its id or without."""
    lines = [line for _, line in _lines(path)]
    return 0 < len(lines) <= MOST_NAMES and all(len(line) <= _LONGEST and is_name(line) for line in lines)


def _lines(path: Path) -> _Lines:
    """Returns the lines with their numbers, without comments and without empty lines before and after all names."""
    lines = [(number, line) for number, line in enumerate(read_lines(path), 1) if not line.startswith("#")]
    named = [index for index, (_, line) in enumerate(lines) if line]
    return lines[named[0] : named[-1] + 1] if named else []


def _require_names(path: Path, lines: _Lines) -> None:
    first: dict[str, int] = {}
    for number, line in lines:
        if not line:
            raise UserError(f"{path}: line {number} is empty; every id needs a name, so name it or remove the line")
        if line == IGNORED_NAME:
            raise UserError(f"{path}: line {number}: {line} may only be the first line; void is 255 in the masks")
        if line in first:
            raise UserError(f"{path}: line {number}: the name {line!r} is already in line {first[line]}; rename one")
        first[line] = number
    number, line = lines[0]
    if all(line.isascii() and line.isdigit() for _, line in lines):
        raise UserError(f"{path}: line {number} is a number, and so are all; write its id before each name: `0 road`")
    if all(_COLORED.fullmatch(line) for _, line in lines):
        raise UserError(
            f"{path}: line {number} holds a colour, and so do all; write them to {path.with_name('labelmap.txt')}, "
            f"as in cat:255,0,0:: Received: {line}"
        )
    if all(_NUMBER_LAST.fullmatch(line) for _, line in lines):
        raise UserError(f"{path}: line {number}: write the id before the name, as in `10 road`. Received: {line}")


def _legend(path: Path, entries: list[tuple[int, int, str]]) -> Legend:
    """Returns the legend of lines: their number, the value that they name, and the name."""
    names: dict[int, str] = {}
    lines: dict[int | str, int] = {}
    for number, value, name in entries:
        for what, key in (("id", value), ("name", name)):
            if key in lines:
                raise UserError(
                    f"{path}: line {number}: the {what} {key!r} is already in line {lines[key]}; change one"
                )
            lines[key] = number
        if value > 255:
            raise UserError(f"{path}: line {number}: ids are 0 to 254, and 255 is void. Received: {value}")
        names[value] = name
    return Legend.of_values(path, names, f"where ids have gaps, write them before the names in {path.name}: `10 road`")
