"""MobileNetV3-Large with exactly the layers of torchvision's weights."""

from __future__ import annotations

from keras import layers

from keras_fcn.network.backbones import IMAGENET_MEAN, IMAGENET_STD, Backbone, multiple_of_8
from keras_fcn.network.backbones.resnets import symmetric_padding

BLOCKS = (
    (3, 16, 16, False, "relu", 1),
    (3, 64, 24, False, "relu", 2),
    (3, 72, 24, False, "relu", 1),
    (5, 72, 40, True, "relu", 2),
    (5, 120, 40, True, "relu", 1),
    (5, 120, 40, True, "relu", 1),
    (3, 240, 80, False, "hard_swish", 2),
    (3, 200, 80, False, "hard_swish", 1),
    (3, 184, 80, False, "hard_swish", 1),
    (3, 184, 80, False, "hard_swish", 1),
    (3, 480, 112, True, "hard_swish", 1),
    (3, 672, 112, True, "hard_swish", 1),
    (5, 672, 160, True, "hard_swish", 2),
    (5, 960, 160, True, "hard_swish", 1),
    (5, 960, 160, True, "hard_swish", 1),
)
"""Kernel size, expanded and output channels, whether there is squeeze-excitation, activation, and stride of each block
(Howard et al.: Searching for MobileNetV3, ICCV 2019, table 1)."""

_P2, _P3, _P4, _DILATED = 3, 4, 12, 13
"""Numbers, from 1, of the blocks whose outputs are P2, P3 and P4, and of the first that may be dilated."""


def mobilenet_v3_large() -> Backbone:
    """Returns MobileNetV3-Large."""
    return Backbone(build_mobilenet_v3_large, IMAGENET_MEAN, IMAGENET_STD, output_strides=(32, 16))


def build_mobilenet_v3_large(image, output_stride: int = 32) -> list:
    """Builds MobileNetV3-Large up to the layer before its pooling.

    Args:
        image: Normalized images [N, H, W, 3].
        output_stride: 32, or 16 for convolutions dilated by 2 in place of the last stride.

    Returns:
        The features P2, the last at stride 4, P3, the first at stride 8, which LR-ASPP takes, P4, the last at stride
        16, and P5.
    """
    x = _norm(_convolve(image, 16, 3, 2, "stem"), "stem", "hard_swish")
    features = []
    for number, (size, expanded, filters, excites, activation, stride) in enumerate(BLOCKS, start=1):
        dilation = 2 if number >= _DILATED and output_stride == 16 else 1
        step = 1 if dilation > 1 else stride
        y = x
        if expanded != x.shape[-1]:
            y = _norm(_convolve(y, expanded, 1, 1, f"block{number}_expand"), f"block{number}_expand", activation)
        y = _norm(
            _depthwise(y, size, step, dilation, f"block{number}_depthwise"), f"block{number}_depthwise", activation
        )
        if excites:
            y = _excited(y, f"block{number}")
        y = _norm(_convolve(y, filters, 1, 1, f"block{number}_project"), f"block{number}_project", None)
        x = layers.Add(name=f"block{number}_add")([x, y]) if stride == 1 and x.shape[-1] == filters else y
        if number in (_P2, _P3, _P4):
            features.append(x)
    return [*features, _norm(_convolve(x, 960, 1, 1, "head"), "head", "hard_swish")]


def _excited(x, name: str):
    """Returns features [N, H, W, C] times a factor of each channel (Hu et al.: Squeeze-and-Excitation, CVPR 2018)."""
    channels = x.shape[-1]
    y = layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}_pool")(x)
    y = layers.Conv2D(multiple_of_8(channels // 4), 1, activation="relu", name=f"{name}_squeeze")(y)
    y = layers.Conv2D(channels, 1, activation="hard_sigmoid", name=f"{name}_excite")(y)
    return layers.Multiply(name=f"{name}_scale")([x, y])


def _norm(x, name: str, activation: str | None):
    x = layers.BatchNormalization(epsilon=1e-3, name=f"{name}_bn")(x)
    return x if activation is None else layers.Activation(activation, name=f"{name}_act")(x)


def _depthwise(x, size: int, stride: int, dilation: int, name: str):
    x, padding = symmetric_padding(x, size, stride, name)
    return layers.DepthwiseConv2D(size, stride, padding, dilation_rate=dilation, use_bias=False, name=name)(x)


def _convolve(x, filters: int, size: int, stride: int, name: str):
    x, padding = symmetric_padding(x, size, stride, name)
    return layers.Conv2D(
        filters, size, stride, padding, use_bias=False, kernel_initializer="he_normal", name=name
    )(x)  # fmt: skip
