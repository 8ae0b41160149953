"""Reading the header of a JPEG or PNG inside the graph, before pixels are decoded."""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

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
from export.formats.graph.effort import has_many_scans, has_many_texts
from keras_fcn.images.headers.effort import MOST_SEGMENTS

_MOST_ENTRIES = 512
"""The most entries of an EXIF directory that are searched for the orientation."""


class ImageHeader(NamedTuple):
    """The header of an image file; all attributes are scalars.

    Attributes:
        is_png: Whether it is a PNG; else it is a JPEG, if it has no fault.
        height: Rows by the header, int32, 0 if unknown.
        width: Columns, likewise.
        orientation: EXIF orientation, 1 to 8 (Exif 2.32, 4.6.4), 1 if unknown; a PNG's if it is in front of the pixels.
        fault: The file's fault as a message, empty if none was found.
    """

    is_png: tf.Tensor
    height: tf.Tensor
    width: tf.Tensor
    orientation: tf.Tensor
    fault: tf.Tensor


def read_header(data: tf.Tensor, limits: FileLimits) -> ImageHeader:
    """Reads and checks the header of a file.

    Args:
        data: The file's bytes, a string scalar.
        limits: The limits of a file.
    """
    is_png, is_jpeg = _starts(data, PNG), _starts(data, JPEG)
    height, width, orientation = tf.cond(is_png, lambda: _read_png(data), lambda: _read_jpeg(data, is_jpeg))
    claimed = tf.cast(height, tf.int64) * tf.cast(width, tf.int64)
    size = tf.strings.join(["claims ", tf.as_string(height), " x ", tf.as_string(width), " pixels"])
    faults = [
        (tf.strings.length(data) == 0, EMPTY),
        *((_is_any(data, marks), other_format(name)) for name, marks in OTHERS.items()),
        (~is_png & ~is_jpeg, NEITHER),
        ((height <= 0) | (width <= 0), WITHOUT_SIZE),
        (claimed > limits.max_pixels, size + exceeds("pixels", limits.max_pixels)),
        (has_many_scans(tf.where(is_jpeg, data, ""), limits.max_scans), many("scans", limits.max_scans)),
        (has_many_texts(tf.where(is_png, data, ""), limits.max_texts), many("texts", limits.max_texts)),
    ]
    fault = tf.constant("")
    for is_present, message in reversed(faults):
        fault = tf.where(is_present, message, fault)
    return ImageHeader(is_png, height, width, orientation, fault)


def _read_png(data: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Returns height, width and orientation; sizes beyond int32 are negative (PNG specification, 11.2.1)."""
    is_header = _piece(data, 12, 4) == b"IHDR"
    height, width = _number(data, 20, tf.int32), _number(data, 16, tf.int32)

    # The loop's state are scalars int32: position of the next chunk, 0 at the end of the search, and of the eXIf chunk.
    def is_searching(position: tf.Tensor, exif: tf.Tensor) -> tf.Tensor:
        return (position > 0) & (exif == 0)

    def step(position: tf.Tensor, exif: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        length, kind = _number(data, position, tf.int32), _piece(data, position + 4, 4)
        is_last = (kind == b"IDAT") | (kind == b"") | (length < 0)
        return tf.where(is_last, 0, position + 12 + length), tf.where(kind == b"eXIf", position, exif)

    start = (tf.where(is_header, 8, 0), tf.constant(0))
    _, exif = tf.while_loop(is_searching, step, start, maximum_iterations=MOST_SEGMENTS)
    # Before the data: a length of 4 bytes and the kind of the chunk.
    tiff = _piece(data, exif + 8, tf.maximum(_number(data, exif, tf.int32), 0))
    orientation = tf.cond(exif > 0, lambda: _read_orientation(tiff), lambda: tf.constant(1))
    return tf.where(is_header, height, 0), tf.where(is_header, width, 0), orientation


def _read_jpeg(data: tf.Tensor, is_jpeg: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Returns height, width and orientation, from the first frame header and EXIF segment (ITU T.81, annex B)."""

    # The loop's state are scalars int32: position of the next marker, 0 at the end of the search; and positions of the
    # frame header's marker and of the EXIF segment's marker, 0 until they are found.
    def is_searching(position: tf.Tensor, frame: tf.Tensor, exif: tf.Tensor) -> tf.Tensor:
        return (position > 0) & (frame == 0)

    def step(position: tf.Tensor, frame: tf.Tensor, exif: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        marker, length = _number(data, position), _number(data, position + 2)
        is_table = (marker == 0xFFC4) | (marker == 0xFFC8) | (marker == 0xFFCC)
        # Scans, restarts and bytes that are no marker may not precede the first frame: they end the search.
        is_frame = (marker >= 0xFFC0) & (marker <= 0xFFCF) & ~is_table
        is_segment = (is_table | (marker >= 0xFFDB) & (marker < 0xFFFF)) & (length >= 2)
        is_exif = (marker == 0xFFE1) & (exif == 0) & (_piece(data, position + 4, 6) == b"Exif\0\0")
        after = tf.where(marker == 0xFFFF, position + 1, tf.where(is_segment, position + 2 + length, 0))
        return after, tf.where(is_frame, position, frame), tf.where(is_exif, position, exif)

    start = (tf.where(is_jpeg, 2, 0), tf.constant(0), tf.constant(0))
    _, frame, exif = tf.while_loop(is_searching, step, start, maximum_iterations=MOST_SEGMENTS)
    # After the marker: a length of 2 bytes, a precision of 1, then height and width.
    height, width = (tf.where(frame > 0, _number(data, frame + offset), 0) for offset in (5, 7))
    # Before the data: the marker, a length of 2 bytes, which counts these, too, and "Exif\0\0".
    tiff = _piece(data, exif + 10, tf.maximum(_number(data, exif + 2) - 8, 0))
    return height, width, tf.cond(exif > 0, lambda: _read_orientation(tiff), lambda: tf.constant(1))


def _read_orientation(tiff: tf.Tensor) -> tf.Tensor:
    """Returns the orientation in EXIF data as `keras_fcn.images.headers.orientation.exif_orientation` does."""
    is_little, is_big = _starts(tiff, b"II"), _starts(tiff, b"MM")

    def number(position: tf.Tensor | int, kind: tf.DType = tf.uint16) -> tf.Tensor:
        return tf.where(is_little, _number(tiff, position, kind, little=True), _number(tiff, position, kind))

    offset, size = number(4, tf.int32), tf.strings.length(tiff)
    directory = tf.where((offset < 0) | (offset > size), size, offset)
    entries = _piece(tiff, directory + 2, 12 * tf.minimum(number(directory), _MOST_ENTRIES))
    # Entries of 12 bytes, [entries, 6] numbers of 16 bits: tag, kind, count (2), value (2; a short one in the first).
    # Both byte orders are decoded, as `decode_raw` takes the order from Python and not from a tensor.
    whole = tf.strings.substr(entries, 0, tf.strings.length(entries) // 12 * 12)
    fields = [tf.reshape(tf.io.decode_raw(whole, tf.uint16, little_endian=little), (-1, 6)) for little in (True, False)]
    tag, kind, _, _, value, _ = tf.unstack(tf.cast(tf.where(is_little, *fields), tf.int32), axis=1)
    found = tf.boolean_mask(value, (tag == 0x0112) & (kind == 3))  # 3: an integer of 16 bits
    orientation = tf.concat([found, [1]], axis=0)[0]
    is_known = (is_little | is_big) & (orientation >= 1) & (orientation <= 8)
    return tf.where(is_known, orientation, 1)


def _starts(data: tf.Tensor, with_bytes: bytes) -> tf.Tensor:
    return _piece(data, 0, len(with_bytes)) == with_bytes


def _is_any(data: tf.Tensor, marks: list[tuple[int, bytes]]) -> tf.Tensor:
    return tf.reduce_any([_piece(data, position, len(mark)) == mark for position, mark in marks])


def _piece(data: tf.Tensor, position: tf.Tensor | int, length: tf.Tensor | int) -> tf.Tensor:
    """Returns up to `length` bytes from `position`, fewer where the string ends."""
    return tf.strings.substr(data, tf.clip_by_value(position, 0, tf.strings.length(data)), length)


def _number(data: tf.Tensor, position: tf.Tensor | int, kind: tf.DType = tf.uint16, little: bool = False) -> tf.Tensor:
    """Returns the integer at `position` as int32; bytes beyond the end of the string count as zeros."""
    piece = _piece(data, position, kind.size)
    decoded = tf.io.decode_raw(piece, kind, little_endian=little, fixed_length=kind.size)
    return tf.cast(decoded[0], tf.int32)
