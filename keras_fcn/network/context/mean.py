"""Scores of the whole image's mean feature."""

from __future__ import annotations

from keras import layers


def mean_scores(feature, num_classes: int, stride: int) -> list:
    """Scores the image's mean feature, so that the parts of an object get the same class.

    Liu, Rabinovich, Berg: ParseNet, 2015, section 3.1; without its normalization, which features after batch
    normalization do not need.

    Args:
        feature: P5 [N, H, W, C].
        num_classes: Number of classes.
        stride: The stride of P5.

    Returns:
        Scores [N, 1, 1, num_classes], zero at first.
    """
    pooled = layers.GlobalAveragePooling2D(keepdims=True, name="context")(feature)
    return [layers.Conv2D(num_classes, 1, kernel_initializer="zeros", name="score_context")(pooled)]
