"""Probabilities at a temperature, and averaged over variants of an image: mirrored, smaller, larger."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from keras_fcn.inference.arrays import Array, ProbabilityFunction, logarithm, resized, rounded_bytes, softmax_at

_LEAST = 1e-37
"""What probabilities of 0 are taken for, where logarithms are wanted."""


def tempered(probabilities: ProbabilityFunction, temperature: float) -> ProbabilityFunction:
    """Returns the probabilities of a network whose logits are divided by a temperature.

    Logarithms of probabilities are logits, but for a number that all classes have in common.
    """

    def divided(images: Array) -> Array:
        return softmax_at(temperature, logarithm(probabilities(images), _LEAST))

    return divided


def mean_of(functions: Sequence[ProbabilityFunction]) -> ProbabilityFunction:
    """Returns the mean of several networks' probabilities, which weigh alike."""

    def averaged(images: Array) -> Array:
        total: Array = 0.0
        for probabilities in functions:
            total += probabilities(images)
        return total / len(functions)

    return averaged


def with_flip(probabilities: ProbabilityFunction) -> ProbabilityFunction:
    """Returns the mean of an image's probabilities and those of its mirror image, mirrored back."""

    def averaged(images: Array) -> Array:
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

    def averaged(images: Array) -> Array:
        height, width = images.shape[1:3]
        total: Array = 0.0
        for scale in scales:
            if scale == 1:
                total += probabilities(images)
                continue
            smaller = (_scaled(height, scale), _scaled(width, scale))
            total += resized(probabilities(rounded_bytes(resized(images, smaller))), (height, width))
        return total / len(scales)

    return averaged


def _scaled(length: int, scale: float) -> int:
    return max(int(np.rint(np.float32(length) * np.float32(scale))), 1)
