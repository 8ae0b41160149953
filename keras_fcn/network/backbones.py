"""Backbones: an image in, features at strides 8, 16 and 32 out."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable

import keras
import numpy as np
from keras import layers

from keras_fcn.network.resnets import basic_block_v1, bottleneck_block_v1, build_resnet_v1, build_resnet_v2
from keras_fcn.network.vgg import build_vgg16, copy_from_classifier
from keras_fcn.network.weights.kerashub import load_kerashub_preset

BATCH_NORM_MOMENTUM = 0.9
"""Share of the old value that batch normalization keeps in each update of its statistics, in every backbone.

MobileNetV2's own 0.999 needs thousands of steps before evaluation sees sensible statistics."""

Color = tuple[float, float, float]

IMAGENET_MEAN: Color = (123.675, 116.28, 103.53)
IMAGENET_STD: Color = (58.395, 57.12, 57.375)
"""Of ImageNet's photographs, RGB in 0-255, as torchvision and Gluon have them."""

CAFFE_MEAN: Color = (123.68, 116.779, 103.939)
"""The same as the Caffe models of 2014 and 2015 have it; their pixels are not divided by anything."""


@dataclasses.dataclass(frozen=True)
class Backbone:
    """A network body that `build_backbone` can build.

    Attributes:
        build: Takes the tensor of normalized images; returns the features P3, P4 and P5.
        mean: Per RGB channel: normalized = (pixel - mean) / std, for pixels in 0-255.
        std: See `mean`.
        load_imagenet: Takes the model and loads published ImageNet weights into it; None if nobody publishes any.
    """

    build: Callable
    mean: Color = (127.5, 127.5, 127.5)
    std: Color = (127.5, 127.5, 127.5)
    load_imagenet: Callable[[keras.Model], None] | None = None


def build_backbone(name: str, weights: str | None = None) -> keras.Model:
    """Builds a backbone by name.

    Args:
        name: One of `BACKBONES`.
        weights: "imagenet" for the weights that `keras.applications` or KerasHub publishes, or None for random ones.

    Returns:
        A functional model: normalized float images [N, H, W, 3], H and W multiples of 32, to a dict of features
        {"P3", "P4", "P5"}, where Pn is [N, H / 2 ** n, W / 2 ** n, channels].

    Raises:
        ValueError: If `name` is not a backbone, or has no published ImageNet weights although they are asked for.
    """
    if name not in BACKBONES:
        raise ValueError(f"backbone must be one of {', '.join(BACKBONES)}. Received: {name!r}")
    entry = BACKBONES[name]
    image = keras.Input((None, None, 3), name="normalized_image")
    p3, p4, p5 = entry.build(image)
    model = keras.Model(image, {"P3": p3, "P4": p4, "P5": p5}, name=name)
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.momentum = BATCH_NORM_MOMENTUM
    if weights == "imagenet":
        if entry.load_imagenet is None:
            published = ", ".join(key for key, value in BACKBONES.items() if value.load_imagenet)
            raise ValueError(f"no ImageNet weights are published for {name}; they are for {published}")
        entry.load_imagenet(model)
    return model


def _application(
    constructor: str, features: tuple[str, str, str], mean: Color = (127.5,) * 3, std: Color = (127.5,) * 3, **options
) -> Backbone:
    """Returns the entry of a `keras.applications` model whose layers `features` are P3, P4 and P5."""

    def make(image=None, weights: str | None = None) -> keras.Model:
        model = getattr(keras.applications, constructor)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "`input_shape` is undefined", UserWarning)  # as it should be
            return model(include_top=False, weights=weights, input_tensor=image, **options)

    def build(image) -> list:
        model = make(image)
        return [model.get_layer(name).output for name in features]

    def load_imagenet(backbone: keras.Model) -> None:
        values = make(weights="imagenet").get_weights()
        if mean == CAFFE_MEAN:  # these want blue before red; the first kernel is made to take RGB instead
            values[0] = np.flip(values[0], axis=2)
        backbone.set_weights(values)

    return Backbone(build, mean, std, load_imagenet)


def _resnet_v1(constructor: str, stage3: int, stage4: int) -> Backbone:
    """`stage3` and `stage4` are how many blocks these stages have."""
    features = (f"conv3_block{stage3}_out", f"conv4_block{stage4}_out", "conv5_block3_out")
    return _application(constructor, features, CAFFE_MEAN, (1.0, 1.0, 1.0))


def _resnet_v2(constructor: str, stage3: int, stage4: int) -> Backbone:
    features = (f"conv3_block{stage3}_preact_relu", f"conv4_block{stage4}_preact_relu", "post_relu")
    return _application(constructor, features)


def _efficientnet_v2(constructor: str, last_of_block3: str, last_of_block5: str, mean: Color, std: Color) -> Backbone:
    features = (f"block3{last_of_block3}_add", f"block5{last_of_block5}_add", "top_activation")
    return _application(constructor, features, mean, std, include_preprocessing=False)


def _basic_v1(*blocks: int) -> Backbone:
    def build(image, width: int = 64) -> list:
        return build_resnet_v1(image, blocks, basic_block_v1, width)

    return Backbone(build, IMAGENET_MEAN, IMAGENET_STD, load_kerashub_preset)


def _bottleneck_v1(*blocks: int) -> Backbone:
    def build(image, width: int = 64) -> list:
        return build_resnet_v1(image, blocks, bottleneck_block_v1, width)

    return Backbone(build, IMAGENET_MEAN, IMAGENET_STD, load_kerashub_preset)


def _basic_v2(*blocks: int) -> Backbone:
    def build(image, width: int = 64) -> list:
        return build_resnet_v2(image, blocks, width)

    return Backbone(build, IMAGENET_MEAN, IMAGENET_STD)


def _load_vgg16(backbone: keras.Model) -> None:
    copy_from_classifier(backbone, keras.applications.VGG16(weights="imagenet"))


BACKBONES: dict[str, Backbone] = {
    "resnet18_v2": _basic_v2(2, 2, 2, 2),
    "resnet34_v2": _basic_v2(3, 4, 6, 3),
    "resnet50_v2": _resnet_v2("ResNet50V2", 4, 6),
    "resnet101_v2": _resnet_v2("ResNet101V2", 4, 23),
    "resnet152_v2": _resnet_v2("ResNet152V2", 8, 36),
    "resnet18_v1": _basic_v1(2, 2, 2, 2),
    "resnet34_v1": _basic_v1(3, 4, 6, 3),
    "resnet50_v1": _resnet_v1("ResNet50", 4, 6),
    "resnet101_v1": _resnet_v1("ResNet101", 4, 23),
    "resnet152_v1": _resnet_v1("ResNet152", 8, 36),
    "resnet50_v1b": _bottleneck_v1(3, 4, 6, 3),
    "resnet101_v1b": _bottleneck_v1(3, 4, 23, 3),
    "resnet152_v1b": _bottleneck_v1(3, 8, 36, 3),
    "vgg16": Backbone(build_vgg16, CAFFE_MEAN, (1.0, 1.0, 1.0), _load_vgg16),
    "mobilenet_v2": _application("MobileNetV2", ("block_6_expand_relu", "block_13_expand_relu", "out_relu")),
    "efficientnet_v2_b0": _efficientnet_v2("EfficientNetV2B0", "b", "e", IMAGENET_MEAN, IMAGENET_STD),
    "efficientnet_v2_b3": _efficientnet_v2("EfficientNetV2B3", "c", "g", IMAGENET_MEAN, IMAGENET_STD),
    "efficientnet_v2_s": _efficientnet_v2("EfficientNetV2S", "d", "i", (128.0,) * 3, (128.0,) * 3),
}
