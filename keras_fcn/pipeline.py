"""tf.data: reads pairs from disk, decodes, transforms, batches and prefetches them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tensorflow as tf

from keras_fcn.datasets import Pairs, inspect_pairs
from keras_fcn.image_files import encoded_image, grey_png
from keras_fcn.labels import VOID_LABEL
from keras_fcn.transforms import random_crop, random_flip


def training_dataset(
    pairs: Pairs, crop_size: tuple[int, int], batch_size: int, seed: int, first_sample: int = 0
) -> tf.data.Dataset:
    """Streams shuffled, cropped and flipped pairs without end.

    Every sample is a function of the seed and of its number in the stream alone: sample i is drawn from pass
    i // len(pairs) over the pairs, each pass in an order of its own. So a stream that starts at `first_sample` goes on
    exactly as one that started at 0. Passes follow each other without a gap, batches across them included, so no pair
    is dropped and every batch is full.

    Args:
        pairs: What to read.
        crop_size: Height and width of every sample, in pixels; smaller images are padded, with void in the label.
        batch_size: Samples per batch.
        seed: Of the order, the windows and the flips.
        first_sample: The number of the first sample.

    Returns:
        Batches of images uint8 [batch_size, height, width, 3] and labels uint8 [batch_size, height, width].
    """
    images, labels = _path_tensors(pairs)

    def load(sample: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        passes, position = sample // len(pairs), sample % len(pairs)
        index = tf.random.experimental.index_shuffle(position, [seed, passes], len(pairs) - 1)
        image, label = _read_pair(images[index], labels[index], pairs)
        crop_seed, flip_seed = tf.unstack(tf.random.split([seed, sample], 2))
        image, label = random_crop(image, label, crop_size, crop_seed)
        image, label = random_flip(image, label, flip_seed)
        return image, _require_classes(label, pairs.classes.num_classes)

    samples = tf.data.Dataset.range(first_sample, tf.int64.max)
    loaded = samples.map(load, num_parallel_calls=tf.data.AUTOTUNE)
    return loaded.batch(batch_size, drop_remainder=True).prefetch(2)


def evaluation_dataset(pairs: Pairs) -> tf.data.Dataset:
    """Streams every pair once, whole and in order.

    Returns:
        Batches of one: the image uint8 [1, H, W, 3] and its label uint8 [1, H, W], at their own size.
    """
    images, labels = _path_tensors(pairs)
    paths = tf.data.Dataset.from_tensor_slices((images, labels))

    def load(image_path: tf.Tensor, label_path: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        image, label = _read_pair(image_path, label_path, pairs)
        return image, _require_classes(label, pairs.classes.num_classes)

    decoded = paths.map(load, num_parallel_calls=tf.data.AUTOTUNE)
    return decoded.batch(1).prefetch(2)


@contextlib.contextmanager
def explain_failure(pairs: Pairs) -> Iterator[None]:
    """Turns TensorFlow's error about a pair that it could not read into a `UserError` that names the file.

    Files are verified before a training starts, but they may change under it.
    """
    try:
        yield
    except (tf.errors.InvalidArgumentError, tf.errors.NotFoundError, tf.errors.UnknownError):
        inspect_pairs(pairs).require_sound()
        raise


def _path_tensors(pairs: Pairs) -> tuple[tf.Tensor, tf.Tensor]:
    return tf.constant([str(path) for path in pairs.images]), tf.constant([str(path) for path in pairs.labels])


def _read_pair(image_path: tf.Tensor, label_path: tf.Tensor, pairs: Pairs) -> tuple[tf.Tensor, tf.Tensor]:
    """Reads and decodes a pair.

    TensorFlow decodes what it decodes exactly as Pillow does, which is most files, and without Python's lock.
    """
    no_ids = np.zeros((0, 0), np.uint8)

    @tf.autograph.experimental.do_not_convert  # it is plain Python, and several times slower as autograph rewrites it
    def read(image: bytes, label: bytes) -> tuple[bytes, bytes, np.ndarray]:
        path = Path(label.decode())
        grey = grey_png(path.read_bytes(), pairs.classes) if pairs.palette_means_colors else b""
        return encoded_image(Path(image.decode())), grey, no_ids if grey else pairs.read_label(path)

    encoded, grey, ids = tf.numpy_function(read, [image_path, label_path], [tf.string, tf.string, tf.uint8])
    # INTEGER_ACCURATE gives the very pixels that Pillow decodes; the default differs by up to 5 levels.
    image = tf.cond(
        tf.io.is_jpeg(encoded),
        lambda: tf.io.decode_jpeg(encoded, channels=3, dct_method="INTEGER_ACCURATE"),
        lambda: tf.io.decode_png(encoded, channels=3),
    )
    label = tf.cond(
        tf.strings.length(grey) > 0, lambda: tf.squeeze(tf.io.decode_png(grey, channels=1), axis=-1), lambda: ids
    )
    image.set_shape([None, None, 3])
    label.set_shape([None, None])
    return image, label


def _require_classes(label: tf.Tensor, num_classes: int) -> tf.Tensor:
    """Returns the label; in the graph, fails with InvalidArgumentError where an id is neither a class nor void."""
    is_wrong = tf.logical_and(label >= num_classes, label != VOID_LABEL)
    with tf.control_dependencies([tf.debugging.Assert(tf.logical_not(tf.reduce_any(is_wrong)), ["label"])]):
        return tf.identity(label)
