"""Windows of decoded images and masks: small files that name a part of a file of pixels beside them.

A part is read in the time that its bytes take, however large the whole is, from the disk as well as from memory.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import math
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image

from keras_fcn.errors import DataError
from keras_fcn.images.pillow import named_in_errors

SUFFIX = ".window"
"""The end of a window's name."""

TILE = 128
"""Side of the squares that stand one after another in the file of pixels. A large image's rows lie far apart, and the
system reads more than it is asked for: a crop of 320x480 took 6.5 MB of the disk by rows, and takes 0.9 by squares."""


@dataclasses.dataclass(frozen=True)
class Window:
    """A part of an image or a mask.

    Attributes:
        content: What the whole image or mask is made of, as a digest.
        shape: The whole's shape, [H, W, 3] or [H, W].
        box: First row, first column, last row and last column + 1 of the part.
    """

    content: str
    shape: tuple[int, ...]
    box: tuple[int, int, int, int]

    @property
    def size(self) -> tuple[int, int]:
        """Returns height and width in pixels."""
        top, left, bottom, right = self.box
        return bottom - top, right - left

    def within(self, box: Sequence[int]) -> Window:
        """Returns a part of this one, whose box counts from its corner."""
        top, left = self.box[:2]
        first, before, last, after = map(int, box)
        return dataclasses.replace(self, box=(first + top, before + left, last + top, after + left))

    def path(self, folder: Path, name: str) -> Path:
        """Returns the file of this window in the folder of the whole's pixels, by the name of the image."""
        top, left, bottom, right = self.box
        return folder / f"{name}_{top}_{left}_{bottom - top}x{right - left}{SUFFIX}"

    def write(self, path: Path) -> None:
        """Writes the file of this window."""
        path.write_text(json.dumps(dataclasses.asdict(self)), encoding="utf-8")


def pixels_in(folder: Path) -> Path:
    """Returns the file of all pixels of an image or a mask, uint8, square by square."""
    return folder / "pixels"


def write_pixels(path: Path, parts: Iterable[np.ndarray]) -> tuple[tuple[int, ...], str]:
    """Writes the file of all pixels of an image or a mask.

    Args:
        path: The file.
        parts: Its rows from the first on, some at a time, uint8 [rows, W, 3] or [rows, W].

    Returns:
        The shape of all of them, and a digest, which does not depend on how many came at a time.
    """
    rows, digest, rest = 0, hashlib.sha256(), tuple[int, ...]()
    with path.open("wb") as file:
        for band in _bands(parts):
            digest.update(np.ascontiguousarray(band).data)
            rows, rest = rows + len(band), band.shape[1:]
            band = np.pad(band, [(0, TILE - len(band)), (0, -rest[0] % TILE), (0, 0)][: band.ndim])
            squares = band.reshape(TILE, -1, TILE, *rest[1:]).swapaxes(0, 1)
            file.write(np.ascontiguousarray(squares).data)
    return (rows, *rest), digest.hexdigest()


def _bands(parts: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """Yields `TILE` rows at a time, at last perhaps fewer."""
    rest = None
    for part in parts:
        rows = part if rest is None else np.concatenate([rest, part])
        full = len(rows) // TILE * TILE
        yield from (rows[top : top + TILE] for top in range(0, full, TILE))
        rest = rows[full:].copy()
    if rest is not None and len(rest):
        yield rest


def is_window(path: str | Path) -> bool:
    """Returns whether a file is a window, by its name."""
    return str(path).endswith(SUFFIX)


def read_window(path: str | Path) -> Window:
    """Reads what a window is a part of.

    Raises:
        DataError: If it cannot be read.
    """
    path = Path(path)
    with named_in_errors(path):
        content = json.loads(path.read_text(encoding="utf-8"))
        top, left, bottom, right = content["box"]
        return Window(content["content"], tuple(content["shape"]), (top, left, bottom, right))


def read_pixels(path: str | Path, box: Sequence[int] | None = None) -> np.ndarray:
    """Reads the pixels of a window, uint8 [h, w, 3] or, of a mask, [h, w].

    Args:
        path: The window.
        box: First row and column, last row and column + 1 of a part of it; all of it if not given.

    Raises:
        DataError: If they cannot be read.
    """
    return read_together([path], box)[0]


def read_together(paths: Sequence[str | Path], box: Sequence[int] | None = None) -> list[np.ndarray]:
    """Reads the same part of several windows, as `read_pixels` reads one.

    The system is asked for all of it at once, so that the disk does not wait from one row of squares to the next.
    """
    with contextlib.ExitStack() as stack:
        parts = []
        for path in map(Path, paths):
            stack.enter_context(named_in_errors(pixels_in(path.parent)))
            parts.append(_Part(path, box, stack.enter_context(pixels_in(path.parent).open("rb", buffering=0))))
        return [part.read() for part in parts]


class _Part:
    """A part of a window, whose squares the system is asked for; see `read_pixels`."""

    def __init__(self, path: Path, box: Sequence[int] | None, file: BinaryIO) -> None:
        window = read_window(path)
        self._box = top, left, bottom, right = (window if box is None else window.within(box)).box
        (height, width), self._channels = window.shape[:2], window.shape[2:]
        down, across = -(-height // TILE), -(-width // TILE)
        of_square = TILE * TILE * math.prod(self._channels)
        if os.fstat(file.fileno()).st_size != down * across * of_square:
            raise DataError("undecodable file", f"{pixels_in(path.parent)}: is cut off; remove it, it is made anew")
        self._first, count = left // TILE, -(-right // TILE) - left // TILE
        self._rows = range(top // TILE, -(-bottom // TILE))
        self._file, self._size = file, count * of_square
        self._offsets = [(row * across + self._first) * of_square for row in self._rows]
        if hasattr(os, "posix_fadvise"):  # not on macOS and Windows
            for offset in self._offsets:
                os.posix_fadvise(file.fileno(), offset, self._size, os.POSIX_FADV_WILLNEED)

    def read(self) -> np.ndarray:
        """Reads it, uint8 [h, w, ...]."""
        top, left, bottom, right = self._box
        found = np.empty((bottom - top, right - left, *self._channels), np.uint8)
        columns = slice(left - self._first * TILE, right - self._first * TILE)
        for row, offset in zip(self._rows, self._offsets):
            self._file.seek(offset)
            squares = np.frombuffer(self._file.read(self._size), np.uint8).reshape(-1, TILE, TILE, *self._channels)
            band = squares.swapaxes(0, 1).reshape(TILE, -1, *self._channels)
            begin, end = max(top, row * TILE), min(bottom, (row + 1) * TILE)
            found[begin - top : end - top] = band[begin - row * TILE : end - row * TILE, columns]
        return found


def copy_image(image: Path, folder: Path, name: str) -> str:
    """Copies an image into a folder: a file as it is, a window as a PNG.

    Args:
        image: The image.
        folder: The folder.
        name: Its name there without suffix; it may have folders, which are created.

    Returns:
        Its name there, with suffix.
    """
    named = f"{name}{'.png' if is_window(image) else image.suffix}"
    copy = folder / named
    copy.parent.mkdir(parents=True, exist_ok=True)
    if is_window(image):
        Image.fromarray(read_pixels(image)).save(copy)
    else:
        shutil.copyfile(image, copy)
    return named
