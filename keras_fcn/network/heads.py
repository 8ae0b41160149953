"""Heads of other networks in the place of FCN's: from a backbone's features to class scores."""

from __future__ import annotations

from collections.abc import Sequence

from keras import layers

from keras_fcn.network.layers import Enlarge

_OPTIONS = {"use_bias": False, "kernel_initializer": "he_normal"}


def fcn_head(features: dict, num_classes: int, stride: int) -> tuple:
    """Scores P5 after a 3x3 convolution: the head of torchvision's FCN.

    Args:
        features: The features of a backbone, P3, P4 and P5.
        num_classes: Number of classes.
        stride: The stride of P5.

    Returns:
        Scores [N, H / stride, W / stride, num_classes], and their stride.
    """
    channels = features["P5"].shape[-1] // 4
    x = layers.Conv2D(channels, 3, padding="same", name="head_conv", **_OPTIONS)(features["P5"])
    x = layers.Dropout(0.1, name="head_dropout")(_norm_relu(x, "head"))
    return layers.Conv2D(num_classes, 1, name="score_fr")(x), stride


def deeplabv3_head(features: dict, num_classes: int, stride: int) -> tuple:
    """Scores P5 after an atrous pyramid (Chen et al.: Rethinking Atrous Convolution, 2017, section 3.3).

    The image's mean feature goes through the same 1x1 convolution as the pyramid's other features: its part of that
    kernel is a layer of its own, so that the mean is added once instead of being repeated at every position.

    Args:
        features: The features of a backbone, P3, P4 and P5.
        num_classes: Number of classes.
        stride: The stride of P5.

    Returns:
        Scores [N, H / stride, W / stride, num_classes], and their stride.
    """
    x = features["P5"]
    pyramid = atrous_pyramid(x, (12, 24, 36))
    mean = layers.GlobalAveragePooling2D(keepdims=True, name="aspp_pool")(x)
    mean = _norm_relu(layers.Conv2D(256, 1, name="aspp5_conv", **_OPTIONS)(mean), "aspp5")
    x = project(pyramid, layers.Conv2D(256, 1, name="project_mean", **_OPTIONS)(mean))
    x = layers.Dropout(0.5, name="project_dropout")(x)
    x = _norm_relu(layers.Conv2D(256, 3, padding="same", name="head_conv", **_OPTIONS)(x), "head")
    return layers.Conv2D(num_classes, 1, name="score_fr")(x), stride


def atrous_pyramid(x, rates: Sequence[int]):
    """Returns 256 features of a 1x1 and of each atrous 3x3 convolution, [N, H, W, 256 * (1 + len(rates))].

    Args:
        x: Features [N, H, W, C].
        rates: The dilation of each 3x3 convolution.
    """
    pyramid = [_norm_relu(layers.Conv2D(256, 1, name="aspp1_conv", **_OPTIONS)(x), "aspp1")]
    for number, rate in enumerate(rates, start=2):
        convolution = layers.Conv2D(
            256, 3, padding="same", dilation_rate=rate, name=f"aspp{number}_conv", **_OPTIONS
        )  # fmt: skip
        pyramid.append(_norm_relu(convolution(x), f"aspp{number}"))
    return layers.Concatenate(name="aspp")(pyramid)


def project(pyramid, mean=None):
    """Returns 256 features of an atrous pyramid, [N, H, W, 256].

    Args:
        pyramid: The result of `atrous_pyramid`.
        mean: Features to be added before batch normalization, [N, 1, 1, 256].
    """
    x = layers.Conv2D(256, 1, name="project_conv", **_OPTIONS)(pyramid)
    if mean is not None:
        x = layers.Add(name="project_add")([x, mean])
    return _norm_relu(x, "project")


def lraspp_head(features: dict, num_classes: int, stride: int) -> tuple:
    """Scores P5, weighted by the image's mean feature, and P3 (Howard et al.: MobileNetV3, ICCV 2019, section 6.4).

    Args:
        features: The features of a backbone, P3 at stride 8, P4 and P5.
        num_classes: Number of classes.
        stride: The stride of P5.

    Returns:
        Scores [N, H / 8, W / 8, num_classes], and their stride, 8.
    """
    x = features["P5"]
    mean = layers.GlobalAveragePooling2D(keepdims=True, name="scale_pool")(x)
    scale = layers.Conv2D(128, 1, activation="sigmoid", name="scale_conv", **_OPTIONS)(mean)
    x = _norm_relu(layers.Conv2D(128, 1, name="head_conv", **_OPTIONS)(x), "head")
    x = layers.Multiply(name="head_scale")([x, scale])
    scores = layers.Conv2D(num_classes, 1, name="score_fr")(x)
    scores = Enlarge(stride // 8, name="head_upscore")(scores)
    low = layers.Conv2D(num_classes, 1, kernel_initializer="zeros", name="score_low")(features["P3"])
    return layers.Add(name="head_add")([low, scores]), 8


def _norm_relu(x, name: str):
    x = layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name=f"{name}_bn")(x)
    return layers.ReLU(name=f"{name}_relu")(x)
