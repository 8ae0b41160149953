"""JSON of any size, read entry by entry."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

_PIECE = 1 << 20
"""Bytes that are decoded at a time; more where an entry has more."""

_BLANKS = re.compile(r"[ \t\r\n]*")

Taker = Callable[[Any, int, int], None]
"""Takes an entry of a list, and where in the file it begins and ends, in bytes."""


def read_lists(path: Path, takers: Mapping[str, Taker]) -> set[str]:
    """Reads lists in the object that a JSON file is, and holds no more than an entry of them at a time.

    Args:
        path: The file, in UTF-8.
        takers: What takes the entries of the list of each key.

    Returns:
        The keys that are there, and lists.

    Raises:
        OSError: If it cannot be read.
        ValueError: If it is no JSON, or no object.
        RecursionError: If values are nested too deeply.
    """
    with path.open("rb") as file:
        pieces, found = _Pieces(file), set[str]()
        pieces.expect("{")
        more = pieces.next() != "}" or not pieces.expect("}")
        while more:
            key = pieces.value()[0]
            pieces.expect(":")
            if key in takers and pieces.next() == "[":
                found.add(key)
                _read_list(pieces, takers[key])
            else:
                pieces.value()
            more = pieces.expect(",}") == ","
        if pieces.next():
            raise ValueError("text after the object")
    return found


def _read_list(pieces: _Pieces, take: Taker) -> None:
    pieces.expect("[")
    more = pieces.next() != "]" or not pieces.expect("]")
    while more:
        take(*pieces.value())
        more = pieces.expect(",]") == ","


class _Pieces:
    """Reads values of JSON one after the other.

    Bytes are decoded as Latin-1, in which JSON's signs are what they are in UTF-8, and a letter is a byte.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._size = file, file.seek(0, 2)
        file.seek(0)
        self._place = 3 if file.read(3) == codecs.BOM_UTF8 else 0
        self._load(_PIECE)

    def _load(self, length: int) -> None:
        self._file.seek(self._place)
        self._text, self._start = self._file.read(length).decode("latin-1"), self._place

    def next(self) -> str:
        """Returns the next letter that is no blank; nothing at the end."""
        while True:
            end = _BLANKS.match(self._text, self._place - self._start).end()  # type: ignore[union-attr]
            self._place = self._start + end
            if end < len(self._text):
                return self._text[end]
            if self._place >= self._size:
                return ""
            self._load(_PIECE)

    def expect(self, letters: str) -> str:
        """Takes the next letter, which must be one of `letters`, and returns it."""
        letter = self.next()
        if not letter or letter not in letters:
            raise ValueError(f"{letter!r} instead of one of {letters}")
        self._place += 1
        return letter

    def value(self) -> tuple[Any, int, int]:
        """Returns the next value, and where it begins and ends."""
        self.next()
        length = _PIECE
        while True:
            start, is_rest = self._place - self._start, self._start + len(self._text) >= self._size
            try:
                value, end = json.JSONDecoder().raw_decode(self._text, start)
                if end < len(self._text) or is_rest:
                    break
            except (ValueError, RecursionError):
                if is_rest:
                    raise
            length *= 2
            self._load(length)
        text, place = self._text[start:end], self._place
        self._place = self._start + end
        return value if text.isascii() else json.loads(text.encode("latin-1")), place, self._place
