"""What was found in the files of a data set, remembered while they do not change."""

from __future__ import annotations

import contextlib
import contextvars
import dataclasses
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from keras_fcn.system.files import content_digest, replaced_file
from keras_fcn.system.text import load_json

Stamp = tuple[int, int, int]
"""Size in bytes, time in nanoseconds and inode of a file; while all three stay, its content is taken for the same."""


@dataclasses.dataclass
class _File:
    stamp: Stamp | None
    digest: str
    facts: dict[str, Any]


class KnownFiles:
    """Facts about files, which follow from their contents alone.

    A file that has moved, or only has another time, is known by its content.

    Args:
        version: The version of the programs that find the facts.
    """

    def __init__(self, version: str = "") -> None:
        self._version = version
        self._stamps: dict[str, list] = {}
        self._facts: dict[str, dict[str, Any]] = {}
        self._files: dict[str, _File] = {}
        self._later: dict[str, Stamp | None] = {}

    @classmethod
    def read(cls, path: Path, version: str) -> KnownFiles:
        """Reads what `write` wrote; nothing is known if there is no such file, or programs have changed."""
        known = cls(version)
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            content = load_json(path.read_text(encoding="utf-8", errors="surrogatepass"))
            if content["version"] == version:
                known._stamps, known._facts = dict(content["files"]), dict(content["contents"])
        return known

    def write(self, path: Path) -> None:
        """Writes what is known about the files that were asked for.

        Raises:
            UserError: If the file cannot be written.
        """
        files = {name: [*file.stamp, file.digest] for name, file in self._files.items() if file.stamp and file.digest}
        contents = {file.digest: file.facts for file in self._files.values() if file.digest}
        text = json.dumps({"version": self._version, "files": files, "contents": contents}, ensure_ascii=False)
        with replaced_file(path) as temporary:
            temporary.write_text(text, encoding="utf-8", errors="surrogatepass")

    def find(self, path: Path, kind: str, look: Callable[[], Any]) -> Any:
        """Returns a fact about a file.

        Args:
            path: The file.
            kind: The kind of fact; nothing is remembered of an empty one.
            look: Finds the fact, in the form of JSON; what it raises is not remembered.
        """
        if not kind:
            return look()
        fact = self.get(path, kind)
        return self.put(path, kind, look()) if fact is None else fact

    def get(self, path: Path, kind: str) -> Any:
        """Returns a fact about a file, None if it is not known."""
        return self._file(path).facts.get(kind)

    def put(self, path: Path, kind: str, fact: Any) -> Any:
        """Remembers a fact about a file, in the form of JSON and not None, and returns it."""
        self._file(path).facts[kind] = fact
        return fact

    def digest(self, path: Path) -> str:
        """Returns the `content_digest` of a file."""
        return self._file(path).digest

    def changed(self) -> list[str]:
        """Returns the files whose content is another than when they were asked for, or that are gone, each once.

        Only files with another size, time or inode are read.
        """
        found = []
        for name, file in self._files.items():
            stamp = _stamp(Path(name))
            if stamp not in (file.stamp, self._later.get(name, file.stamp)):
                self._later[name] = stamp
                found += [name] if content_digest(Path(name)) != file.digest else []
        return found

    def _file(self, path: Path) -> _File:
        name, stamp = str(path.absolute()), _stamp(path)
        file = self._files.get(name)
        if file is None or file.stamp != stamp:
            *before, digest = self._stamps.get(name, [""])
            if stamp is None or before != [*stamp]:
                digest = content_digest(path)
            file = self._files[name] = _File(stamp, digest, {**self._facts.get(digest, {})})
        return file


def _stamp(path: Path) -> Stamp | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns, status.st_ino


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
    return _CURRENT.get() or KnownFiles()
