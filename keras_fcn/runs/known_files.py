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
_DECODER = json.JSONDecoder()


class _File(NamedTuple):
    """What is known about a file; as JSON, a list.

    Attributes:
        stamp: Size in bytes, time in nanoseconds and inode; while all three stay, its content is taken for the same.
        digest: The `content_digest` of its content.
        facts: Its facts by kind.
    """

    stamp: str
    digest: str
    facts: dict[str, Any]


class KnownFiles:
    """Facts about files, which follow from their contents alone.

    A file that has moved, or only has another time, is known by its content. Of a million files, each is some hundred
    bytes: a line of JSON, which is read when it is asked for.

    Args:
        version: The version of the programs that find the facts.
    """

    def __init__(self, version: str = "") -> None:
        self._version = version
        self._before: dict[str, str] = {}  # what was read of each file, as JSON
        self._contents: dict[str, str] | None = None  # the same by digest, made once a file is not what it was
        self._files: dict[str, str] = {}  # those that were asked for
        self._later: dict[str, str] = {}
        self._written: Path | None = None

    @classmethod
    def read(cls, path: Path, version: str) -> KnownFiles:
        """Reads what `write` wrote; nothing is known if there is no such file, or programs have changed."""
        known = cls(version)
        begin = _BEGIN.format(_as_json(version))
        with (
            contextlib.suppress(OSError, ValueError, TypeError),
            path.open(encoding="utf-8", errors="surrogatepass", newline="\n") as file,
        ):
            if file.readline() == begin:
                known._before = dict(_name_and_text(line) for line in file if line not in ("\n", "}}\n"))
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
                known = _of_text(text)
                if known and known.stamp and known.digest:  # it could be looked at and read
                    file.write(f"{between}{_as_json(name)}: {text}")
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
        fact = file.facts.get(kind)
        return (self.put(path, kind, look()), self.digest(path)) if fact is None else (fact, file.digest)

    def get(self, path: Path, kind: str) -> Any:
        """Returns a fact about a file, None if it is not known."""
        return self._file(path).facts.get(kind)

    def put(self, path: Path, kind: str, fact: Any) -> Any:
        """Remembers a fact about a file, in the form of JSON and not None, and returns it."""
        file = self._file(path)
        self._files[_name(path)] = _as_json(file._replace(facts=file.facts | {kind: fact}))
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
            if not text.startswith(_start(stamp)) and stamp != self._later.get(name):
                self._later[name] = stamp
                known = _of_text(text)
                found += [name] if known is None or content_digest(Path(name)) != known.digest else []
        return found

    def _file(self, path: Path) -> _File:
        name = _name(path)
        stamp = _stamp(name)
        for known in (self._files, self._before):
            text = known.get(name, "")
            if text.startswith(_start(stamp)) and (file := _of_text(text)):
                self._files[name] = text
                return file
        file = self._read(path, stamp)
        self._files[name] = _as_json(file)
        return file

    def _read(self, path: Path, stamp: str) -> _File:
        """Returns a file that is not what it was, with the facts of a file of the same content."""
        digest = content_digest(path)
        if self._contents is None:
            files = ((_of_text(text), text) for text in self._before.values())
            self._contents = {file.digest: text for file, text in files if file}
        same = _of_text(self._contents.get(digest, ""))
        return _File(stamp, digest, same.facts if same else {})


def _name(path: Path) -> str:
    return str(path if path.is_absolute() else path.absolute())


def _stamp(name: str) -> str:
    """Returns the stamp of a file; nothing if it cannot be looked at."""
    try:
        status = os.stat(name)  # noqa: PTH116 - in a third of the time of making a path of it
    except OSError:
        return ""
    return f"{status.st_size} {status.st_mtime_ns} {status.st_ino}"


def _start(stamp: str) -> str:
    """Returns what a file of a stamp begins with, as JSON."""
    return f'["{stamp}", "'


def _as_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _of_text(text: str) -> _File | None:
    """Returns what is known about a file; None if the JSON is damaged."""
    with contextlib.suppress(ValueError, TypeError):
        file = _File(*load_json(text))
        return file if isinstance(file.facts, dict) else None
    return None


def _name_and_text(line: str) -> tuple[str, str]:
    """Returns a name, and as JSON what is known about the file; raises ValueError if the line is damaged."""
    name, end = _DECODER.raw_decode(line)
    return name, line[end:].removeprefix(": ").rstrip(",\n")


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
