"""Reading the size of a plain image file without TensorFlow's graph, whose call takes a millisecond and more."""

from __future__ import annotations

import struct
from typing import NamedTuple

from export.formats.graph.image_header import FileLimits
from keras_fcn.images.headers.effort import has_many_scans, has_many_texts

_TABLES = {0xFFC4, 0xFFC8, 0xFFCC}
"""The markers from 0xFFC0 to 0xFFCF that begin no frame (ITU T.81, table B.1)."""

_MOST_SEGMENTS = 100
"""The most segments of a JPEG, or chunks of a PNG, that are searched; `read_header` searches more."""


class PlainHeader(NamedTuple):
    """The header of a file without fault and without EXIF.

    Attributes:
        is_png: Whether it is a PNG; else it is a JPEG.
        height: Rows.
        width: Columns.
    """

    is_png: bool
    height: int
    width: int


def read_plain_header(data: bytes, limits: FileLimits) -> PlainHeader | None:
    """Reads the header of a file that has no fault and no EXIF orientation.

    Args:
        data: The file's bytes.
        limits: The limits of files, but for that of pixels.

    Returns:
        The header; None for any other file, for `export.formats.graph.image_header.read_header`.
    """
    is_png = data[:8] == b"\x89PNG\r\n\x1a\n" and data[12:16] == b"IHDR" and len(data) >= 24
    if is_png and not has_many_texts(data, limits.max_texts):
        width, height = struct.unpack_from(">ii", data, 16)
        return PlainHeader(True, height, width) if height > 0 and width > 0 and _is_without_exif(data) else None
    if data[:3] == b"\xff\xd8\xff" and not has_many_scans(data, limits.max_scans):
        return _read_jpeg(data)
    return None


def _is_without_exif(png: bytes) -> bool:
    """Returns whether a PNG surely has no EXIF data in front of its pixels."""
    position = 8
    for _ in range(_MOST_SEGMENTS):
        if position + 8 > len(png):
            return True
        length, kind = struct.unpack_from(">I4s", png, position)
        if kind in (b"IDAT", b"eXIf"):
            return kind == b"IDAT"
        position += 12 + length
    return False


def _read_jpeg(data: bytes) -> PlainHeader | None:
    position = 2
    for _ in range(_MOST_SEGMENTS):
        if position + 9 > len(data):
            break
        marker, length = struct.unpack_from(">HH", data, position)
        if 0xFFC0 <= marker <= 0xFFCF and marker not in _TABLES:
            height, width = struct.unpack_from(">HH", data, position + 5)
            return PlainHeader(False, height, width) if height > 0 and width > 0 else None
        is_segment = marker in _TABLES or 0xFFDB <= marker < 0xFFFF
        if not is_segment or length < 2 or data[position + 4 : position + 10] == b"Exif\0\0":
            return None
        position += 2 + length
    return None
