"""Pure functions (image, label) -> (image, label); their randomness is in the seed they are given."""

from __future__ import annotations

import tensorflow as tf

from keras_fcn.labels import VOID_LABEL

PAD_COLOR = (124, 116, 104)
"""The mean colour of ImageNet's photographs: after normalization it is near zero."""


def pad_to_size(image: tf.Tensor, label: tf.Tensor, size: tuple[int, int]) -> tuple[tf.Tensor, tf.Tensor]:
    """Pads below and on the right, the image with `PAD_COLOR` and the label with void, where they are smaller.

    Args:
        image: uint8 [H, W, 3].
        label: uint8 [H, W].
        size: The least height and width of the result, in pixels.

    Returns:
        uint8 [max(H, height), max(W, width), 3] and the label likewise.
    """
    missing = tf.maximum(tf.constant(size) - tf.shape(label), 0)
    padding = tf.stack([tf.zeros(2, tf.int32), missing], axis=1)

    def pad() -> tuple[tf.Tensor, tf.Tensor]:
        channels = [tf.pad(image[..., channel], padding, constant_values=PAD_COLOR[channel]) for channel in range(3)]
        return tf.stack(channels, axis=-1), tf.pad(label, padding, constant_values=VOID_LABEL)

    return tf.cond(tf.reduce_any(missing > 0), pad, lambda: (image, label))


def random_crop(
    image: tf.Tensor, label: tf.Tensor, size: tuple[int, int], seed: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Cuts the same random window out of image and label, after padding what is smaller than the window.

    Args:
        image: uint8 [H, W, 3].
        label: uint8 [H, W].
        size: Height and width of the window, in pixels.
        seed: Integers [2]; the same seed cuts the same window.

    Returns:
        uint8 [height, width, 3] and [height, width].
    """
    image, label = pad_to_size(image, label, size)
    windows = tf.cast(tf.shape(label) - tf.constant(size) + 1, tf.float32)
    corner = tf.cast(tf.random.stateless_uniform([2], seed) * windows, tf.int32)
    image = tf.slice(image, tf.concat([corner, [0]], axis=0), [*size, 3])
    return image, tf.slice(label, corner, size)


def random_flip(image: tf.Tensor, label: tf.Tensor, seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Mirrors image and label left to right with a probability of one half.

    Args:
        image: uint8 [H, W, 3].
        label: uint8 [H, W].
        seed: Integers [2]; the same seed decides the same.
    """
    flip = tf.random.stateless_uniform([], seed) < 0.5
    # tf.reverse: a slice with a step of -1 takes 30 times as long.
    return tf.cond(flip, lambda: (tf.reverse(image, [1]), tf.reverse(label, [1])), lambda: (image, label))
