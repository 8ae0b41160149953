"""EfficientNet-Lite: EfficientNet without squeeze-excitation and with ReLU6, made for int8.

Tan, Le: EfficientNet, ICML 2019, table 1, and the Lite variants of its repository: the stem, the head and the number of
blocks in the first and the last stage are not scaled.
"""

from __future__ import annotations

import functools
import importlib.util
import math
from pathlib import Path

import keras
from keras import layers

from keras_fcn.errors import UserError, about, argument
from keras_fcn.network.backbones import Backbone, multiple_of_8
from keras_fcn.network.weights.assignment import assign_tensors
from keras_fcn.network.weights.files import read_weight_file
from keras_fcn.system.packages import require_packages

STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
"""Blocks, kernel size, stride of the first block, expansion and output channels of each stage, before scaling."""


def lite(width: float, depth: float, package: str) -> Backbone:
    """Returns an EfficientNet-Lite.

    Args:
        width: The factor of the channels.
        depth: The factor of the numbers of blocks.
        package: The Python package that holds its ImageNet weights, as PyTorch saves them.
    """
    build = functools.partial(build_efficientnet_lite, width=width, depth=depth)
    return Backbone(build, (127.0,) * 3, (128.0,) * 3, functools.partial(load_package, package=package))


def build_efficientnet_lite(image, width: float, depth: float) -> list:
    """Builds an EfficientNet-Lite up to the layer before its pooling.

    Strided convolutions are padded as TensorFlow pads, more below and on the right.

    Args:
        image: Normalized images [N, H, W, 3].
        width: The factor of the channels, which are then rounded to multiples of 8.
        depth: The factor of the numbers of blocks, which are then rounded up.

    Returns:
        The features P2, P3 and P4, those inside the blocks that halve them, six times as wide as between blocks and
        after a ReLU6, and P5, the last.
    """
    x = _norm_relu(_convolve(image, 32, 3, 2, "stem"), "stem")
    features, number = [], 0
    for stage, (blocks, size, stride, expansion, filters) in enumerate(STAGES):
        is_scaled = 0 < stage < len(STAGES) - 1
        for index in range(math.ceil(depth * blocks) if is_scaled else blocks):
            step = stride if index == 0 else 1
            x, expanded = _block(x, size, step, expansion, multiple_of_8(filters * width), f"block{number}")
            if step == 2:
                features.append(expanded)
            number += 1
    return [*features[-3:], _norm_relu(_convolve(x, 1280, 1, 1, "head"), "head")]


def _block(x, size: int, stride: int, expansion: int, filters: int, name: str) -> tuple:
    """Adds an inverted residual block (Sandler et al.: MobileNetV2, CVPR 2018); returns its output and expansion."""
    expanded = x
    if expansion > 1:
        expanded = _norm_relu(_convolve(x, expansion * x.shape[-1], 1, 1, f"{name}_expand"), f"{name}_expand")
    y = layers.DepthwiseConv2D(size, stride, "same", use_bias=False, name=f"{name}_depthwise")(expanded)
    y = _convolve(_norm_relu(y, f"{name}_depthwise"), filters, 1, 1, f"{name}_project")
    y = _norm(y, f"{name}_project")
    is_added = stride == 1 and x.shape[-1] == filters
    return (layers.Add(name=f"{name}_add")([x, y]) if is_added else y), expanded


def _norm_relu(x, name: str):
    return layers.ReLU(6.0, name=f"{name}_relu")(_norm(x, name))


def _norm(x, name: str):
    return layers.BatchNormalization(epsilon=1e-3, name=f"{name}_bn")(x)


def _convolve(x, filters: int, size: int, stride: int, name: str):
    return layers.Conv2D(
        filters, size, stride, "same", use_bias=False, kernel_initializer="he_normal", name=name
    )(x)  # fmt: skip


def load_package(backbone: keras.Model, package: str) -> None:
    """Loads ImageNet weights from the only `.pth` file of an installed package, which is not run.

    Args:
        backbone: A model of `build_backbone`.
        package: The name by which the package is imported.

    Raises:
        UserError: If it is not installed, or holds something else.
    """
    require_packages(f"{argument('weights', 'imagenet')} for {backbone.name}", "pretrained", package)
    spec = importlib.util.find_spec(package)
    folders = (spec and spec.submodule_search_locations) or []
    files = sorted(file for folder in folders for file in Path(folder).glob("models/*.pth"))
    if len(files) != 1:
        received = ", ".join(map(str, files)) or "none"
        raise UserError(f"{argument('weights', 'imagenet')}: {package} should hold one .pth file. Received: {received}")
    tensors = read_weight_file(files[0])
    with about(files[0]):
        assign_tensors(backbone, tensors)
