"""Backbones: an image in, features at strides 4, 8, 16 and 32 out."""

from __future__ import annotations

import dataclasses
import pkgutil
from collections.abc import Callable, Sequence

import keras
import numpy as np
from keras import layers

from keras_fcn.errors import UserError, argument
from keras_fcn.runs.names import BACKBONES

BATCH_NORM_MOMENTUM = 0.9
"""Momentum of the moving statistics of batch normalization, in every backbone.

With MobileNetV2's own 0.999, the statistics are unusable in evaluation for thousands of steps."""

Color = tuple[float, ...]

IMAGENET_MEAN: Color = (123.675, 116.28, 103.53)
IMAGENET_STD: Color = (58.395, 57.12, 57.375)
"""Mean and standard deviation of ImageNet's images, RGB in 0-255, as in torchvision and Gluon."""

CAFFE_MEAN: Color = (123.68, 116.779, 103.939)
"""The mean in the Caffe models of 2014 and 2015, whose pixels are not divided by a standard deviation."""


@dataclasses.dataclass(frozen=True)
class Backbone:
    """A network body that `build_backbone` can build.

    Attributes:
        build: Takes the tensor of normalized images [N, H, W, 3], H and W multiples of 32; returns the features P2,
            P3, P4 and P5, where Pn is [N, H / 2 ** n, W / 2 ** n, channels]; P2, which only FCN-4s takes, may be left
            out.
        mean: Mean of each RGB channel: normalized = (pixel - mean) / std, for pixels in 0-255. Or of each channel of
            images of more or fewer; without, the first three are these, and others, or a single one, their mean.
        std: Standard deviation of each channel; see `mean`.
        load_imagenet: Loads published ImageNet weights into the model; None if there are none.
        name: The model's name; backbones of the table `keras_fcn.runs.names.BACKBONES` are named by it.
        output_strides: The strides that P5 may have; `build` takes others than 32 as `output_stride`.
    """

    build: Callable
    mean: Color = (127.5, 127.5, 127.5)
    std: Color = (127.5, 127.5, 127.5)
    load_imagenet: Callable[[keras.Model], None] | None = None
    name: str = ""
    output_strides: tuple[int, ...] = (32,)

    def normalization(self, channels: int) -> tuple[list[float], list[float]]:
        """Returns mean and standard deviation of each of a number of channels."""
        return for_channels(self.mean, channels), for_channels(self.std, channels)


def for_channels(values: Sequence[float], channels: int) -> list[float]:
    """Returns what the values for red, green and blue are for each of a number of channels.

    The first three keep theirs, others have their mean; so has the only channel of grey images.
    """
    mean = sum(values) / len(values)
    if len(values) == channels:
        return [*values]
    return [mean] if channels == 1 else [*values[:channels], *[mean] * (channels - len(values))]


def find_backbone(backbone: str | Backbone) -> Backbone:
    """Returns the backbone of a name, or a custom backbone unchanged.

    Raises:
        ValueError: If the name is unknown, or a custom backbone has no name.
    """
    if isinstance(backbone, Backbone):
        if not backbone.name:
            raise ValueError(f"a custom backbone needs a name: Backbone(..., name='plain'). Received: {backbone}")
        return backbone
    if backbone not in BACKBONES:
        raise ValueError(f"backbone must be one of {', '.join(BACKBONES)}, or a Backbone. Received: {backbone!r}")
    entry = BACKBONES[backbone]
    return dataclasses.replace(pkgutil.resolve_name(entry.function)(*entry.arguments), name=backbone)


def build_backbone(
    backbone: str | Backbone,
    weights: str | None = None,
    output_stride: int = 32,
    with_p2: bool = False,
    channels: int = 3,
) -> keras.Model:
    """Builds a backbone.

    Args:
        backbone: A name in `keras_fcn.runs.names.BACKBONES`, or a custom backbone.
        weights: "imagenet" for the weights published by `keras.applications` or KerasHub, or None for random weights.
        output_stride: The greatest stride, 32, 16 or 8: where others would halve P4 and P5, convolutions are dilated.
        with_p2: Whether P2 is a feature, too.
        channels: The number of channels of images; with others than three, weights are as `widen_backbone` makes them.

    Returns:
        A functional model with the backbone's name, from normalized float images [N, H, W, channels], H and W multiples
        of 32, to a dict of features {"P3", "P4", "P5"}, and "P2" if it is asked for, where Pn is [N, H / s, W / s, C],
        s being 2 ** n or, if that is less, `output_stride`.

    Raises:
        ValueError: If the backbone's name is unknown, it has no such output stride or no P2, or no ImageNet weights
            are published for it.

    Examples:
        >>> build_backbone("resnet18_v2").output["P3"].shape
        (None, None, None, 128)
    """
    entry = find_backbone(backbone)
    if weights is not None and channels != 3:
        narrow = build_backbone(backbone, weights, output_stride, with_p2)
        wide = build_backbone(backbone, None, output_stride, with_p2, channels)
        widen_backbone(wide, narrow)
        return wide
    image = keras.Input((None, None, channels), name="normalized_image")
    if output_stride not in entry.output_strides:
        known = ", ".join(name for name in BACKBONES if output_stride in find_backbone(name).output_strides) or "none"
        raise UserError(
            f"{argument('output_stride', output_stride)} is for {known}. Received: {argument('backbone', entry.name)}"
        )
    *p2, p3, p4, p5 = entry.build(image, **({} if output_stride == 32 else {"output_stride": output_stride}))
    if with_p2 and not p2:
        raise UserError(
            f"{argument('model', 'fcn4s')} needs a backbone that returns P2, P3, P4 and P5. Received: "
            f"{argument('backbone', entry.name)}, which returns three features"
        )
    finest = {"P2": p2[0]} if with_p2 else {}
    model = keras.Model(image, {**finest, "P3": p3, "P4": p4, "P5": p5}, name=entry.name)
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.momentum = BATCH_NORM_MOMENTUM
    if weights == "imagenet":
        if entry.load_imagenet is None:
            raise ValueError(f"no ImageNet weights are published for {entry.name}; they are for {published()}")
        entry.load_imagenet(model)
    return model


def widen_backbone(backbone: keras.Model, narrow: keras.Model) -> None:
    """Copies the weights of a backbone for RGB into the same for another number of channels.

    In the first kernel, the first three channels keep their weights, each other has the mean of these. That of grey
    images has their sum, so that it sees what the other made of the three equal channels.

    Args:
        backbone: A model of `build_backbone`, which is changed.
        narrow: The same with three channels.

    Raises:
        ValueError: If their weights differ in more than the channels of images.
    """
    values = []
    for ours, theirs in zip(backbone.weights, narrow.get_weights()):
        if tuple(ours.shape) != theirs.shape:
            axis = theirs.ndim - 2 if theirs.ndim == 4 else 0  # of a kernel [H, W, channels, filters], or of statistics
            channels = ours.shape[axis]
            others = theirs.mean(axis, keepdims=True)
            if channels == 1:
                theirs = theirs.sum(axis, keepdims=True) if theirs.ndim == 4 else others
            else:
                parts = [np.take(theirs, range(min(3, channels)), axis), np.repeat(others, max(0, channels - 3), axis)]
                theirs = np.concatenate(parts, axis)
        if tuple(ours.shape) != theirs.shape:
            raise ValueError(f"{ours.path} has the shape {tuple(ours.shape)}, not {theirs.shape}")
        values.append(theirs)
    backbone.set_weights(values)


def multiple_of_8(channels: float) -> int:
    """Returns a number of channels rounded to a multiple of 8, at least 8 and 90% of it, as MobileNets round it."""
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * channels else rounded


def published() -> str:
    """Returns the names of the backbones with published ImageNet weights, for error messages."""
    return ", ".join(name for name, entry in BACKBONES.items() if entry.imagenet)
