"""Reading pairs inside a `tf.data` graph."""

from __future__ import annotations

import functools
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from keras_fcn.datasets import Pairs
from keras_fcn.errors import DataError
from keras_fcn.images.photos import is_plain_jpeg, read_image
from keras_fcn.images.windows import is_window, read_pixels, read_window
from keras_fcn.pipeline.palette_png import decode_indices, has_palette_of
from keras_fcn.pipeline.source import Pair, Source, whole

PAIR_FAULT = "unreadable pair"
"""Stands before a pair's index in TensorFlow's error."""

_START = 4096
"""Bytes at the start of a file that tell, with its size, whether it is what it was: EXIF data begin there."""


class Reader:
    """Reads pairs inside a `tf.data` graph.

    TensorFlow decodes most files exactly as Pillow does, and without Python's global lock. The headers, which the
    constructor reads, tell for which files this holds; Pillow and others decode the rest, and what has changed since.

    Args:
        pairs: The pairs to read.
    """

    def __init__(self, pairs: Pairs) -> None:
        self._pairs, self._stored = pairs, pairs.stored_classes or pairs.classes
        paths = list(zip(pairs.images, pairs.labels))
        ways = [self._way(*pair) for pair in paths]
        self._paths = tf.constant([[os.fsencode(path) for path in pair] for pair in paths])
        self._ways = tf.constant(ways)
        self._fingerprints = tf.constant(_fingerprints_of([pair[: max(1, way)] for pair, way in zip(paths, ways)]))
        sizes = {path: read_window(path).size for path in dict.fromkeys(pairs.images) if is_window(path)}
        self._sizes = tf.constant([sizes.get(path, (0, 0)) for path in pairs.images]) if sizes else None

    def __call__(self, index: tf.Tensor) -> Pair:
        """Decodes pair `index` to an image uint8 [H, W, 3] and its label uint8 [H, W]; their sizes are equal."""
        ways = (self._decode_by_pillow, self._decode_image, self._decode_both)
        return _checked(index, *tf.switch_case(self._ways[index], [functools.partial(way, index) for way in ways]))

    def source(self, index: tf.Tensor) -> Source:
        """Returns pair `index` decoded, or, of a window, where its parts are read from."""
        if self._sizes is None:
            return whole(*self(index))
        size = self._sizes[index]
        is_large = size[0] > 0
        decoded = tf.cond(is_large, _nothing, lambda: self(index))

        def part(start: tf.Tensor, size: tf.Tensor) -> Pair:
            box = tf.concat([start, start + size], axis=0)
            read = functools.partial(self._read_part, index, box)
            return _checked(index, *tf.cond(is_large, read, lambda: whole(*decoded).part(start, size)))

        return Source(tf.where(is_large, size, tf.shape(decoded[1])), part, is_large)

    def _way(self, image: Path, label: Path) -> int:
        """Returns how many files of a pair TensorFlow decodes as Pillow does: none, the image, or both."""
        if not is_plain_jpeg(image):
            return 0
        return 1 + (self._pairs.palette_means_colors and has_palette_of(label, self._stored))

    def _decode_image(self, index: tf.Tensor) -> Pair:
        file = tf.io.read_file(self._paths[index, 0])
        is_unchanged = self._is_unchanged(index, file)
        return tf.cond(
            is_unchanged, lambda: (_decode_jpeg(file), self._read_label(index)), lambda: self._decode_by_pillow(index)
        )

    def _decode_both(self, index: tf.Tensor) -> Pair:
        image, label = (tf.io.read_file(path) for path in tf.unstack(self._paths[index]))
        is_unchanged = self._is_unchanged(index, image, label)
        return tf.cond(
            is_unchanged,
            lambda: (_decode_jpeg(image), self._decode_label(label)),
            lambda: self._decode_by_pillow(index),
        )

    def _is_unchanged(self, index: tf.Tensor, *files: tf.Tensor) -> tf.Tensor:
        starts = [(tf.strings.substr(file, 0, _START), tf.as_string(tf.strings.length(file))) for file in files]
        return _hash(tf.strings.join([part for start in starts for part in start])) == self._fingerprints[index]

    def _decode_label(self, file: tf.Tensor) -> tf.Tensor:
        ids = decode_indices(file, self._stored)
        if self._pairs.label_ids:
            ids = tf.gather(tf.constant(self._pairs.label_ids, tf.uint8), tf.cast(ids, tf.int32))
        return ids

    def _read_label(self, index: tf.Tensor) -> tf.Tensor:
        @tf.autograph.experimental.do_not_convert  # plain Python, which autograph would make slower
        def read(index: np.ndarray) -> np.ndarray:
            try:
                return self._pairs.read_label(self._pairs.labels[index])
            except DataError:  # reported by `explain_failure`: Python must not raise in a thread of TensorFlow
                return np.zeros((0, 0), np.uint8)

        return tf.numpy_function(read, [index], tf.uint8)

    def _read_part(self, index: tf.Tensor, box: tf.Tensor) -> Pair:
        """Reads a part of a window: first row and column, last row and column + 1, int32 [4]."""

        @tf.autograph.experimental.do_not_convert
        def read(index: np.ndarray, box: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            try:
                image, label = (
                    read_pixels(paths[index], box.tolist()) for paths in (self._pairs.images, self._pairs.labels)
                )
                return image, label
            except DataError:
                return np.zeros((0, 0, 3), np.uint8), np.zeros((0, 0), np.uint8)

        image, label = tf.numpy_function(read, [index, box], [tf.uint8, tf.uint8])
        return image, label

    def _decode_by_pillow(self, index: tf.Tensor) -> Pair:
        @tf.autograph.experimental.do_not_convert
        def decode(index: np.ndarray) -> np.ndarray:
            try:
                return read_image(self._pairs.images[index])
            except DataError:
                return np.zeros((0, 0, 3), np.uint8)

        return tf.numpy_function(decode, [index], tf.uint8), self._read_label(index)


def _nothing() -> Pair:
    return tf.zeros([0, 0, 3], tf.uint8), tf.zeros([0, 0], tf.uint8)


def _checked(index: tf.Tensor, image: tf.Tensor, label: tf.Tensor) -> Pair:
    """Returns an image and its label; the graph fails if their sizes differ, or they could not be read."""
    image.set_shape([None, None, 3])
    label.set_shape([None, None])
    fits = tf.reduce_all(tf.shape(image)[:2] == tf.shape(label)) & (tf.size(label) > 0)
    with tf.control_dependencies([tf.debugging.Assert(fits, [PAIR_FAULT, tf.cast(index, tf.int32)])]):
        return tf.identity(image), tf.identity(label)


def _decode_jpeg(file: tf.Tensor) -> tf.Tensor:
    # INTEGER_ACCURATE gives the same pixels as Pillow; the default differs by up to 5 levels.
    return tf.io.decode_jpeg(file, channels=3, dct_method="INTEGER_ACCURATE")


def _fingerprints_of(pairs: Sequence[Sequence[Path]]) -> np.ndarray:
    """Returns a hash of the sizes and the first bytes of the files of each pair, int64 [N]."""

    def start(path: Path) -> bytes:
        with path.open("rb") as file:
            return file.read(_START) + str(os.fstat(file.fileno()).st_size).encode()

    some = range(0, len(pairs), 1000)  # not all at once: 10,000 pairs would take 80 MB
    parts = [_hash([b"".join(map(start, pair)) for pair in pairs[first : first + 1000]]) for first in some]
    return np.concatenate([np.zeros(0, np.int64), *parts])


def _hash(texts) -> tf.Tensor:
    return tf.strings.to_hash_bucket_fast(texts, tf.int64.max)
