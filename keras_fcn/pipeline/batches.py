"""tf.data pipelines: read pairs from disk, decode, augment, batch and prefetch them."""

from __future__ import annotations

import contextlib
import functools
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from keras_fcn.datasets import Pairs, inspect_pairs
from keras_fcn.datasets.balance.rare import RarePositions
from keras_fcn.errors import DataError, UserError, argument
from keras_fcn.images.photos import is_plain_jpeg, read_image
from keras_fcn.images.windows import is_window, read_pixels, read_window
from keras_fcn.pipeline.augmentation import AUGMENT_FAULT, Augmentation
from keras_fcn.pipeline.near import near_rare
from keras_fcn.pipeline.palette_png import decode_indices, has_palette_of
from keras_fcn.system.machine import granted_cores

PARALLEL_READS = granted_cores()
"""Pairs decoded in parallel: the number of cores from the start, where autotuning would begin with one."""

_PAIR = "unreadable pair"
"""Stands before a pair's index in TensorFlow's error."""

_PART = 3
"""The way to read a window; those below are how many files of a pair TensorFlow decodes."""

_START = 4096
"""Bytes at the start of a file that tell, with its size, whether it is what it was: EXIF data begin there."""


def training_dataset(
    pairs: Pairs,
    augmentation: Augmentation,
    batch_size: int,
    seed: int,
    first_sample: int = 0,
    every: int = 1,
    rare: RarePositions | None = None,
) -> tf.data.Dataset:
    """Streams shuffled and augmented pairs without end.

    Sample i is in epoch i // len(pairs), and a function of the seed, the epoch and the pair alone: a stream that starts
    at `first_sample` continues like one that started at 0. Batches may span two epochs, so each is full.

    Args:
        pairs: The pairs to read.
        augmentation: The augmentation; images smaller than its crops are padded, with void in the label.
        batch_size: Samples per batch.
        seed: Seed of the order and the augmentation.
        first_sample: Index of the first sample.
        every: Distance between samples; each of `n` workers takes every n-th sample of the stream.
        rare: Positions of rare classes, around which a part of the crops is drawn; none if None.

    Returns:
        Batches of images uint8 [batch_size, height, width, 3] and labels uint8 [batch_size, height, width].
    """
    read, near = _Reader(pairs, augmentation.reach if rare is None else None), near_rare(rare)

    @tf.autograph.experimental.do_not_convert
    def load(sample: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        index = shuffled_index(sample, len(pairs), seed)
        drawn = sample - sample % len(pairs) + index  # as if each epoch were in order, as `augmented_dataset` is
        own_seed = tf.stack([seed, drawn])
        image, label = augmentation(*read(index, own_seed), own_seed, near(index, own_seed))
        return image, _require_classes(label, pairs.classes.num_classes)

    # The range never ends; repeat() gives the dataset infinite cardinality.
    samples = tf.data.Dataset.range(first_sample, tf.int64.max, every).repeat()
    loaded = samples.map(load, num_parallel_calls=PARALLEL_READS)
    options = tf.data.Options()
    options.experimental_optimization.map_and_batch_fusion = True  # samples are written into the batch without a copy
    options.autotune.enabled = False
    return loaded.batch(batch_size, drop_remainder=True).prefetch(2).with_options(options)


def augmented_dataset(
    pairs: Pairs, augmentation: Augmentation, batch_size: int, seed: int, passes: int,
    rare: RarePositions | None = None,
) -> tf.data.Dataset:  # fmt: skip
    """Streams augmented pairs in order, with another augmentation in each epoch.

    Args:
        pairs: The pairs to read.
        augmentation: The augmentation.
        batch_size: Samples per batch; the last batch may be smaller.
        seed: Seed of the augmentation.
        passes: Number of epochs.
        rare: As for `training_dataset`.

    Returns:
        Batches like those of `training_dataset`.
    """
    read, near = _Reader(pairs, augmentation.reach if rare is None else None), near_rare(rare)

    @tf.autograph.experimental.do_not_convert
    def load(sample: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        index, own_seed = sample % len(pairs), tf.stack([seed, sample])
        image, label = augmentation(*read(index, own_seed), own_seed, near(index, own_seed))
        return image, _require_classes(label, pairs.classes.num_classes)

    samples = tf.data.Dataset.range(len(pairs) * passes)
    return samples.map(load, num_parallel_calls=PARALLEL_READS).batch(batch_size).prefetch(2)


def shuffled_index(sample: tf.Tensor, count: int, seed: int) -> tf.Tensor:
    """Returns the index of the pair of a sample of the stream.

    Args:
        sample: The index of the sample, int64.
        count: Number of pairs.
        seed: Seed of the order.
    """
    passes, position = sample // count, sample % count
    return tf.random.experimental.index_shuffle(position, [seed, passes], count - 1)


def evaluation_dataset(pairs: Pairs) -> tf.data.Dataset:
    """Streams every pair once, uncropped and in order.

    Returns:
        Batches of size one: the image uint8 [1, H, W, 3] and its label uint8 [1, H, W], at their original size.
    """
    read = _Reader(pairs)

    @tf.autograph.experimental.do_not_convert
    def load(index: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        image, label = read(index)
        return image, _require_classes(label, pairs.classes.num_classes)

    decoded = tf.data.Dataset.range(len(pairs)).map(load, num_parallel_calls=PARALLEL_READS)
    return decoded.batch(1).prefetch(2)


@contextlib.contextmanager
def explain_failure(pairs: Pairs) -> Iterator[None]:
    """Turns TensorFlow's error about an unreadable pair into a `UserError` that names the file.

    Files are checked before training starts, but they may change during training.
    """
    try:
        yield
    except (tf.errors.InvalidArgumentError, tf.errors.NotFoundError, tf.errors.UnknownError) as error:
        if AUGMENT_FAULT in error.message:
            raise UserError(f"{argument('augment')} {AUGMENT_FAULT}; both must have the same one") from None
        index = re.search(rf"{_PAIR}\] \[(\d+)", error.message)
        affected = pairs.shard(int(index[1]), len(pairs)) if index else pairs
        inspect_pairs(affected).require_sound()
        if index:
            changed = f"{affected.images[0]} or its mask {affected.labels[0]}: changed while it was read"
            raise UserError(f"{changed}; leave the data as they are, and resume") from None
        raise


class _Reader:
    """Reads pairs inside a `tf.data` graph.

    TensorFlow decodes most files exactly as Pillow does, and without Python's global lock. The headers, which the
    constructor reads, tell for which files this holds; Pillow and others decode the rest, and what has changed since.

    Args:
        pairs: The pairs to read.
        reach: Height and width of the parts that are read of windows; all of a window if not given.
    """

    def __init__(self, pairs: Pairs, reach: tuple[int, int] | None = None) -> None:
        self._pairs, self._stored, self._reach = pairs, pairs.stored_classes or pairs.classes, reach
        paths = list(zip(pairs.images, pairs.labels))
        ways = [self._way(*pair) for pair in paths]
        self._paths = tf.constant([[os.fsencode(path) for path in pair] for pair in paths])
        self._ways = tf.constant(ways)
        self._fingerprints = tf.constant(_fingerprints_of([pair[: max(1, way)] for pair, way in zip(paths, ways)]))

    def __call__(self, index: tf.Tensor, seed: tf.Tensor | None = None) -> tuple[tf.Tensor, tf.Tensor]:
        """Decodes pair `index` to an image uint8 [H, W, 3] and its label uint8 [H, W]; their sizes are equal.

        Args:
            index: The index.
            seed: Integers [2], by which a part of a window is chosen.
        """
        ways = (self._decode_by_pillow, self._decode_image, self._decode_both)
        branches = [functools.partial(way, index) for way in ways]
        if seed is not None and self._reach is not None:
            branches.append(functools.partial(self._read_part, index, tf.random.stateless_uniform([2], seed)))
        image, label = tf.switch_case(self._ways[index], branches)
        image.set_shape([None, None, 3])
        label.set_shape([None, None])
        fits = tf.reduce_all(tf.shape(image)[:2] == tf.shape(label)) & (tf.size(label) > 0)
        with tf.control_dependencies([tf.debugging.Assert(fits, [_PAIR, tf.cast(index, tf.int32)])]):
            return tf.identity(image), tf.identity(label)

    def _way(self, image: Path, label: Path) -> int:
        """Returns how many files of a pair TensorFlow decodes as Pillow does, none, the image, or both; or `_PART`."""
        if is_window(image):
            return _PART if self._reach is not None else 0
        is_palette = self._pairs.palette_means_colors and has_palette_of(label, self._stored)
        return 1 + is_palette if is_plain_jpeg(image) else 0

    def _decode_image(self, index: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        file = tf.io.read_file(self._paths[index, 0])
        is_unchanged = self._is_unchanged(index, file)
        return tf.cond(
            is_unchanged, lambda: (_decode_jpeg(file), self._read_label(index)), lambda: self._decode_by_pillow(index)
        )

    def _decode_both(self, index: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
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

    def _read_part(self, index: tf.Tensor, place: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Reads a part of a window that is as large as what a crop is taken from.

        Args:
            index: The index of the pair.
            place: float32 [2], 0-1, of the part between top and bottom, and between left and right.
        """

        @tf.autograph.experimental.do_not_convert
        def read(index: np.ndarray, place: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            try:
                image, label = read_window(self._pairs.images[index]), self._pairs.read_label(self._pairs.labels[index])
                size = [min(length, most) for length, most in zip(image.size, self._reach or image.size)]
                top, left = (int(part * (have - taken + 1)) for part, have, taken in zip(place, image.size, size))
                box = top, left, top + size[0], left + size[1]
                return read_pixels(self._pairs.images[index], box), label[top : box[2], left : box[3]]
            except DataError:
                return np.zeros((0, 0, 3), np.uint8), np.zeros((0, 0), np.uint8)

        image, label = tf.numpy_function(read, [index, place], [tf.uint8, tf.uint8])
        return image, label

    def _decode_by_pillow(self, index: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        @tf.autograph.experimental.do_not_convert
        def decode(index: np.ndarray) -> np.ndarray:
            try:
                return read_image(self._pairs.images[index])
            except DataError:
                return np.zeros((0, 0, 3), np.uint8)

        return tf.numpy_function(decode, [index], tf.uint8), self._read_label(index)


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


def _require_classes(label: tf.Tensor, num_classes: int) -> tf.Tensor:
    """Returns the label; the graph fails with InvalidArgumentError if an id is neither a class nor void."""
    highest = tf.reduce_max(label + 1)  # void, 255, becomes 0
    with tf.control_dependencies([tf.debugging.Assert(highest <= num_classes, ["label"])]):
        return tf.identity(label)
