"""JSON of any size, read entry by entry."""

from __future__ import annotations

import codecs
import contextlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from keras_fcn.datasets.layouts.annotations.common.files import read_json
from keras_fcn.errors import UserError

_PIECE = 1 << 20
"""Bytes that are decoded at a time; more where an entry has more."""

_BLANKS = re.compile(r"[ \t\r\n]*")


@contextlib.contextmanager
def opened_json(path: Path) -> Iterator[Pieces]:
    """Opens a JSON file in UTF-8, which the block must read to its end.

    Raises:
        UserError: If it cannot be read, is no JSON, or not of the form that the block reads.
    """
    try:
        with path.open("rb") as file:
            pieces = Pieces(file)
            yield pieces
            if pieces.next():
                raise _OtherForm("more than one value")
    except UserError:
        raise
    except (OSError, _OtherForm, ValueError, RecursionError):
        read_json(path)  # says what is wrong, and where
        raise UserError(f"{path}: is JSON of another form; export it again") from None


class _OtherForm(Exception):  # noqa: N818 -- it does not leave this file
    """Another letter than the form of the file wants."""


class Pieces:
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

    def members(self) -> Iterator[str]:
        """Yields the keys of an object; the value of each must be read before the next."""
        self._expect("{")
        more = self.next() != "}" or not self._expect("}")
        while more:
            if self.next() != '"':
                raise _OtherForm("a key is no text")
            key = self.value()[0]
            self._expect(":")
            yield key
            more = self._expect(",}") == ","

    def entries(self) -> Iterator[tuple[Any, int, int]]:
        """Yields the entries of a list, each as `value` returns it."""
        self._expect("[")
        more = self.next() != "]" or not self._expect("]")
        while more:
            yield self.value()
            more = self._expect(",]") == ","

    def _expect(self, letters: str) -> str:
        """Takes the next letter, which must be one of `letters`, and returns it."""
        letter = self.next()
        if not letter or letter not in letters:
            raise _OtherForm(f"{letter!r} instead of one of {letters}")
        self._place += 1
        return letter

    def value(self) -> tuple[Any, int, int]:
        """Returns the next value, and where in the file it begins and ends, in bytes."""
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
