"""Backbones from `keras.applications`."""

from __future__ import annotations

import warnings

import keras
import numpy as np

from keras_fcn.network.backbones import CAFFE_MEAN, IMAGENET_MEAN, IMAGENET_STD, Backbone, Color


def resnet_v1(constructor: str, stage3: int, stage4: int) -> Backbone:
    """Returns a ResNet V1; `stage3` and `stage4` are the numbers of blocks in these stages."""
    features = (f"conv3_block{stage3}_out", f"conv4_block{stage4}_out", "conv5_block3_out")
    return _application(constructor, features, CAFFE_MEAN, (1.0, 1.0, 1.0))


def resnet_v2(constructor: str, stage3: int, stage4: int) -> Backbone:
    """Returns a ResNet V2; `stage3` and `stage4` are the numbers of blocks in these stages."""
    features = (f"conv3_block{stage3}_preact_relu", f"conv4_block{stage4}_preact_relu", "post_relu")
    return _application(constructor, features)


def mobilenet_v2() -> Backbone:
    """Returns MobileNetV2."""
    return _application("MobileNetV2", ("block_6_expand_relu", "block_13_expand_relu", "out_relu"))


def efficientnet_v2(kind: str, last_of_block3: str, last_of_block5: str) -> Backbone:
    """Returns EfficientNetV2 of a kind such as "B0"; its blocks are counted by letters."""
    mean, std = ((128.0,) * 3, (128.0,) * 3) if kind == "S" else (IMAGENET_MEAN, IMAGENET_STD)
    features = (f"block3{last_of_block3}_add", f"block5{last_of_block5}_add", "top_activation")
    return _application(f"EfficientNetV2{kind}", features, mean, std, include_preprocessing=False)


def _application(
    constructor: str, features: tuple[str, str, str], mean: Color = (127.5,) * 3, std: Color = (127.5,) * 3, **options
) -> Backbone:
    """Returns the `keras.applications` model whose layers `features` are P3, P4 and P5."""

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
