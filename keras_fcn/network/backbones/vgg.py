"""VGG16 as in the FCN paper, with convolutions instead of its fully connected layers."""

from __future__ import annotations

import keras
import numpy as np
from keras import layers

from keras_fcn.network.backbones import CAFFE_MEAN, Backbone

CHANNELS = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))
"""Filters of the 3x3 convolutions before each of the five poolings (Simonyan, Zisserman, ICLR 2015, table 1, D)."""


def vgg16() -> Backbone:
    """Returns VGG16."""
    return Backbone(build_vgg16, CAFFE_MEAN, (1.0, 1.0, 1.0), _load_imagenet)


def _load_imagenet(backbone: keras.Model) -> None:
    copy_from_classifier(backbone, keras.applications.VGG16(weights="imagenet"))


def build_vgg16(image, width: int = 64) -> list:
    """Builds VGG16 up to fc7, a convolution (Long, Shelhamer, Darrell, CVPR 2015, section 3.1).

    fc6, a 7x7 convolution, is padded to keep its input's size; the paper pads the image by 100 pixels instead.

    Args:
        image: Normalized images [N, H, W, 3].
        width: Channels of the first convolutions, 64 in the paper; all other layers scale with them.

    Returns:
        The features P2 (pool2), P3 (pool3), P4 (pool4) and P5 (fc7, after its ReLU and dropout).
    """
    x, features = image, []
    for stage, channels in enumerate(CHANNELS, start=1):
        for number, filters in enumerate(channels, start=1):
            x = _convolve(x, filters * width // 64, 3, f"conv{stage}_{number}")
        x = layers.MaxPooling2D(2, name=f"pool{stage}")(x)
        features.append(x)
    for name, size in (("fc6", 7), ("fc7", 1)):
        x = layers.Dropout(0.5, name=f"{name}_dropout")(_convolve(x, width * 64, size, name))
    return [*features[1:4], x]


def _convolve(x, filters: int, size: int, name: str):
    return layers.Conv2D(
        filters, size, padding="same", activation="relu", kernel_initializer="he_normal", name=name
    )(x)  # fmt: skip


def copy_from_classifier(backbone: keras.Model, classifier: keras.Model) -> None:
    """Copies the weights of `keras.applications.VGG16` with its fully connected layers into a backbone.

    A fully connected layer on a flattened [7, 7, C] is a 7x7 convolution with the same weights. Keras' VGG16 takes BGR,
    so the input channels of the first kernel are flipped: ours takes RGB.

    Args:
        backbone: A model of `build_backbone("vgg16")`.
        classifier: A model of `keras.applications.VGG16(include_top=True)`.
    """
    theirs = [layer for layer in classifier.layers if layer.weights]
    ours = [layer for layer in backbone.layers if layer.weights]
    for layer, other in zip(ours, theirs):  # without their last layer, the classifier of ImageNet
        kernel, bias = other.get_weights()
        if layer is ours[0]:
            kernel = np.flip(kernel, axis=2)
        layer.set_weights([kernel.reshape(layer.kernel.shape), bias])
