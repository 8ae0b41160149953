"""Human-readable text: tables, numbers, the error messages of other programs."""

from __future__ import annotations

import collections
import contextlib
import csv
import json
import lzma
import os
import re
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePath
from typing import Any

import yaml
from wcwidth import wcswidth

from keras_fcn.errors import UserError

_TENSORFLOW_OPERATION = re.compile(r"^\{\{function_node \S+\}\} (?:\S+; )?|\s*\[Op:\w+\].*", re.DOTALL)
"""Where TensorFlow's message tells of which operation and temporary file it is, before and after what happened."""

_LONGEST_PATH, _LONGEST_NAME = 2000, 255
"""Letters of a path and bytes of a name that every system takes, the path being one in a folder."""

_SHOWN, _SHOWN_SUFFIXES = 8, 5

ZIP_FAULTS = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, RuntimeError)
"""What `zipfile` raises of faults in an archive; RuntimeError of members that are encrypted or of a newer version."""

_LONGEST_YAML, _MOST_NODES = 1 << 20, 1 << 20
"""Characters of a YAML file, and values in it with all that its aliases stand for; lists of classes have thousands."""


def table(headers: Sequence[str], rows: Iterable[Sequence[object]], alignment: str = "") -> str:
    """Returns a table in plain text, aligned in any script.

    Args:
        headers: One for each column.
        rows: The cells of each row; `tabulate.SEPARATING_LINE` for a separating line.
        alignment: "<" for each left-aligned column, ">" for each right-aligned one; by default only the first is
            left-aligned.
    """
    from tabulate import tabulate

    sides = {"<": "left", ">": "right"}
    columns = [sides[side] for side in alignment or "<".ljust(len(headers), ">")]
    return tabulate(
        rows, headers, disable_numparse=True, preserve_whitespace=True, colalign=columns, headersalign=columns
    )


def display_width(text: str) -> int:
    """Returns the width of a text in terminal columns: two for wide characters, none for combining ones."""
    width = wcswidth(text)
    return len(text) if width < 0 else width  # characters that no terminal shows


def printable(text: str) -> str:
    """Returns a text whose letters that UTF-8 lacks are escaped: of a file's name in another encoding."""
    return text.encode(errors="backslashreplace").decode()


def tail_of(path: str | Path) -> str:
    """Returns the name of a file after that of its folder, as the folders above may be others on another machine."""
    return "/".join(str(path).replace(os.sep, "/").rsplit("/", 2)[-2:])


def shown(words: Sequence[str]) -> str:
    """Returns the first words, and the number of the others."""
    more = [f"{len(words) - _SHOWN} more"] if len(words) > _SHOWN else []
    return ", ".join([*words[:_SHOWN], *more])


def signed(difference: float) -> str:
    """Returns a difference with its sign and one digit, never as -0.0."""
    return f"{round(difference, 1) + 0.0:+.1f}"


def load_json(text: str | bytes) -> Any:
    """Returns the values in JSON.

    Raises:
        ValueError: If it is no JSON, or its values are nested too deeply to be read.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("its values are nested too deeply") from None


def load_yaml(text: str) -> Any:
    """Returns the plain values in a YAML file, without the others that PyYAML's safe loader would need memory for.

    Raises:
        yaml.YAMLError: If it is no YAML of plain values, is too long, too deep, or has aliases that repeat too much.
    """
    if len(text) > _LONGEST_YAML:
        raise yaml.YAMLError(f"it has more than {_LONGEST_YAML >> 20} MiB")
    with yaml_faults():
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        if node is None:
            return None
        if _nodes(node, {}) > _MOST_NODES:
            raise yaml.YAMLError("its aliases stand for more values than are read")
        return loader.construct_document(node)


def _nodes(node: yaml.Node, counted: dict[int, int]) -> int:
    """Returns the number of values in a node, those of aliases as often as they stand there; of one in itself, many."""
    if not isinstance(node, yaml.CollectionNode):
        return 1
    if id(node) not in counted:
        counted[id(node)] = _MOST_NODES + 1  # until it is known: it may hold itself
        inner = node.value if isinstance(node, yaml.SequenceNode) else [part for pair in node.value for part in pair]
        counted[id(node)] = 1 + sum(_nodes(part, counted) for part in inner)
    return counted[id(node)]


def reason_of(error: BaseException) -> str:
    """Returns the first line of another program's error message, or the name of its type if it has none."""
    text = _TENSORFLOW_OPERATION.sub("", str(getattr(error, "strerror", None) or error)).strip()
    return (text or type(error).__name__).splitlines()[0][:200]


def csv_rows(source: object, lines: Iterable[str], delimiter: str = ",") -> list[list[str]]:
    """Returns the rows of a table; blanks before a field do not count.

    Args:
        source: The file, for the error message.
        lines: Its lines.
        delimiter: What stands between two fields.

    Raises:
        UserError: If it is no table: a quote is not closed for 100,000 letters.
    """
    try:
        return list(csv.reader(lines, delimiter=delimiter, skipinitialspace=True))
    except csv.Error as error:
        raise UserError(f"{source}: is no table ({error}); save it again") from None


@contextlib.contextmanager
def yaml_faults() -> Iterator[None]:
    """Raises yaml.YAMLError for all that PyYAML raises: errors of functions that make values of texts, too."""
    try:
        yield
    except (AttributeError, LookupError, TypeError):
        raise yaml.YAMLError("a value is not what its tag says") from None
    except RecursionError:
        raise yaml.YAMLError("it is nested too deeply") from None
    except (ArithmeticError, ValueError) as error:
        raise yaml.YAMLError(f"a value cannot be read: {reason_of(error)}") from None


def require_plain_compression(archive: zipfile.ZipFile) -> None:
    """Raises ValueError if a member is packed otherwise than by deflate: LZMA takes as much memory as a member asks."""
    for member in archive.infolist():
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ValueError(f"its {member.filename[:40]!r} is packed in a way that is not read; save it anew")


def json_bytes(value: object) -> bytes:
    """Returns a value as a line of JSON; what of its text is no Unicode, as in some file names, by JSON's escapes."""
    return (json.dumps(value, ensure_ascii=False) + "\n").encode(errors="backslashreplace")


def by_suffix(files: Iterable[str | Path]) -> str:
    """Returns how many files have each suffix, such as "3 .heic and 1 .gif"; the most frequent of them first."""
    counts = collections.Counter(PurePath(file).suffix.lower() or "without suffix" for file in files)
    texts = [f"{count} {suffix}" for suffix, count in counts.most_common(_SHOWN_SUFFIXES)]
    if (more := len(counts) - _SHOWN_SUFFIXES) > 0:
        texts.append(f"{more} kinds more")
    return " and ".join([", ".join(texts[:-1]), texts[-1]] if len(texts) > 1 else texts)


def may_be_path(text: object) -> bool:
    """Returns whether the system takes a text as a path: of letters that it can write, and not too long."""
    if not isinstance(text, str) or not text or "\0" in text or len(text) > _LONGEST_PATH:
        return False
    try:
        return max(len(os.fsencode(part)) for part in text.replace("\\", "/").split("/")) <= _LONGEST_NAME
    except UnicodeEncodeError:
        return False
