"""Reading and checking the header of an image file, before memory is taken for its pixels."""

from __future__ import annotations

from typing import NamedTuple

from export.formats.file_limits import (
    EMPTY,
    JPEG,
    NEITHER,
    OTHERS,
    PNG,
    WITHOUT_SIZE,
    FileLimits,
    exceeds,
    many,
    other_format,
)
from keras_fcn.images.headers.effort import MOST_SEGMENTS, has_many_scans, has_many_texts
from keras_fcn.images.headers.orientation import exif_orientation

_TABLES = {0xFFC4, 0xFFC8, 0xFFCC}
"""The markers from 0xFFC0 to 0xFFCF that begin no frame (ITU T.81, table B.1)."""


class BadImageError(ValueError):
    """A file that cannot be segmented, with its fault in one line for the client."""


class Header(NamedTuple):
    """The header of a file without a fault in it.

    Attributes:
        height: Rows of the upright image.
        width: Columns.
    """

    height: int
    width: int

    @property
    def pixels(self) -> int:
        """Height times width."""
        return self.height * self.width


def read_header(data: bytes, limits: FileLimits) -> Header:
    """Reads the header of a JPEG or PNG as `export.formats.graph.image_header.read_header` does in the graph.

    Raises:
        BadImageError: If the file is empty, neither JPEG nor PNG, has no readable size or exceeds a limit.
    """
    is_png = data.startswith(PNG)
    if not is_png and not data.startswith(JPEG):
        raise BadImageError(_other_fault(data))
    height, width, exif = _read_png(data) if is_png else _read_jpeg(data)
    if height <= 0 or width <= 0:
        raise BadImageError(WITHOUT_SIZE)
    if height * width > limits.max_pixels:
        raise BadImageError(f"claims {height} x {width} pixels{exceeds('pixels', limits.max_pixels)}")
    if not is_png and has_many_scans(data, limits.max_scans):
        raise BadImageError(many("scans", limits.max_scans))
    if is_png and has_many_texts(data, limits.max_texts):
        raise BadImageError(many("texts", limits.max_texts))
    return Header(width, height) if exif_orientation(exif) >= 5 else Header(height, width)


def _other_fault(data: bytes) -> str:
    for name, marks in OTHERS.items():
        if any(data.startswith(mark, position) for position, mark in marks):
            return other_format(name)
    return NEITHER if data else EMPTY


def _read_png(data: bytes) -> tuple[int, int, bytes]:
    """Returns height, width and EXIF data in front of the pixels; sizes beyond int32 are negative (PNG, 11.2.1)."""
    if data[12:16] != b"IHDR":
        return 0, 0, b""
    position, exif = 8, b""
    for _ in range(MOST_SEGMENTS):
        length, kind = _number(data, position, 4), data[position + 4 : position + 8]
        if kind == b"eXIf":
            exif = data[position + 8 : position + 8 + max(length, 0)]
        if kind in (b"IDAT", b"eXIf", b"") or length < 0:
            break
        position += 12 + length
    return _number(data, 20, 4), _number(data, 16, 4), exif


def _read_jpeg(data: bytes) -> tuple[int, int, bytes]:
    """Returns height, width and EXIF data, from the first frame header and EXIF segment (ITU T.81, annex B)."""
    position, exif = 2, b""
    for _ in range(MOST_SEGMENTS):
        marker, length = _number(data, position), _number(data, position + 2)
        if 0xFFC0 <= marker <= 0xFFCF and marker not in _TABLES:
            return _number(data, position + 5), _number(data, position + 7), exif
        if marker == 0xFFE1 and not exif and data[position + 4 : position + 10] == b"Exif\0\0":
            exif = data[position + 4 : position + 10 + max(length - 8, 0)]
        # Scans, restarts and bytes that are no marker may not precede the first frame: they end the search.
        if marker == 0xFFFF:
            position += 1
        elif (marker in _TABLES or 0xFFDB <= marker < 0xFFFF) and length >= 2:
            position += 2 + length
        else:
            break
    return 0, 0, b""


def _number(data: bytes, position: int, size: int = 2) -> int:
    """Returns the integer at a position, one of four bytes with its sign; bytes beyond the end count as zeros."""
    return int.from_bytes(data[position : position + size].ljust(size, b"\0"), "big", signed=size == 4)
