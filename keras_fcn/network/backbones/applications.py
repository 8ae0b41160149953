"""Backbones from `keras.applications`."""

from __future__ import annotations

import warnings

import keras
import numpy as np

from keras_fcn.network.backbones import CAFFE_MEAN, IMAGENET_MEAN, IMAGENET_STD, Backbone, Color


def resnet_v1(constructor: str, stage3: int, stage4: int) -> Backbone:
    """Returns a ResNet V1; `stage3` and `stage4` are the numbers of blocks in these stages."""
    features = ("conv2_block3_out", f"conv3_block{stage3}_out", f"conv4_block{stage4}_out", "conv5_block3_out")
    return _application(constructor, features, CAFFE_MEAN, (1.0, 1.0, 1.0))


def resnet_v2(constructor: str, stage3: int, stage4: int) -> Backbone:
    """Returns a ResNet V2; `stage3` and `stage4` are the numbers of blocks in these stages."""
    preactivated = ("conv2_block3", f"conv3_block{stage3}", f"conv4_block{stage4}")
    features = (*(f"{block}_preact_relu" for block in preactivated), "post_relu")
    return _application(constructor, features)


def mobilenet_v2() -> Backbone:
    """Returns MobileNetV2."""
    return _application(
        "MobileNetV2", ("block_3_expand_relu", "block_6_expand_relu", "block_13_expand_relu", "out_relu")
    )


def efficientnet_v2(kind: str, *last: str) -> Backbone:
    """Returns EfficientNetV2 of a kind such as "B0"; `last` are the letters of the last of its blocks 2, 3 and 5."""
    mean, std = ((128.0,) * 3, (128.0,) * 3) if kind == "S" else (IMAGENET_MEAN, IMAGENET_STD)
    features = (*(f"block{number}{letter}_add" for number, letter in zip((2, 3, 5), last)), "top_activation")
    return _application(f"EfficientNetV2{kind}", features, mean, std, include_preprocessing=False)


def _application(
    constructor: str, features: tuple[str, ...], mean: Color = (127.5,) * 3, std: Color = (127.5,) * 3, **options
) -> Backbone:
    """Returns the `keras.applications` model whose layers `features` are P2, P3, P4 and P5."""

    def make(image=None, weights: str | None = None) -> keras.Model:
        model = getattr(keras.applications, constructor)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "`input_shape` is undefined", UserWarning)  # undefined on purpose
            return model(include_top=False, weights=weights, input_tensor=image, **options)

    def build(image) -> list:
        model = make(image)
        return [model.get_layer(name).output for name in features]

    def load_imagenet(backbone: keras.Model) -> None:
        values = make(weights="imagenet").get_weights()
        if mean == CAFFE_MEAN:  # trained on BGR; the first kernel is flipped to take RGB
            values[0] = np.flip(values[0], axis=2)
        backbone.set_weights(values)

    return Backbone(build, mean, std, load_imagenet)
