"""The file beside images and masks that says what the masks mean, whatever the layout and the file's name."""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Iterable
from pathlib import Path

from keras_fcn.datasets.labels.class_names import holds_names, read_class_names
from keras_fcn.datasets.labels.labelmap import LABELMAP, is_labelmap, read_labelmap
from keras_fcn.datasets.labels.legend import Legend
from keras_fcn.datasets.labels.lists.documents import document_entries
from keras_fcn.datasets.labels.lists.entries import agreed, are_plain, legend_of
from keras_fcn.datasets.labels.lists.tables import table_entries
from keras_fcn.datasets.listing import inner_folders
from keras_fcn.datasets.splits import is_split
from keras_fcn.errors import DataError, UserError
from keras_fcn.system.files import entries_of

CLASS_FILES = (LABELMAP, "classes.txt", "class_names.txt")
"""Names of files that are lists of classes whatever they hold, so that any fault in them is an error."""

_OTHERS = (".xlsx", ".xls", ".ods", ".xml", ".pbtxt", ".html", ".pdf", ".docx")
"""Suffixes of files that are not read, and named."""

_LISTS, _DOCUMENTS = (".txt", ".names"), (".json", ".yaml", ".yml")
_TABLES = (*_LISTS, ".csv", ".tsv")

_NAMED = re.compile(
    r"(?!scene).*(class|label|categor|legend|palette|colou?r.?map|taxonomy|ontology|object_?info|dataset.?meta|id2|2id).*|names",
    re.IGNORECASE,
)
"""Names of files that list classes, without suffix."""

_FIGURES = re.compile(
    r".*(weight|count|freq|histogram|statistic|stats|distribution|accurac|score|metric|(^|[_\-. ])m?iou).*",
    re.IGNORECASE,
)
"""Names of files that give figures of classes, of which whole ones look like ids."""

_MOST_BYTES, _MOST_FOLDERS, _FEW, _ALONE = 1 << 20, 64, 16, 2


@dataclasses.dataclass(frozen=True)
class _Found:
    """A file, the legend in it, or why there is none."""

    path: Path
    legend: Legend | None = None
    why: str = ""


def find_legend(root: Path, inner: bool = True) -> Legend | None:
    """Returns what the file of classes in a folder says, None if there is none.

    Without one there, that of the folders in it is returned, as long as all files of these agree.

    Args:
        root: The folder.
        inner: Whether the folders in it are looked at.

    Raises:
        UserError: If two contradict each other, or one has a fault.
    """
    if legends := _legends(_candidates(root)):
        legend = functools.reduce(agreed, legends)
        path = Path(legend.source)
        return legend if _is_named(path) else _noted(legend, path.name)
    folders = inner_folders(root)[:_MOST_FOLDERS] if inner else []
    inside = [path for folder in folders for path in _candidates(folder, most=_ALONE)]
    legends = _legends(filter(_is_named, inside))
    if not legends:
        return None
    legend = functools.reduce(agreed, legends)
    return _noted(legend, Path(legend.source).relative_to(root).as_posix())


def _noted(legend: Legend, name: str) -> Legend:
    """Returns a legend that says which file it is of."""
    return dataclasses.replace(legend, notes=(f"classes are those of {name}", *legend.notes))


def like_class_files(root: Path) -> tuple[str, ...]:
    """Returns a line about each file in a folder that looks like one of classes, by its name, but is not understood."""
    found = [each for each in map(_read, _candidates(root)) if each.legend is None and _is_named(each.path)]
    return tuple(f"{each.path.name} looks like a file of classes, but is not understood{each.why}" for each in found)


def above(root: Path) -> tuple[str, ...]:
    """Returns a line about a file of classes in the folder above, which is not read there; none without one."""
    try:
        legend = find_legend(root.absolute().parent, inner=False)
    except UserError:
        return ()
    return () if legend is None else (f"{legend.source} lists classes: put it into {root} if they are its",)


def _legends(paths: Iterable[Path]) -> list[Legend]:
    return [each.legend for each in map(_read, paths) if each.legend is not None]


def _candidates(folder: Path, most: int | None = None) -> list[Path]:
    """Returns the files of tables and documents in a folder that may list classes, without lists of images.

    Args:
        folder: The folder.
        most: The greatest number of files of a suffix; where there are more, they are about one image each.
    """
    found: dict[str, list[Path]] = {}
    for entry in entries_of(folder):
        stem, dot, suffix = entry.name.rpartition(".")
        suffix = dot + suffix.lower()
        if (
            stem
            and suffix in (*_TABLES, *_DOCUMENTS, *_OTHERS)
            and not entry.name.startswith(".")
            and not is_split(stem)
            and not _FIGURES.fullmatch(stem)
        ):
            found.setdefault(suffix, []).append(folder / entry.name)
    groups = [group for group in found.values() if most is None or len(group) <= most]
    paths = [path for group in groups for path in group if len(group) <= _FEW or _is_named(path)]
    sizes = {path: path.stat().st_size for path in paths if path.is_file()}
    return sorted(path for path, size in sizes.items() if size <= _MOST_BYTES and (size or _is_named(path)))


def _is_named(path: Path) -> bool:
    return bool(_NAMED.fullmatch(path.stem)) or path.suffix.lower() == ".names"


def _read(path: Path) -> _Found:
    """Reads a file, which may be none of classes.

    Raises:
        UserError: If it is one by its name or its colours, and has a fault.
    """
    must, entries = path.name.lower() in CLASS_FILES, None
    try:
        if path.suffix.lower() in _OTHERS:
            return _Found(path, None, ": save it as CSV")
        if path.suffix.lower() in _DOCUMENTS:
            entries = document_entries(path, _is_named(path))
        elif path.name.lower() == LABELMAP or is_labelmap(path):
            must = True
            return _Found(path, read_labelmap(path))
        else:
            entries = table_entries(path)
            is_table = entries is not None and (any(entry.color for entry in entries) or are_plain(entries))
            if not is_table and not (entries and _is_named(path)):
                is_list = must or (_is_named(path) and path.suffix.lower() in _LISTS and holds_names(path))
                return _Found(path, read_class_names(path) if is_list else None)
        return _Found(path, legend_of(path, entries) if entries else None)
    except UserError as error:
        is_clear = isinstance(error, DataError) and (entries is None or _is_named(path))
        if must or is_clear or (entries and any(entry.color for entry in entries)):
            raise
        return _Found(path, None, f": {str(error).removeprefix(f'{path}: ')}")
