"""Probabilities averaged over variants of an image: mirrored, smaller, larger."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from keras_fcn.inference.graphs import Score


def with_flip(score: Score) -> Score:
    """Returns the mean of an image's probabilities and those of its mirror image, mirrored back."""

    def averaged(images: tf.Tensor) -> tf.Tensor:
        return (score(images) + score(images[:, :, ::-1])[:, :, ::-1]) / 2

    return averaged


def with_scales(score: Score, scales: Sequence[float]) -> Score:
    """Returns the mean of an image's probabilities at several sizes, resized back to its own.

    Both ways resizing is bilinear between the centres of pixels, as the augmentation in training is (Chen et al.:
    DeepLab, TPAMI 2018, section 4.1, averages over scales; probabilities, unlike logits, weigh alike at each).

    Args:
        score: What to average.
        scales: The factors; 1 is the image itself.
    """

    def averaged(images: tf.Tensor) -> tf.Tensor:
        size = tf.shape(images)[1:3]
        total = tf.constant(0.0)
        for scale in scales:
            scaled = tf.maximum(tf.cast(tf.round(tf.cast(size, tf.float32) * scale), tf.int32), 1)
            variant = tf.cast(tf.round(tf.image.resize(images, scaled)), tf.uint8) if scale != 1 else images
            probabilities = score(variant)
            total += tf.image.resize(probabilities, size) if scale != 1 else probabilities
        return total / len(scales)

    return averaged
