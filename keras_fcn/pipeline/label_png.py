"""Decoding masks in TensorFlow: the values of grey PNGs, and the indices of those with a palette.

TensorFlow's own decoder gives the colours of a palette. The compressed pixels of an 8-bit palette PNG and of an 8-bit
grey PNG are the same: only the colour type in the header differs, and there is no palette (PNG specification, sections
11.2.1 and 11.2.2).
"""

from __future__ import annotations

import enum
import functools
import os
import zlib
from pathlib import Path

import tensorflow as tf

from keras_fcn.errors import DataError
from keras_fcn.images.classes import ClassTable

START = 4096
"""Bytes at the start of a file that tell, with its size, whether it is what it was: EXIF data begin there."""

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_END = b"\0\0\0\0IEND\xaeB`\x82"
_SIZE_END, _CRC, _HEADER_END = 24, 29, 33  # signature, IHDR with width and height | depth ... | CRC | first chunk
_PALETTE_TYPE = bytes([8, 3, 0, 0, 0])  # depth, colour type, compression, filter, not interlaced
_GREY_TYPE, _GREY_16_TYPE = bytes([8, 0, 0, 0, 0]), bytes([16, 0, 0, 0, 0])
_BYTES = [bytes([value]) for value in range(256)]


class Kind(enum.IntEnum):
    """What a label file is to TensorFlow."""

    OTHER = 0
    """It does not decode it as Pillow does, or not to what tells ids."""
    IDS = 1
    """An 8-bit palette PNG with exactly the palette of `write_label`: indices are ids."""
    INDICES = 2
    """An 8-bit palette PNG whose indices are values."""
    GREYS = 3
    """An 8-bit grey PNG."""
    GREYS_16 = 4
    """A 16-bit grey PNG."""


def kind_of(path: Path, classes: ClassTable, by_color: bool, by_value: bool, by_index: bool) -> Kind:
    """Returns what a label file is, by its start, and by its end whether it is whole.

    Args:
        path: The file.
        classes: The classes of `write_label`'s palette.
        by_color: Whether the colours of a palette tell ids.
        by_value: Whether the values of a grey file do.
        by_index: Whether the indices of a palette are such values, too.

    Raises:
        DataError: If the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            start = file.read(START)
            file.seek(max(file.seek(0, os.SEEK_END) - len(_END), 0))
            end = file.read()
    except OSError as error:
        raise DataError("undecodable file", f"{path}: cannot be read ({error.strerror})") from None
    if not start.startswith(_SIGNATURE) or b"IDAT" not in start or b"eXIf" in start:  # EXIF data may turn it
        return Kind.OTHER
    if end != _END:  # cut off after its pixels, which Pillow reads nevertheless
        return Kind.OTHER
    header = start[_SIZE_END:_CRC]
    if header == _PALETTE_TYPE and start[_HEADER_END + 4 : _HEADER_END + 8] == b"PLTE":
        if by_color and start[_HEADER_END:].startswith(_palette_chunk(classes)):
            return Kind.IDS
        return Kind.INDICES if by_index else Kind.OTHER
    if by_value and header in (_GREY_TYPE, _GREY_16_TYPE) and b"tRNS" not in start:
        return Kind.GREYS if header == _GREY_TYPE else Kind.GREYS_16
    return Kind.OTHER


@functools.lru_cache(maxsize=8)
def _palette_chunk(classes: ClassTable) -> bytes:
    content = b"PLTE" + classes.palette().tobytes()
    return (len(content) - 4).to_bytes(4, "big") + content + zlib.crc32(content).to_bytes(4, "big")


def _crc_difference() -> list[int]:
    """Returns the change of the header's CRC with the colour type, which is the same for every width and height."""
    palette, grey = (zlib.crc32(b"IHDR" + bytes(8) + kind) for kind in (_PALETTE_TYPE, _GREY_TYPE))
    return list((palette ^ grey).to_bytes(4, "big"))


def decode_greys(png: tf.Tensor, dtype: tf.DType = tf.uint8) -> tf.Tensor:
    """Decodes a file of the kinds `GREYS`, or `GREYS_16` if the type is uint16, to its values [H, W].

    Args:
        png: The file's bytes, a string scalar.
        dtype: uint8 or uint16.
    """
    return tf.squeeze(tf.io.decode_png(png, channels=1, dtype=dtype), axis=-1)


def decode_indices(png: tf.Tensor) -> tf.Tensor:
    """Decodes a file of the kinds `IDS` or `INDICES` to the indices of its palette, uint8 [H, W].

    Args:
        png: The file's bytes, a string scalar.
    """
    crc = tf.bitwise.bitwise_xor(tf.io.decode_raw(tf.strings.substr(png, _CRC, 4), tf.uint8), _crc_difference())
    length = tf.cast(tf.io.decode_raw(tf.strings.substr(png, _HEADER_END + 2, 2), tf.uint8), tf.int32)
    parts = [
        tf.strings.substr(png, 0, _SIZE_END),
        tf.constant(_GREY_TYPE),
        tf.strings.reduce_join(tf.gather(_BYTES, tf.cast(crc, tf.int32))),
        tf.strings.substr(
            png, _HEADER_END + 12 + 256 * length[0] + length[1], 1 << 30
        ),  # a chunk's length, type and CRC
    ]
    return decode_greys(tf.strings.join(parts))
