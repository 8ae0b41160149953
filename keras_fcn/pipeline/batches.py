"""tf.data pipelines: read pairs from disk, decode, augment, batch and prefetch them."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tensorflow as tf

from keras_fcn.datasets import Pairs, inspect_pairs
from keras_fcn.errors import DataError
from keras_fcn.images.photos import is_plain_jpeg, read_image
from keras_fcn.pipeline.augmentation import Augmentation
from keras_fcn.pipeline.palette_png import decode_indices, has_palette_of

PARALLEL_READS = os.cpu_count() or 1
"""Pairs decoded in parallel: the number of cores from the start, where autotuning would begin with one."""


def training_dataset(
    pairs: Pairs, augmentation: Augmentation, batch_size: int, seed: int, first_sample: int = 0, every: int = 1
) -> tf.data.Dataset:
    """Streams shuffled and augmented pairs without end.

    Every sample is a function of the seed, the epoch and the pair alone. Sample i of the stream is in epoch
    i // len(pairs), and each epoch has its own order. So a stream that starts at `first_sample` continues exactly like
    one that started at 0. Batches may span two epochs, so no pair is dropped and every batch is full.

    Args:
        pairs: The pairs to read.
        augmentation: The augmentation; images smaller than its crops are padded, with void in the label.
        batch_size: Samples per batch.
        seed: Seed of the order and the augmentation.
        first_sample: Index of the first sample.
        every: Distance between samples; each of `n` workers takes every n-th sample of the stream.

    Returns:
        Batches of images uint8 [batch_size, height, width, 3] and labels uint8 [batch_size, height, width].
    """
    read = _Reader(pairs)

    @tf.autograph.experimental.do_not_convert
    def load(sample: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        index = shuffled_index(sample, len(pairs), seed)
        drawn = sample - sample % len(pairs) + index  # as if each epoch were in order, as `augmented_dataset` is
        image, label = augmentation(*read(index), tf.stack([seed, drawn]))
        return image, _require_classes(label, pairs.classes.num_classes)

    # The range never ends; repeat() gives the dataset infinite cardinality.
    samples = tf.data.Dataset.range(first_sample, tf.int64.max, every).repeat()
    loaded = samples.map(load, num_parallel_calls=PARALLEL_READS)
    options = tf.data.Options()
    options.experimental_optimization.map_and_batch_fusion = True  # samples are written into the batch without a copy
    options.autotune.enabled = False
    return loaded.batch(batch_size, drop_remainder=True).prefetch(2).with_options(options)


def augmented_dataset(
    pairs: Pairs, augmentation: Augmentation, batch_size: int, seed: int, passes: int
) -> tf.data.Dataset:
    """Streams augmented pairs in order, with another augmentation in each epoch.

    Args:
        pairs: The pairs to read.
        augmentation: The augmentation.
        batch_size: Samples per batch; the last batch may be smaller.
        seed: Seed of the augmentation.
        passes: Number of epochs.

    Returns:
        Batches like those of `training_dataset`.
    """
    read = _Reader(pairs)

    @tf.autograph.experimental.do_not_convert
    def load(sample: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        image, label = augmentation(*read(sample % len(pairs)), tf.stack([seed, sample]))
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
    except (tf.errors.InvalidArgumentError, tf.errors.NotFoundError, tf.errors.UnknownError):
        inspect_pairs(pairs).require_sound()
        raise


class _Reader:
    """Reads pairs inside a `tf.data` graph.

    TensorFlow decodes most files exactly as Pillow does, and without Python's global lock. The headers, which the
    constructor reads, tell for which files this holds; Pillow decodes the others.

    Args:
        pairs: The pairs to read.
    """

    def __init__(self, pairs: Pairs) -> None:
        self._pairs = pairs
        is_plain = list(map(self._is_plain, pairs.images, pairs.labels))
        self._images, self._labels = (tf.constant([str(p) for p in paths]) for paths in (pairs.images, pairs.labels))
        self._is_plain_pair = tf.constant(is_plain)

    def __call__(self, index: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Decodes pair `index` to an image uint8 [H, W, 3] and its label uint8 [H, W]."""
        paths = self._images[index], self._labels[index]
        image, label = tf.cond(
            self._is_plain_pair[index], lambda: self._decode_plain(*paths), lambda: self._decode_by_pillow(*paths)
        )
        image.set_shape([None, None, 3])
        label.set_shape([None, None])
        return image, label

    def _is_plain(self, image: Path, label: Path) -> bool:
        pairs = self._pairs
        return pairs.palette_means_colors and has_palette_of(label, pairs.classes) and is_plain_jpeg(image)

    def _decode_plain(self, image_path: tf.Tensor, label_path: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        # INTEGER_ACCURATE gives the same pixels as Pillow; the default differs by up to 5 levels.
        image = tf.io.decode_jpeg(tf.io.read_file(image_path), channels=3, dct_method="INTEGER_ACCURATE")
        return image, decode_indices(tf.io.read_file(label_path), self._pairs.classes)

    def _decode_by_pillow(self, image_path: tf.Tensor, label_path: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        @tf.autograph.experimental.do_not_convert  # plain Python, which autograph would make slower
        def decode(image: bytes, label: bytes) -> tuple[np.ndarray, np.ndarray]:
            try:
                return read_image(image.decode()), self._pairs.read_label(Path(label.decode()))
            except DataError:  # reported by `explain_failure`: Python must not raise in a thread of TensorFlow
                return np.zeros((0, 0, 3), np.uint8), np.zeros((0, 0), np.uint8)

        image, label = tf.numpy_function(decode, [image_path, label_path], [tf.uint8, tf.uint8])
        with tf.control_dependencies([tf.debugging.Assert(tf.size(label) > 0, ["unreadable pair", label_path])]):
            return tf.identity(image), tf.identity(label)


def _require_classes(label: tf.Tensor, num_classes: int) -> tf.Tensor:
    """Returns the label; the graph fails with InvalidArgumentError if an id is neither a class nor void."""
    highest = tf.reduce_max(label + 1)  # void, 255, becomes 0
    with tf.control_dependencies([tf.debugging.Assert(highest <= num_classes, ["label"])]):
        return tf.identity(label)
