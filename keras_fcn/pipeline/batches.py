"""tf.data pipelines: read pairs from disk, decode, augment, batch and prefetch them."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator

import tensorflow as tf

from keras_fcn.datasets import Pairs, inspect_pairs
from keras_fcn.datasets.balance.rare import RarePositions
from keras_fcn.errors import UserError, argument
from keras_fcn.pipeline.augmentation import AUGMENT_FAULT, Augmentation
from keras_fcn.pipeline.near import near_rare
from keras_fcn.pipeline.reader import PAIR_FAULT, Reader
from keras_fcn.pipeline.source import Pair
from keras_fcn.system.machine import granted_cores

PARALLEL_READS = granted_cores()
"""Pairs decoded in parallel: the number of cores from the start, where autotuning would begin with one."""


def training_dataset(
    pairs: Pairs,
    augmentation: Augmentation,
    batch_size: int,
    seed: int,
    first_sample: int = 0,
    every: int = 1,
    rare: RarePositions | None = None,
    reader: Reader | None = None,
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
        reader: The reader of the pairs, if there is one already.

    Returns:
        Batches of images uint8 [batch_size, height, width, channels] and labels uint8 [batch_size, height, width].
    """
    reader, near = reader or Reader(pairs), near_rare(rare)

    @tf.autograph.experimental.do_not_convert
    def load(sample: tf.Tensor) -> Pair:
        index = shuffled_index(sample, len(pairs), seed)
        drawn = sample - sample % len(pairs) + index  # as if each epoch were in order, as `augmented_dataset` is
        own_seed = tf.stack([seed, drawn])
        image, label = augmentation.sample(reader.source(index), own_seed, near(index, own_seed))
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
    rare: RarePositions | None = None, reader: Reader | None = None,
) -> tf.data.Dataset:  # fmt: skip
    """Streams augmented pairs in order, with another augmentation in each epoch.

    Args:
        pairs: The pairs to read.
        augmentation: The augmentation.
        batch_size: Samples per batch; the last batch may be smaller.
        seed: Seed of the augmentation.
        passes: Number of epochs.
        rare: As for `training_dataset`.
        reader: As for `training_dataset`.

    Returns:
        Batches like those of `training_dataset`.
    """
    reader, near = reader or Reader(pairs), near_rare(rare)

    @tf.autograph.experimental.do_not_convert
    def load(sample: tf.Tensor) -> Pair:
        index, own_seed = sample % len(pairs), tf.stack([seed, sample])
        image, label = augmentation.sample(reader.source(index), own_seed, near(index, own_seed))
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
        Batches of size one: the image uint8 [1, H, W, channels] and its label uint8 [1, H, W], at their original size.
    """
    read = Reader(pairs)

    @tf.autograph.experimental.do_not_convert
    def load(index: tf.Tensor) -> Pair:
        image, label = read(index)
        return image, _require_classes(label, pairs.classes.num_classes)

    decoded = tf.data.Dataset.range(len(pairs)).map(load, num_parallel_calls=PARALLEL_READS)
    return decoded.batch(1).prefetch(2)


@contextlib.contextmanager
def explain_failure(*all_pairs: Pairs) -> Iterator[None]:
    """Turns TensorFlow's error about an unreadable pair into a `UserError` that names the file.

    Files are checked before training starts, by Pillow, but they may change during training, and TensorFlow refuses
    some damaged ones that Pillow reads.
    """
    try:
        yield
    except (tf.errors.InvalidArgumentError, tf.errors.NotFoundError, tf.errors.UnknownError) as error:
        if AUGMENT_FAULT in error.message:
            raise UserError(f"{argument('augment')} {AUGMENT_FAULT}; both must have the same one") from None
        index = re.search(rf"{PAIR_FAULT}\] \[(\d+)", error.message)
        affected = [pairs.shard(int(index[1]), len(pairs)) if index else pairs for pairs in all_pairs]
        for pairs in affected:
            inspect_pairs(pairs).require_sound()
        if index:
            files = " or ".join(
                f"{file}" for pairs in affected for file in dict.fromkeys((*pairs.images, *pairs.labels))
            )
            changed = f"{files}: changed while it was read"
            raise UserError(f"{changed}; leave the data as they are, and resume") from None
        if path := next(filter(None, (Reader(pairs).refused() for pairs in all_pairs)), None):
            raise UserError(f"{path}: is damaged: Pillow reads it, TensorFlow does not; save it anew") from None
        raise


def _require_classes(label: tf.Tensor, num_classes: int) -> tf.Tensor:
    """Returns the label; the graph fails with InvalidArgumentError if an id is neither a class nor void."""
    highest = tf.reduce_max(label + 1)  # void, 255, becomes 0
    with tf.control_dependencies([tf.debugging.Assert(highest <= num_classes, ["label"])]):
        return tf.identity(label)
