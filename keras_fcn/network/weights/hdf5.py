"""Checks that an HDF5 file of weights holds what it declares, before Keras takes memory for that."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any, BinaryIO

import h5py

from keras_fcn.errors import UserError

UNPACKED = 10
"""How many times its size a file may hold; trained weights can hardly be packed, zeros can."""

SPARE = 1 << 20
"""Bytes that it may hold beyond that."""

_DEEPEST = 50
_NUMBERS = (h5py.h5t.INTEGER, h5py.h5t.FLOAT, h5py.h5t.ENUM)


def mib(size: int) -> str:
    """Returns a number of bytes in MiB, for a line."""
    return f"{size / 2**20:,.1f} MiB"


def require_stored(file: Path | io.IOBase, size: int) -> None:
    """Adds up the arrays of an HDF5 file without reading them.

    Args:
        file: The file, or its path.
        size: Its size in bytes, or that of the archive that it lies in.

    Raises:
        UserError: If an array is of something else than numbers, packed or in another file, there are links to other
            files, or all arrays declare more than ten times the size.
        OSError: If it is no HDF5 file, or damaged.
    """
    declared = 0
    with h5py.File(file, "r") as weights:

        def add(name: bytes, entry: Any) -> None:
            nonlocal declared
            if name.count(b"/") >= _DEEPEST:
                raise UserError(f"holds more than {_DEEPEST} groups in each other, which no file of weights does")
            if entry.type == h5py.h5o.TYPE_DATASET:
                data = h5py.h5d.open(weights.id, name)
                kind = data.get_type()
                if kind.get_class() not in _NUMBERS:
                    raise UserError("holds texts or objects among its weights, which are arrays of numbers")
                stored = data.get_create_plist()
                if stored.get_nfilters():  # HDF5 unpacks a chunk before it looks how much it has to be
                    raise UserError("holds packed arrays, which may unpack to any size; save it without compression")
                if stored.get_external_count() or stored.get_layout() == h5py.h5d.VIRTUAL:
                    raise UserError("holds arrays that lie in other files; save it as one")
                declared += data.get_space().get_simple_extent_npoints() * kind.get_size()

        root = weights["/"]  # an error raised within its visit would be h5py's
        if root.id.links.visit(lambda name, link: link.type == h5py.h5l.TYPE_EXTERNAL or None, info=True):
            raise UserError("holds links to other files; save it as one")
        h5py.h5o.visit(weights.id, add, info=True)
    if declared > UNPACKED * size + SPARE:
        raise UserError(f"declares weights of {mib(declared)}, more than {UNPACKED} times its {mib(size)}")


class Member(io.RawIOBase):
    """A member of a zip archive that is not packed, as a file: `zipfile` reads from the start to go back.

    Args:
        file: The archive.
        member: The member, of `zipfile.ZIP_STORED`.
    """

    def __init__(self, file: BinaryIO, member: zipfile.ZipInfo) -> None:
        self._file, self._size, self._position = file, member.file_size, 0
        file.seek(member.header_offset)
        header = file.read(30)
        self._start = member.header_offset + 30 + sum(int.from_bytes(header[at : at + 2], "little") for at in (26, 28))

    def seekable(self) -> bool:
        """Returns True."""
        return True

    def readable(self) -> bool:
        """Returns True."""
        return True

    def tell(self) -> int:
        """Returns the position in the member."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Moves to a position, and returns it."""
        self._position = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        return self._position

    def readinto(self, buffer) -> int:
        """Fills a buffer as far as the member goes, and returns the number of bytes."""
        self._file.seek(self._start + self._position)
        content = self._file.read(max(0, min(len(buffer), self._size - self._position)))
        buffer[: len(content)] = content
        self._position += len(content)
        return len(content)
