"""Probabilities at a temperature, and averaged over variants of an image: mirrored, smaller, larger."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from keras_fcn.inference.graphs import ProbabilityFunction, softmax_at

_LEAST = 1e-37
"""What probabilities of 0 are taken for, where logarithms are wanted."""


def tempered(probabilities: ProbabilityFunction, temperature: float) -> ProbabilityFunction:
    """Returns the probabilities of a network whose logits are divided by a temperature.

    Logarithms of probabilities are logits, but for a number that all classes have in common.
    """

    def divided(images: tf.Tensor) -> tf.Tensor:
        return softmax_at(temperature, tf.math.log(tf.maximum(probabilities(images), _LEAST)))

    return divided


def with_flip(probabilities: ProbabilityFunction) -> ProbabilityFunction:
    """Returns the mean of an image's probabilities and those of its mirror image, mirrored back."""

    def averaged(images: tf.Tensor) -> tf.Tensor:
        return (probabilities(images) + probabilities(images[:, :, ::-1])[:, :, ::-1]) / 2

    return averaged


def with_scales(probabilities: ProbabilityFunction, scales: Sequence[float]) -> ProbabilityFunction:
    """Returns the mean of an image's probabilities at several sizes, resized back to its own.

    Images and probabilities are resized bilinearly with half-pixel centres, as the augmentation in training does (Chen
    et al.: DeepLab, TPAMI 2018, section 4.1, averages over scales; probabilities, unlike logits, weigh alike at each).

    Args:
        probabilities: The function to average.
        scales: The factors; 1 is the image itself.
    """

    def averaged(images: tf.Tensor) -> tf.Tensor:
        size = tf.shape(images)[1:3]
        total = tf.constant(0.0)
        for scale in scales:
            scaled = tf.maximum(tf.cast(tf.round(tf.cast(size, tf.float32) * scale), tf.int32), 1)
            variant = tf.cast(tf.round(tf.image.resize(images, scaled)), tf.uint8) if scale != 1 else images
            predicted = probabilities(variant)
            total += tf.image.resize(predicted, size) if scale != 1 else predicted
        return total / len(scales)

    return averaged
