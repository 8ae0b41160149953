"""What a file's structure tells of the work of decoding it, in the graph: as `keras_fcn.images.headers.effort` does."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from keras_fcn.images.headers.effort import MOST_SEGMENTS, SCAN, TEXTS

_SCAN, _END = 0xDA, 0xD9


def has_many_texts(data: tf.Tensor, most: int) -> tf.Tensor:
    """Returns whether a PNG, a string scalar, has more than `most` chunks of compressed text."""
    return _exceeds(data, TEXTS, most)


def has_many_scans(data: tf.Tensor, most: int) -> tf.Tensor:
    """Returns whether a JPEG, a string scalar, has more than `most` scans, or too many segments to tell."""
    return tf.cond(_exceeds(data, (SCAN,), most), lambda: _has_many_scans(data, most), lambda: tf.constant(False))


def _exceeds(data: tf.Tensor, words: Sequence[bytes], most: int) -> tf.Tensor:
    """Returns whether words occur more than `most` times."""
    counts = [tf.size(tf.strings.split(data, word, maxsplit=most + 1)) - 1 for word in words]
    return tf.add_n(counts) > most


def _has_many_scans(data: tf.Tensor, most: int) -> tf.Tensor:
    """Goes from segment to segment, over what is between them; only bytes of whole segments are no markers."""
    values = tf.cast(tf.io.decode_raw(data, tf.uint8), tf.int32)
    codes = values[1:]
    # Those that begin a segment, and the end: neither stuffed bytes nor restarts.
    is_marker = (values[:-1] == 0xFF) & (codes > 0x01) & (codes < 0xFF) & ((codes < 0xD0) | (codes > 0xD8))
    markers = tf.cast(tf.reshape(tf.where(is_marker), [-1]), tf.int32)
    past = tf.size(values)
    markers = tf.concat([markers, [past]], axis=0)
    values = tf.concat([values, [0xFF, _END, 0, 0]], axis=0)  # as if the image ended where the file does

    # The loop's state are scalars: the position from which the next marker is searched, the number of scans, and
    # whether the end was reached.
    def is_searching(position: tf.Tensor, scans: tf.Tensor, is_end: tf.Tensor) -> tf.Tensor:
        return ~is_end & (scans <= most)

    def step(position: tf.Tensor, scans: tf.Tensor, is_end: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        at = markers[tf.minimum(tf.searchsorted(markers, [position])[0], tf.size(markers) - 1)]
        code = values[at + 1]
        length = tf.where(at + 3 < past, values[tf.minimum(at + 2, past)] * 256 + values[tf.minimum(at + 3, past)], 0)
        return at + 2 + length, scans + tf.cast(code == _SCAN, tf.int32), code == _END

    start = (tf.constant(2), tf.constant(0), tf.constant(False))
    _, scans, is_end = tf.while_loop(is_searching, step, start, maximum_iterations=MOST_SEGMENTS)
    return ~is_end | (scans > most)
