"""Residual networks missing in `keras.applications`, with exactly the layers of their published weights."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

from keras import layers

from keras_fcn.network.backbones import IMAGENET_MEAN, IMAGENET_STD, Backbone
from keras_fcn.network.weights.kerashub import load_kerashub_preset


def basic_v2(*blocks: int) -> Backbone:
    """Returns a ResNet V2 of basic blocks, with these numbers of blocks in its four stages."""
    return Backbone(functools.partial(build_resnet_v2, blocks=blocks), IMAGENET_MEAN, IMAGENET_STD)


def basic_v1(*blocks: int) -> Backbone:
    """Returns a ResNet V1 of basic blocks, with these numbers of blocks in its four stages."""
    return _resnet_v1(basic_block_v1, blocks)


def bottleneck_v1(*blocks: int) -> Backbone:
    """Returns a ResNet V1 of bottleneck blocks, with these numbers of blocks in its four stages."""
    return _resnet_v1(bottleneck_block_v1, blocks)


def _resnet_v1(block: Callable, blocks: Sequence[int]) -> Backbone:
    build = functools.partial(build_resnet_v1, blocks=blocks, block=block)
    return Backbone(build, IMAGENET_MEAN, IMAGENET_STD, load_kerashub_preset, output_strides=(32, 16, 8))


def build_resnet_v1(
    image, blocks: Sequence[int], block: Callable, width: int = 64, output_stride: int = 32
) -> list:  # fmt: skip
    """Builds the ResNets of torchvision and timm: (2, 2, 2, 2) of `basic_block_v1` is ResNet-18.

    Args:
        image: Normalized images [N, H, W, 3].
        blocks: Numbers of residual blocks in the four stages.
        block: `basic_block_v1` or `bottleneck_block_v1`.
        width: Channels of the stem and of the first stage's 3x3 convolutions; each stage doubles them.
        output_stride: The greatest stride. Where a stage would go beyond it, its first block has no stride, and the
            3x3 convolutions of all blocks after that are dilated by 2, or by 4 in the second such stage (Yu, Koltun,
            Funkhouser: Dilated Residual Networks, CVPR 2017, as torchvision builds them).

    Returns:
        The features P2, P3, P4 and P5: the outputs of the four stages.
    """
    x = _stem(image, width)
    features, reached, dilation = [], 4, 1
    for stage, count in enumerate(blocks):
        before = dilation
        if stage > 0 and reached == output_stride:
            dilation *= 2
        stride = 2 if stage > 0 and reached < output_stride else 1
        reached *= stride
        for number in range(1, count + 1):
            name = f"stage{stage + 1}_block{number}"
            x = (
                block(x, width << stage, stride, name, before)
                if number == 1
                else block(x, width << stage, 1, name, dilation)
            )
        features.append(x)
    return features


def build_resnet_v2(image, blocks: Sequence[int], width: int = 64) -> list:
    """Builds the ResNets V2 with basic blocks of the Gluon model zoo: (2, 2, 2, 2) is ResNet-18.

    Args:
        image: Normalized images [N, H, W, 3].
        blocks: Numbers of residual blocks in the four stages.
        width: Channels of the stem and of the first stage; each stage doubles them.

    Returns:
        The features P2, P3, P4 and P5: the outputs of the four stages after their BN and ReLU.
    """
    x = _stem(_batch_norm(image, "bn_image", scale=False, center=False), width)
    features = []
    for stage, count in enumerate(blocks):
        for number in range(1, count + 1):
            x, activated = basic_block_v2(x, width << stage, _stride(stage, number), f"stage{stage + 1}_block{number}")
            if stage > 0 and number == 1:
                features.append(activated)
    return [*features, _norm_relu(x, "bn5", "relu5")]


def basic_block_v1(x, filters: int, stride: int, name: str, dilation: int = 1):
    """Adds a post-activation residual block of two 3x3 convolutions.

    BN comes after each convolution, ReLU after the first BN and after the sum, and a block that changes the shape
    projects its input (He et al.: Deep Residual Learning for Image Recognition, CVPR 2016, figure 5 left, option B).

    Args:
        x: [N, H, W, C].
        filters: Channels of the output.
        stride: Stride of the first convolution and of the projection.
        name: Prefix of the layers' names.
        dilation: Dilation of the 3x3 convolutions without stride.

    Returns:
        The block's output [N, H / stride, W / stride, filters].
    """
    shortcut = _projection_v1(x, filters, stride, name)
    y = _convolve(x, filters, 3, stride, f"{name}_conv1", dilation)
    y = _norm_relu(y, f"{name}_bn1", f"{name}_relu1")
    y = _batch_norm(_convolve(y, filters, 3, 1, f"{name}_conv2", dilation), f"{name}_bn2")
    return layers.ReLU(name=f"{name}_relu2")(layers.Add(name=f"{name}_add")([shortcut, y]))


def bottleneck_block_v1(x, filters: int, stride: int, name: str, dilation: int = 1):
    """Adds a post-activation residual block of a 1x1, a 3x3 and a 1x1 convolution.

    As in `basic_block_v1` (figure 5 right of the same paper), but with the stride in the 3x3 convolution: ResNet in
    torchvision and timm, ResNet V1.5 or V1b elsewhere. The paper and `keras.applications` have the stride in the first.

    Args:
        x: [N, H, W, C].
        filters: Channels of the first two convolutions.
        stride: Stride of the 3x3 convolution and of the projection.
        name: Prefix of the layers' names.
        dilation: Dilation of the 3x3 convolution without stride.

    Returns:
        The block's output [N, H / stride, W / stride, 4 * filters].
    """
    shortcut = _projection_v1(x, 4 * filters, stride, name)
    y = _norm_relu(_convolve(x, filters, 1, 1, f"{name}_conv1"), f"{name}_bn1", f"{name}_relu1")
    y = _norm_relu(_convolve(y, filters, 3, stride, f"{name}_conv2", dilation), f"{name}_bn2", f"{name}_relu2")
    y = _batch_norm(_convolve(y, 4 * filters, 1, 1, f"{name}_conv3"), f"{name}_bn3")
    return layers.ReLU(name=f"{name}_relu3")(layers.Add(name=f"{name}_add")([shortcut, y]))


def basic_block_v2(x, filters: int, stride: int, name: str) -> tuple:
    """Adds a pre-activation residual block of two 3x3 convolutions.

    BN and ReLU come before each convolution, and a block that changes the shape projects the *activated* input
    (He et al.: Identity Mappings in Deep Residual Networks, ECCV 2016, figure 4e).

    Args:
        x: [N, H, W, C].
        filters: Channels of the output.
        stride: Stride of the first convolution and of the projection.
        name: Prefix of the layers' names.

    Returns:
        The block's output [N, H / stride, W / stride, filters], and its activated input [N, H, W, C].
    """
    activated = _norm_relu(x, f"{name}_bn1", f"{name}_relu1")
    shortcut = x
    if stride > 1 or x.shape[-1] != filters:
        shortcut = _convolve(activated, filters, 1, stride, f"{name}_shortcut")
    y = _convolve(activated, filters, 3, stride, f"{name}_conv1")
    y = _convolve(_norm_relu(y, f"{name}_bn2", f"{name}_relu2"), filters, 3, 1, f"{name}_conv2")
    return layers.Add(name=f"{name}_add")([shortcut, y]), activated


def _stride(stage: int, number: int) -> int:
    """Returns the stride of a block: 2 for the first block of every stage but stage 0, else 1."""
    return 2 if stage > 0 and number == 1 else 1


def _stem(x, width: int):
    """Returns the output of a ResNet's first layers, [N, H / 4, W / 4, width].

    ReLU comes after the max pooling, not before it as usual. The result is the same, but ReLU processes a quarter of
    the pixels, and training keeps the largest tensor only once.
    """
    x = _batch_norm(_convolve(x, width, 7, 2, "conv1"), "bn1")
    x = layers.MaxPooling2D(3, 2, name="pool1")(layers.ZeroPadding2D(1, name="pool1_pad")(x))
    return layers.ReLU(name="relu1")(x)


def _projection_v1(x, filters: int, stride: int, name: str):
    """Returns the input of a block, projected to the shape of its output."""
    if stride == 1 and x.shape[-1] == filters:
        return x
    return _batch_norm(_convolve(x, filters, 1, stride, f"{name}_shortcut"), f"{name}_shortcut_bn")


def _norm_relu(x, norm: str, relu: str):
    return layers.ReLU(name=relu)(_batch_norm(x, norm))


def _batch_norm(x, name: str, **kwargs):
    return layers.BatchNormalization(epsilon=1e-5, name=name, **kwargs)(x)


def _convolve(x, filters: int, size: int, stride: int, name: str, dilation: int = 1):
    x, padding = symmetric_padding(x, size, stride, name)
    options = {"use_bias": False, "kernel_initializer": "he_normal"}
    return layers.Conv2D(filters, size, stride, padding, dilation_rate=dilation, name=name, **options)(x)


def symmetric_padding(x, size: int, stride: int, name: str) -> tuple:
    """Pads the input of a convolution on both sides alike, as Gluon and PyTorch do; Keras does so without stride only.

    Args:
        x: [N, H, W, C].
        size: The kernel's size.
        stride: The convolution's stride.
        name: The convolution's name.

    Returns:
        The input, and the padding that the convolution is to have, "same" or "valid".
    """
    if stride == 1 or size == 1:
        return x, "same"
    return layers.ZeroPadding2D(size // 2, name=f"{name}_pad")(x), "valid"
