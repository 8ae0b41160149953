"""Decoding the indices of a palette PNG in TensorFlow, whose own decoder gives only colours.

The compressed pixels of an 8-bit palette PNG and of an 8-bit grey PNG are the same: only the header's colour type
differs, and there is no palette (PNG specification, sections 11.2.1 and 11.2.2).
"""

from __future__ import annotations

import functools
import zlib
from pathlib import Path

import tensorflow as tf

from keras_fcn.errors import DataError
from keras_fcn.images.classes import ClassTable

_SIZE_END, _CRC, _HEADER_END = 24, 29, 33  # signature, IHDR with width and height | depth ... | CRC | first chunk
_PALETTE_TYPE = bytes([8, 3, 0, 0, 0])  # depth, colour type, compression, filter, not interlaced
_GREY_TYPE = bytes([8, 0, 0, 0, 0])
_BYTES = [bytes([value]) for value in range(256)]


@functools.lru_cache(maxsize=8)
def _palette_chunk(classes: ClassTable) -> bytes:
    content = b"PLTE" + classes.palette().tobytes()
    return (len(content) - 4).to_bytes(4, "big") + content + zlib.crc32(content).to_bytes(4, "big")


def _crc_difference() -> list[int]:
    """Returns the change of the header's CRC with the colour type, which is the same for every width and height."""
    palette, grey = (zlib.crc32(b"IHDR" + bytes(8) + kind) for kind in (_PALETTE_TYPE, _GREY_TYPE))
    return list((palette ^ grey).to_bytes(4, "big"))


def has_palette_of(path: Path, classes: ClassTable) -> bool:
    """Returns whether a file is an 8-bit palette PNG with exactly the palette of `write_label`.

    Raises:
        DataError: If the file cannot be read.
    """
    chunk = _palette_chunk(classes)
    try:
        with path.open("rb") as file:
            start = file.read(_HEADER_END + len(chunk))
    except OSError as error:
        raise DataError("undecodable file", f"{path}: cannot be read ({error.strerror})") from None
    return start[_SIZE_END:_CRC] == _PALETTE_TYPE and start[_HEADER_END:] == chunk


def decode_indices(png: tf.Tensor, classes: ClassTable) -> tf.Tensor:
    """Decodes a file for which `has_palette_of` was true; the graph fails with InvalidArgumentError if it no longer is.

    Args:
        png: The file's bytes, a string scalar.
        classes: The classes of the palette.

    Returns:
        The palette's indices, uint8 [H, W].
    """
    chunk = _palette_chunk(classes)
    is_as_it_was = tf.strings.substr(png, _HEADER_END, len(chunk)) == chunk
    with tf.control_dependencies([tf.debugging.Assert(is_as_it_was, ["the palette has changed"])]):
        crc = tf.bitwise.bitwise_xor(tf.io.decode_raw(tf.strings.substr(png, _CRC, 4), tf.uint8), _crc_difference())
    parts = [
        tf.strings.substr(png, 0, _SIZE_END),
        tf.constant(_GREY_TYPE),
        tf.strings.reduce_join(tf.gather(_BYTES, tf.cast(crc, tf.int32))),
        tf.strings.substr(png, _HEADER_END + len(chunk), 1 << 30),
    ]
    return tf.squeeze(tf.io.decode_png(tf.strings.join(parts), channels=1), axis=-1)
