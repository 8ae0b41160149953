"""Reading classes from JSON and YAML, wherever in it they stand."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from keras_fcn.datasets.labels.lists.entries import Entry, are_plain, color_of, is_name
from keras_fcn.errors import DataError, UserError
from keras_fcn.images.classes import Color
from keras_fcn.system.text import load_yaml, reason_of

_LISTS = (
    "names", "classes", "classnames", "labels", "labelnames", "categories", "id2label", "id2name", "labelmap",
    "classmap", "classdict", "idtoname", "idtolabel", "label2id", "name2id", "classtoid", "objectclasses",
)  # fmt: skip
_COLORS = ("colors", "colours", "palette", "colormap", "colourmap", "segmentationcolors", "classcolors", "labelcolors")
"""Keys of lists of classes and of their colours, in lower case and without blanks."""

_NAMES = ("readable", "name", "label", "class", "title", "category", "classname", "labelname", "categoryname")
_VALUES = (
    "id",
    "value",
    "index",
    "idx",
    "classid",
    "labelid",
    "categoryid",
    "pixelvalue",
    "code",
    "number",
    "class",
    "label",
)
_SHADES = ("color", "colour", "rgb", "hex", "hexcolor", "colorrgb", "rgbcolor", "palette")
"""Keys of one class, the first before others."""

_ANNOTATIONS = {"images", "annotations", "shapes", "imagepath", "items", "segmentsinfo"}
"""Keys of files that annotate images: their classes are no others than those that they paint."""

_DEPTH = 4


def document_entries(path: Path, is_named: bool) -> list[Entry] | None:
    """Returns the classes that a JSON or YAML file lists; None if it lists none.

    Args:
        path: The file.
        is_named: Whether its name says that it lists classes; only then a bare list or table is one of classes.

    Raises:
        DataError: If it says that labels stand for others.
        UserError: If the file cannot be read.
    """
    content = _content(path)
    found = _entries(content)
    if found and (is_named or _is_clear(content, found)):
        return found
    if isinstance(content, Mapping) and "labelmapping" in map(_bare, content):
        fix = "name the masks' own values there"
        raise DataError("label mapping", f"{path}: has a mapping of labels, which is not read; {fix}")
    return _nested(content, _DEPTH, set())


def _is_clear(content: Any, entries: list[Entry]) -> bool:
    """Returns whether entries are classes whatever the file is called: a list with colours, or names by numbers."""
    if isinstance(content, list):
        return all(entry.color for entry in entries)
    return all(str(key).isdecimal() for key in content) and are_plain(entries)


def _content(path: Path) -> Any:
    try:
        text = path.read_text(encoding="utf-8-sig")
        return json.loads(text) if path.suffix.lower() == ".json" else load_yaml(text)
    except (OSError, ValueError, yaml.YAMLError, RecursionError) as error:
        form = "JSON" if path.suffix.lower() == ".json" else "YAML"
        raise UserError(f"{path}: cannot be read as {form} ({reason_of(error)}); save it again") from None


def _nested(node: Any, depth: int, seen: set[tuple[int, int]]) -> list[Entry] | None:
    """Returns the classes under the first key that says so, in this mapping or one in it; YAML's may be there again."""
    if not isinstance(node, Mapping) or depth == 0 or (id(node), depth) in seen:
        return None
    seen.add((id(node), depth))
    keys = {_bare(key): key for key in node}
    if _ANNOTATIONS & keys.keys():
        return None
    for word in _LISTS:
        if word in keys and (found := _entries(node[keys[word]], f"{keys[word]}")):
            return _colored(found, node, keys)
    found = _entries(node) if all(isinstance(value, Mapping) for value in node.values()) else None
    if found and all(entry.value is not None or entry.color for entry in found):
        return found
    return next((found for value in node.values() if (found := _nested(value, depth - 1, seen))), None)


def _colored(entries: list[Entry], node: Mapping, keys: Mapping[str, Any]) -> list[Entry]:
    """Returns the classes with the colours that stand beside them, by place, value or name."""
    beside = next((node[keys[word]] for word in _COLORS if word in keys), None)
    if beside is None or any(entry.color for entry in entries):
        return entries
    if isinstance(beside, Mapping):
        of_key = {str(key): color_of(value) for key, value in beside.items()}
        colors = [of_key.get(entry.name, of_key.get(str(entry.value))) for entry in entries]
    elif isinstance(beside, Sequence) and len(beside) == len(entries):
        colors = [color_of(value) for value in beside]
    else:
        return entries
    return [Entry(entry.place, entry.name, entry.value, color) for entry, color in zip(entries, colors)]


def _entries(node: Any, where: str = "") -> list[Entry] | None:
    """Returns the classes of a list or mapping of nothing but these; None if it is none."""
    if isinstance(node, Mapping):
        found = list(_of_mapping(node, where))
    elif isinstance(node, list):
        named = _distinct_name(node)
        found = [_of_item(f"{where}[{place}]", item, named=named) for place, item in enumerate(node)]
    else:
        return None
    entries = [entry for entry in found if entry is not None]
    return entries if entries and len(entries) == len(found) else None


def _of_mapping(node: Mapping, where: str) -> Iterator[Entry | None]:
    for key, item in node.items():
        place = f"{where}[{key!r}]"
        number = int(key) if re.fullmatch(r"-?\d{1,9}", str(key), re.ASCII) else None
        if isinstance(item, Mapping):
            yield _of_item(place, item, number, str(key))
        elif number is not None:
            yield Entry(place, item, number) if is_name(item) else None
        elif color_of(str(key)):
            yield Entry(place, item, None, color_of(str(key))) if is_name(item) else None
        elif isinstance(item, int) and not isinstance(item, bool):
            yield Entry(place, str(key), item) if is_name(str(key)) else None
        else:
            color = color_of(item)
            yield Entry(place, str(key), None, color) if color and is_name(str(key)) else None


def _distinct_name(items: Sequence) -> str:
    """Returns the first key of names that differ in all mappings; nothing if there is none."""
    fields = [
        {_bare(key): value for key, value in item.items() if isinstance(value, (str, int))}
        for item in items
        if isinstance(item, Mapping)
    ]
    found = ({each.get(word) for each in fields} for word in _NAMES)
    return next((word for word, names in zip(_NAMES, found) if len(names - {None}) == len(fields) > 0), "")


def _of_item(place: str, item: Any, number: int | None = None, key: str = "", named: str = "") -> Entry | None:
    """Returns the class that a name, or a mapping with its name, value and colour, means."""
    if isinstance(item, str):
        return Entry(place, item) if is_name(item) else None
    if not isinstance(item, Mapping):
        return None
    fields = {_bare(field): value for field, value in item.items()}
    words = (named, *_NAMES)
    name = next((fields[word] for word in words if is_name(fields.get(word))), key if number is None else None)
    value = next((fields[word] for word in _VALUES if _is_id(fields.get(word))), number)
    shades = (fields.get(word) for word in _SHADES)
    colors = (_channels(shade) if isinstance(shade, Mapping) else color_of(shade) for shade in shades)
    color = next(filter(None, colors), _channels(fields))
    return Entry(place, str(name), value, color) if is_name(name) else None


def _channels(fields: Mapping[str, Any]) -> Color | None:
    long, short = ([fields.get(word) for word in words] for words in (("red", "green", "blue"), "rgb"))
    return color_of(long) or color_of(short)


def _is_id(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _bare(key: Any) -> str:
    return re.sub(r"[\s_\-]", "", str(key).lower())
