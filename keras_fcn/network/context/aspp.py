"""Scores of an atrous pyramid."""

from __future__ import annotations

from keras import layers

from keras_fcn.network.heads import atrous_pyramid, project

_RATES_AT_8 = (12, 24, 36)


def aspp_scores(feature, num_classes: int, stride: int) -> list:
    """Scores an atrous pyramid of rates 12, 24 and 36 at stride 8, half of them at 16, a quarter at 32.

    Chen et al.: Rethinking Atrous Convolution, 2017, section 3.3; without the image's mean, so that a position sees a
    bounded part of the image, 288 pixels more to each side, and tiles with enough overlap give what the image gives.

    Args:
        feature: P5 [N, H, W, C].
        num_classes: Number of classes.
        stride: The stride of P5.

    Returns:
        Scores [N, H, W, num_classes], zero at first.
    """
    x = project(atrous_pyramid(feature, [rate * 8 // stride for rate in _RATES_AT_8]))
    return [layers.Conv2D(num_classes, 1, kernel_initializer="zeros", name="score_context")(x)]
