"""Backbones: an image in, features at strides 8, 16 and 32 out."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import keras
from keras import layers

BATCH_NORM_MOMENTUM = 0.9
"""Share of the old value that batch normalization keeps in each update of its statistics, in every backbone.

MobileNetV2's own 0.999 needs thousands of steps before evaluation sees sensible statistics."""


@dataclasses.dataclass(frozen=True)
class Backbone:
    """A network body that `build_backbone` can build.

    Attributes:
        build: Takes the tensor of normalized images and "imagenet" or None; returns the features P3, P4 and P5.
        mean: Per RGB channel: normalized = (pixel - mean) / std, for pixels in 0-255.
        std: See `mean`.
        has_imagenet: Whether `keras.applications` publishes ImageNet weights for it.
    """

    build: Callable
    mean: tuple[float, float, float] = (127.5, 127.5, 127.5)
    std: tuple[float, float, float] = (127.5, 127.5, 127.5)
    has_imagenet: bool = False


def build_backbone(name: str, weights: str | None = None) -> keras.Model:
    """Builds a backbone by name.

    Args:
        name: One of `BACKBONES`.
        weights: "imagenet" for the weights that `keras.applications` publishes, or None for random ones.

    Returns:
        A functional model: normalized float images [N, H, W, 3], H and W multiples of 32, to a dict of features
        {"P3", "P4", "P5"}, where Pn is [N, H / 2 ** n, W / 2 ** n, channels].

    Raises:
        ValueError: If `name` is not a backbone, or has no published ImageNet weights although they are asked for.
    """
    if name not in BACKBONES:
        raise ValueError(f"backbone must be one of {', '.join(BACKBONES)}. Received: {name!r}")
    entry = BACKBONES[name]
    if weights == "imagenet" and not entry.has_imagenet:
        published = ", ".join(key for key, value in BACKBONES.items() if value.has_imagenet)
        raise ValueError(f"no ImageNet weights are published for {name}; they are for {published}")
    image = keras.Input((None, None, 3), name="normalized_image")
    p3, p4, p5 = entry.build(image, weights)
    model = keras.Model(image, {"P3": p3, "P4": p4, "P5": p5}, name=name)
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.momentum = BATCH_NORM_MOMENTUM
    return model


def _batch_norm(x, name: str, **kwargs):
    return layers.BatchNormalization(epsilon=1e-5, name=name, **kwargs)(x)


def _convolve(x, filters: int, size: int, stride: int, name: str):
    """Convolves with the same padding on all sides, as Gluon and PyTorch do; Keras pads strided ones unevenly."""
    padding = "same"
    if stride > 1 and size > 1:
        x, padding = layers.ZeroPadding2D(size // 2, name=f"{name}_pad")(x), "valid"
    return layers.Conv2D(
        filters, size, stride, padding, use_bias=False, kernel_initializer="he_normal", name=name
    )(x)  # fmt: skip


def residual_block_v2(x, filters: int, stride: int, name: str) -> tuple:
    """Adds a pre-activation residual block of two 3x3 convolutions.

    BN and ReLU come before each convolution, and a block that changes the shape projects the *activated* input
    (He et al.: Identity Mappings in Deep Residual Networks, ECCV 2016, figure 4e).

    Args:
        x: [N, H, W, C].
        filters: Channels of the output.
        stride: Of the first convolution and of the projection.
        name: Prefix of the layers' names.

    Returns:
        The block's output [N, H / stride, W / stride, filters], and its activated input [N, H, W, C].
    """
    activated = layers.ReLU(name=f"{name}_relu1")(_batch_norm(x, f"{name}_bn1"))
    shortcut = x
    if stride > 1 or x.shape[-1] != filters:
        shortcut = _convolve(activated, filters, 1, stride, f"{name}_shortcut")
    y = _convolve(activated, filters, 3, stride, f"{name}_conv1")
    y = layers.ReLU(name=f"{name}_relu2")(_batch_norm(y, f"{name}_bn2"))
    y = _convolve(y, filters, 3, 1, f"{name}_conv2")
    return layers.Add(name=f"{name}_add")([shortcut, y]), activated


def residual_block_v1(x, filters: int, stride: int, name: str):
    """Adds a post-activation residual block of two 3x3 convolutions.

    BN comes after each convolution, ReLU after the first BN and after the sum, and a block that changes the shape
    projects its input (He et al.: Deep Residual Learning for Image Recognition, CVPR 2016, figure 2 and option B).

    Args:
        x: [N, H, W, C].
        filters: Channels of the output.
        stride: Of the first convolution and of the projection.
        name: Prefix of the layers' names.

    Returns:
        The block's output [N, H / stride, W / stride, filters].
    """
    shortcut = x
    if stride > 1 or x.shape[-1] != filters:
        shortcut = _batch_norm(_convolve(x, filters, 1, stride, f"{name}_shortcut"), f"{name}_shortcut_bn")
    y = _batch_norm(_convolve(x, filters, 3, stride, f"{name}_conv1"), f"{name}_bn1")
    y = layers.ReLU(name=f"{name}_relu1")(y)
    y = _batch_norm(_convolve(y, filters, 3, 1, f"{name}_conv2"), f"{name}_bn2")
    return layers.ReLU(name=f"{name}_relu2")(layers.Add(name=f"{name}_add")([shortcut, y]))


def _stem(x, width: int):
    """Returns [N, H / 4, W / 4, width]: what every ResNet of basic blocks begins with."""
    x = _convolve(x, width, 7, 2, "conv1")
    x = layers.ReLU(name="relu1")(_batch_norm(x, "bn1"))
    return layers.MaxPooling2D(3, 2, name="pool1")(layers.ZeroPadding2D(1, name="pool1_pad")(x))


def _resnet_basic_v1(blocks: tuple[int, int, int, int], width: int = 64) -> Callable:
    """Returns the builder of torchvision's ResNet with basic blocks: (2, 2, 2, 2) makes ResNet-18.

    `width` is the first stage's; each stage has twice the channels of the one before. Each feature is a stage's output.
    """

    def build(image, weights: str | None) -> list:
        x = _stem(image, width)
        features = []
        for stage, count in enumerate(blocks, start=1):
            for block in range(1, count + 1):
                stride = 2 if stage > 1 and block == 1 else 1
                x = residual_block_v1(x, width << (stage - 1), stride, f"stage{stage}_block{block}")
            features.append(x)
        return features[1:]

    return build


def _resnet_basic_v2(blocks: tuple[int, int, int, int], width: int = 64) -> Callable:
    """Returns the builder of the Gluon model zoo's ResNet V2 with basic blocks: (2, 2, 2, 2) makes ResNet-18.

    `width` is the first stage's; each stage has twice the channels of the one before. Each feature is a stage's output
    after the BN and ReLU that follow it.
    """

    def build(image, weights: str | None) -> list:
        x = _stem(_batch_norm(image, "bn_image", scale=False, center=False), width)
        features = []
        for stage, count in enumerate(blocks, start=1):
            for block in range(1, count + 1):
                stride = 2 if stage > 1 and block == 1 else 1
                x, activated = residual_block_v2(x, width << (stage - 1), stride, f"stage{stage}_block{block}")
                if stage > 2 and block == 1:
                    features.append(activated)
        return [*features, layers.ReLU(name="relu5")(_batch_norm(x, "bn5"))]

    return build


def _application(constructor: str, names: tuple[str, str, str]) -> Callable:
    """Returns the builder of a `keras.applications` model whose layers `names` are the features P3, P4 and P5."""

    def build(image, weights: str | None) -> list:
        make = getattr(keras.applications, constructor)
        model = make(include_top=False, weights=weights, input_tensor=image)
        return [model.get_layer(name).output for name in names]

    return build


_IMAGENET_MEAN, _IMAGENET_STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)


def _resnet_v2(constructor: str, last_block_of_stage4: int, stage3: int) -> Backbone:
    names = (f"conv3_block{stage3}_preact_relu", f"conv4_block{last_block_of_stage4}_preact_relu", "post_relu")
    return Backbone(_application(constructor, names), has_imagenet=True)


BACKBONES: dict[str, Backbone] = {
    "resnet18_v2": Backbone(_resnet_basic_v2((2, 2, 2, 2)), _IMAGENET_MEAN, _IMAGENET_STD),
    "resnet34_v2": Backbone(_resnet_basic_v2((3, 4, 6, 3)), _IMAGENET_MEAN, _IMAGENET_STD),
    "resnet18_v1": Backbone(_resnet_basic_v1((2, 2, 2, 2)), _IMAGENET_MEAN, _IMAGENET_STD),
    "resnet34_v1": Backbone(_resnet_basic_v1((3, 4, 6, 3)), _IMAGENET_MEAN, _IMAGENET_STD),
    "resnet50_v2": _resnet_v2("ResNet50V2", stage3=4, last_block_of_stage4=6),
    "resnet101_v2": _resnet_v2("ResNet101V2", stage3=4, last_block_of_stage4=23),
    "resnet152_v2": _resnet_v2("ResNet152V2", stage3=8, last_block_of_stage4=36),
    "mobilenet_v2": Backbone(
        _application("MobileNetV2", ("block_6_expand_relu", "block_13_expand_relu", "out_relu")),
        has_imagenet=True,
    ),
}
