"""What was found in the files of a data set, remembered while they do not change."""

from __future__ import annotations

import contextlib
import contextvars
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from keras_fcn.system.files import content_digest, replaced_file
from keras_fcn.system.text import load_json

_BEGIN, _END = '{{"version": {}, "files": {{\n', "\n}}\n"
_TO_STAMP, _TO_DIGEST, _TO_FACTS, _LAST = '": ["', '", "', '", ', "]"
"""What stands in a line after a name, a stamp, a digest and the facts. JSON has a backslash before quotes in a text,
so that no name holds the first."""


class _File(NamedTuple):
    """What is known about a file.

    Attributes:
        stamp: Size in bytes, time in nanoseconds and inode; while all three stay, its content is taken for the same.
        digest: The `content_digest` of its content.
        facts: Its facts by kind, as JSON.
    """

    stamp: str
    digest: str
    facts: str = "{}"


class KnownFiles:
    """Facts about files, which follow from their contents alone.

    A file that has moved, or only has another time, is known by its content. Of a million files, each is some hundred
    bytes: a text, of which the facts are read when they are asked for.

    Args:
        version: The version of the programs that find the facts.
    """

    def __init__(self, version: str = "") -> None:
        self._version = version
        self._before: dict[str, str] = {}  # what was read of each file, its stamp first
        self._contents: dict[str, str] | None = None  # facts by digest, made once a file is not what it was
        self._files: dict[str, str] = {}  # those that were asked for, in the same form
        self._later: dict[str, str] = {}
        self._written: Path | None = None

    @classmethod
    def read(cls, path: Path, version: str) -> KnownFiles:
        """Reads what `write` wrote; nothing is known if there is no such file, or programs have changed."""
        known = cls(version)
        begin = _BEGIN.format(_as_json(version))
        with (
            contextlib.suppress(OSError, ValueError),
            path.open(encoding="utf-8", errors="surrogatepass", newline="\n") as file,
        ):
            if file.readline() == begin:
                known._before = dict(_read_line(line) for line in file if line not in ("\n", "}}\n"))
                known._written = path
        return known

    def write(self, path: Path) -> None:
        """Writes what is known about the files that were asked for, unless it is there.

        Raises:
            UserError: If the file cannot be written.
        """
        if path == self._written and path.is_file() and self._files == self._before:
            return
        with (
            replaced_file(path) as temporary,
            temporary.open("w", encoding="utf-8", errors="surrogatepass", newline="\n") as file,
        ):
            file.write(_BEGIN.format(_as_json(self._version)))
            between = ""
            for name, text in self._files.items():
                if _is_lasting(text):
                    file.write(f"{between}{_as_json(name)[:-1]}{_TO_STAMP}{text}{_LAST}")
                    between = ",\n"
            file.write(_END)

    def find(self, path: Path, kind: str, look: Callable[[], Any]) -> Any:
        """Returns a fact about a file.

        Args:
            path: The file.
            kind: The kind of fact; nothing is remembered of an empty one.
            look: Finds the fact, in the form of JSON; what it raises is not remembered.
        """
        return self.find_in(path, kind, look)[0]

    def find_in(self, path: Path, kind: str, look: Callable[[], Any]) -> tuple[Any, str]:
        """Returns a fact about a file, as `find` does, and the `content_digest` of the file."""
        if not kind:
            return look(), self.digest(path)
        file = self._file(path)
        fact = _facts(file).get(kind)
        return (self.put(path, kind, look()), self.digest(path)) if fact is None else (fact, file.digest)

    def get(self, path: Path, kind: str) -> Any:
        """Returns a fact about a file, None if it is not known."""
        return _facts(self._file(path)).get(kind)

    def put(self, path: Path, kind: str, fact: Any) -> Any:
        """Remembers a fact about a file, in the form of JSON and not None, and returns it."""
        file = self._file(path)
        facts = _as_json(_facts(file) | {kind: fact})
        self._files[_name(path)] = _as_text(file._replace(facts=facts))
        return fact

    def digest(self, path: Path) -> str:
        """Returns the `content_digest` of a file."""
        return self._file(path).digest

    def changed(self) -> list[str]:
        """Returns the files whose content is another than when they were asked for, or that are gone, each once.

        Only files with another size, time or inode are read.
        """
        found = []
        for name, text in self._files.items():
            stamp = _stamp(name)
            if not text.startswith(stamp + _TO_DIGEST) and stamp != self._later.get(name):
                self._later[name] = stamp
                found += [name] if content_digest(Path(name)) != _of_text(text).digest else []
        return found

    def _file(self, path: Path) -> _File:
        name = _name(path)
        stamp = _stamp(name)
        start = stamp + _TO_DIGEST
        text = self._files.get(name)
        if text is None or not text.startswith(start):
            text = self._before.get(name)
            if not stamp or text is None or not text.startswith(start):
                text = _as_text(self._read(path, stamp))
            self._files[name] = text
        return _of_text(text)

    def _read(self, path: Path, stamp: str) -> _File:
        """Returns a file that is not what it was, with the facts of a file of the same content."""
        digest = content_digest(path)
        if self._contents is None:
            before = map(_of_text, self._before.values())
            self._contents = {file.digest: file.facts for file in before}
        return _File(stamp, digest, self._contents.get(digest, "{}"))


def _name(path: Path) -> str:
    return str(path if path.is_absolute() else path.absolute())


def _stamp(name: str) -> str:
    """Returns the stamp of a file; nothing if it cannot be looked at."""
    try:
        status = os.stat(name)  # noqa: PTH116 - in a third of the time of making a path of it
    except OSError:
        return ""
    return f"{status.st_size} {status.st_mtime_ns} {status.st_ino}"


def _as_text(file: _File) -> str:
    return f"{file.stamp}{_TO_DIGEST}{file.digest}{_TO_FACTS}{file.facts}"


def _of_text(text: str) -> _File:
    stamp, _, rest = text.partition(_TO_DIGEST)
    digest, _, facts = rest.partition(_TO_FACTS)
    return _File(stamp, digest, facts)


def _is_lasting(text: str) -> bool:
    """Returns whether a file could be looked at and read."""
    file = _of_text(text)
    return bool(file.stamp and file.digest)


def _facts(file: _File) -> dict[str, Any]:
    """Returns the facts about a file; none if what was read of them is damaged."""
    if file.facts != "{}":
        with contextlib.suppress(ValueError):
            return load_json(file.facts)
    return {}


def _as_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _read_line(line: str) -> tuple[str, str]:
    """Returns a name and the text about the file.

    Raises:
        ValueError: If the line is damaged.
    """
    name, _, text = line.partition(_TO_STAMP)
    text = text.rstrip(",\n").removesuffix(_LAST)
    if not _is_lasting(text) or not text.endswith("}"):
        raise ValueError(line)
    return load_json(f'{name}"'), text


_CURRENT: contextvars.ContextVar[KnownFiles | None] = contextvars.ContextVar("known files", default=None)


@contextlib.contextmanager
def remembering(known: KnownFiles) -> Iterator[KnownFiles]:
    """Lets `known_files` return these while the block runs."""
    token = _CURRENT.set(known)
    try:
        yield known
    finally:
        _CURRENT.reset(token)


def known_files() -> KnownFiles:
    """Returns what is remembered in the thread that calls this, or new ones."""
    return remembered_files() or KnownFiles()


def remembered_files() -> KnownFiles | None:
    """Returns what is remembered in the thread that calls this; None outside of `remembering`."""
    return _CURRENT.get()
