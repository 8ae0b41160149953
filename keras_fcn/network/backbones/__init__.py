"""Backbones: an image in, features at strides 8, 16 and 32 out."""

from __future__ import annotations

import dataclasses
import pkgutil
from collections.abc import Callable

import keras
from keras import layers

from keras_fcn.runs.names import BACKBONES

BATCH_NORM_MOMENTUM = 0.9
"""Share of the old value that batch normalization keeps in each update of its statistics, in every backbone.

MobileNetV2's own 0.999 needs thousands of steps before evaluation sees sensible statistics."""

Color = tuple[float, float, float]

IMAGENET_MEAN: Color = (123.675, 116.28, 103.53)
IMAGENET_STD: Color = (58.395, 57.12, 57.375)
"""Of ImageNet's images, RGB in 0-255, as torchvision and Gluon have them."""

CAFFE_MEAN: Color = (123.68, 116.779, 103.939)
"""The same as the Caffe models of 2014 and 2015 have it; their pixels are not divided by anything."""


@dataclasses.dataclass(frozen=True)
class Backbone:
    """A network body that `build_backbone` can build.

    Attributes:
        build: Takes the tensor of normalized images [N, H, W, 3], H and W multiples of 32; returns the features P3, P4
            and P5, where Pn is [N, H / 2 ** n, W / 2 ** n, channels].
        mean: Per RGB channel: normalized = (pixel - mean) / std, for pixels in 0-255.
        std: See `mean`.
        load_imagenet: Takes the model and loads published ImageNet weights into it; None if nobody publishes any.
        name: The model's name; those of the table `keras_fcn.runs.names.BACKBONES` get theirs from it.
    """

    build: Callable
    mean: Color = (127.5, 127.5, 127.5)
    std: Color = (127.5, 127.5, 127.5)
    load_imagenet: Callable[[keras.Model], None] | None = None
    name: str = ""


def find_backbone(backbone: str | Backbone) -> Backbone:
    """Returns the backbone of a name, with this name, or one's own as it is.

    Raises:
        ValueError: If there is none of this name, or one's own has no name.
    """
    if isinstance(backbone, Backbone):
        if not backbone.name:
            raise ValueError(f"a backbone of one's own needs a name: Backbone(..., name='plain'). Received: {backbone}")
        return backbone
    if backbone not in BACKBONES:
        raise ValueError(f"backbone must be one of {', '.join(BACKBONES)}, or a Backbone. Received: {backbone!r}")
    entry = BACKBONES[backbone]
    return dataclasses.replace(pkgutil.resolve_name(entry.function)(*entry.arguments), name=backbone)


def build_backbone(backbone: str | Backbone, weights: str | None = None) -> keras.Model:
    """Builds a backbone.

    Args:
        backbone: A name in `keras_fcn.runs.names.BACKBONES`, or one's own.
        weights: "imagenet" for the weights that `keras.applications` or KerasHub publishes, or None for random ones.

    Returns:
        A functional model of the backbone's name: normalized float images [N, H, W, 3], H and W multiples of 32, to a
        dict of features {"P3", "P4", "P5"}, where Pn is [N, H / 2 ** n, W / 2 ** n, channels].

    Raises:
        ValueError: If there is no backbone of this name, or no ImageNet weights are published although they are asked
            for.

    Examples:
        >>> build_backbone("resnet18_v2").output["P3"].shape
        (None, None, None, 128)
    """
    entry = find_backbone(backbone)
    image = keras.Input((None, None, 3), name="normalized_image")
    p3, p4, p5 = entry.build(image)
    model = keras.Model(image, {"P3": p3, "P4": p4, "P5": p5}, name=entry.name)
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.momentum = BATCH_NORM_MOMENTUM
    if weights == "imagenet":
        if entry.load_imagenet is None:
            raise ValueError(f"no ImageNet weights are published for {entry.name}; they are for {published()}")
        entry.load_imagenet(model)
    return model


def published() -> str:
    """Returns the names of the backbones for which ImageNet weights are published, for error messages."""
    return ", ".join(name for name, entry in BACKBONES.items() if entry.imagenet)
