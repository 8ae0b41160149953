"""The fully convolutional networks FCN-32s, 16s, 8s and 4s: one decoder over any backbone; and other heads."""

from __future__ import annotations

import pkgutil
from collections.abc import Callable

import keras
import numpy as np
from keras import layers

from keras_fcn.errors import UserError, argument
from keras_fcn.images.classes import ClassTable
from keras_fcn.images.values.channels import Channels
from keras_fcn.network.backbones import Backbone, build_backbone, find_backbone
from keras_fcn.network.initializers import Bilinear
from keras_fcn.network.layers import Enlarge, Logits, PadToMultiple, ScaleImage
from keras_fcn.network.upscore import Upscore
from keras_fcn.runs.names import CONTEXTS, HEADS, NETWORKS, OLD_CONTEXTS

UPSCORE_INITS: dict[str, Callable[[int], keras.initializers.Initializer]] = {
    "bilinear": Bilinear,
    "xavier": lambda stride: keras.initializers.GlorotUniform(),
}
"""Initializers of transposed convolutions by name, as functions of the stride."""


def build_fcn(
    model: str = "fcn8s",
    backbone: str | Backbone = "resnet18_v2",
    num_classes: int | None = None,
    classes: ClassTable | None = None,
    weights: str | None = None,
    upscore_init: str = "bilinear",
    context: str | bool = "none",
    auxiliary: bool = False,
    input_scale: float = 1.0,
    output_stride: int = 32,
    channels: str | int = "3",
) -> keras.Model:
    """Builds a fully convolutional network (Long, Shelhamer, Darrell, CVPR 2015, figure 3).

    The model takes decoded images of any height and width; it contains normalization and padding.

    Args:
        model: "fcn32s", "fcn16s", "fcn8s" or "fcn4s", or a head of another network: "fcn", "deeplabv3" or "lraspp".
        backbone: A name in `keras_fcn.runs.names.BACKBONES`, or a custom backbone.
        num_classes: Number of classes, background included; 21, with VOC's names, if `classes` is not given either.
        classes: Names and colours of the classes, instead of `num_classes`.
        weights: "imagenet" to initialize the backbone with weights published by `keras.applications` or KerasHub.
        upscore_init: Initializer of the transposed convolutions: "bilinear" interpolation, or "xavier", random numbers
            (Glorot, Bengio, AISTATS 2010, equation 16).
        context: What scores of more of the image are added to those of every position: "mean", "pyramid" or "aspp" (see
            `keras_fcn.network.context`), or "none"; True is "mean".
        auxiliary: Whether the model has a second output for training, logits of an auxiliary head on P4, for a loss
            closer to the earlier layers (Zhao et al.: Pyramid Scene Parsing Network, CVPR 2017, section 3.3).
        input_scale: The fraction of its size at which the network processes an image; see `with_input_scale`.
        output_stride: The greatest stride of the backbone; see `build_backbone`.
        channels: The number of channels of images, or which of a file they are, as `open_pairs` takes them; kept in
            the model. Those beyond three are normalized by the mean of RGB's mean and deviation.

    Returns:
        A functional model from images [N, H, W, channels], RGB, values 0-255, to logits float32 [N, H, W, num_classes];
        with `auxiliary` to a list of two such tensors.

    Raises:
        ValueError: If `model`, `backbone`, `context` or `upscore_init` has an unknown name, `classes` and `num_classes`
            disagree, or `input_scale` is less than 0.0001.

    Examples:
        >>> network = build_fcn("fcn8s", "resnet18_v2", num_classes=21)
        >>> network.output_shape
        (None, None, None, 21)
    """
    if model not in NETWORKS | HEADS:
        raise ValueError(f"model must be one of {', '.join(NETWORKS | HEADS)}. Received: {model!r}")
    context = OLD_CONTEXTS.get(str(context).lower(), context)
    if context not in ("none", *CONTEXTS):
        raise ValueError(f"context must be one of none, {', '.join(CONTEXTS)}. Received: {context!r}")
    if context != "none" and model in HEADS:
        raise UserError(f"{argument('context')} is for {', '.join(NETWORKS)}. Received: {argument('model', model)}")
    if upscore_init not in UPSCORE_INITS:
        raise ValueError(f"upscore_init must be one of {', '.join(UPSCORE_INITS)}. Received: {upscore_init!r}")
    if classes is None:
        classes = ClassTable.numbered(21 if num_classes is None else num_classes)
    if num_classes not in (None, classes.num_classes):
        raise ValueError(f"classes has {classes.num_classes} classes, but num_classes={num_classes}")
    backbone = find_backbone(backbone)
    read = Channels(str(channels))
    body = build_backbone(backbone, weights, output_stride, NETWORKS.get(model) == 4, read.count)
    mean, std = map(np.array, backbone.normalization(read.count))

    image = keras.Input((None, None, read.count), name="image")
    normalized = layers.Rescaling((1 / std).tolist(), (-mean / std).tolist(), name="normalization")(image)
    features = body(PadToMultiple(32, name="pad")(normalized))
    if model in HEADS:
        scores, stride = pkgutil.resolve_name(HEADS[model])(features, classes.num_classes, output_stride)
        scores = Enlarge(stride, name=f"upscore{stride}")(scores)
    else:
        top = _score(features["P5"], classes.num_classes, context, output_stride)
        scores = _decode(top, features, NETWORKS[model], UPSCORE_INITS[upscore_init], output_stride)
    # Logits are float32 for the loss and argmax, also with mixed precision.
    logits = Logits(classes, channels=read.text, dtype="float32", name="logits")([scores, image])
    outputs = (
        [logits, _auxiliary_logits(features["P4"], classes, image, min(16, output_stride))] if auxiliary else logits
    )
    return with_input_scale(keras.Model(image, outputs, name=f"{model}_{backbone.name}"), input_scale)


def with_input_scale(network: keras.Model, scale: float) -> keras.Model:
    """Wraps a network, so that it processes resized images; the logits are resized back to the images' size.

    Args:
        network: A network of `build_fcn` with an input scale of 1; it is not changed, and shares its weights.
        scale: The fraction of their height and width to which images are resized; with 1, the network is returned.

    Raises:
        ValueError: If `scale` is less than 0.0001.
    """
    if not scale >= 0.0001:
        raise ValueError(f"input_scale must be at least 0.0001. Received: {scale}")
    if scale == 1:
        return network
    resize = ScaleImage(scale, dtype="float32", name="input_scale")

    def call(layer, inputs, **options):
        if isinstance(layer, layers.Rescaling):
            inputs = resize(inputs)
        if isinstance(layer, Logits):
            kept = layer.classes, scale, layer.temperature, layer.thresholds, layer.channels
            layer = Logits(*kept, dtype="float32", name=layer.name)
        return layer(inputs, **options)

    return keras.models.clone_model(network, clone_function=lambda layer: layer, call_function=call)


def _score(feature, num_classes: int, context: str, stride: int):
    """Returns class scores of P5; those of the context are zero at first, like those of skip connections."""
    scores = layers.Conv2D(num_classes, 1, name="score_fr")(feature)
    if context == "none":
        return scores
    added = pkgutil.resolve_name(CONTEXTS[context])(feature, num_classes, stride)
    return layers.Add(name="fuse_context")([scores, *added])


def _decode(scores, features: dict, final_stride: int, initializer: Callable, stride: int):
    """Upsamples the scores at the stride of P5 to the padded image, with the paper's layer names.

    The skip connections are initialized with zeros, so FCN-16s, FCN-8s and FCN-4s start as FCN-32s.
    """
    num_classes, levels = scores.shape[-1], {4: "upscore2", 3: "upscore_pool4", 2: "upscore_pool3"}
    for level, upscore in levels.items():
        if final_stride > 2**level:
            break
        if stride > 2**level:
            scores = _upsample(scores, num_classes, 2, initializer(2), upscore)
            stride //= 2
        skip = layers.Conv2D(num_classes, 1, kernel_initializer="zeros", name=f"score_pool{level}")
        scores = layers.Add(name=f"fuse_pool{level}")([scores, skip(features[f"P{level}"])])
    return _upsample(scores, num_classes, stride, initializer(stride), f"upscore{stride}")


def _auxiliary_logits(feature, classes: ClassTable, image, stride: int):
    """Returns logits of P4: a 3x3 and a 1x1 convolution, and upsampling without weights."""
    channels = max(feature.shape[-1] // 4, 1)
    x = layers.Conv2D(channels, 3, padding="same", use_bias=False, name="auxiliary_conv")(feature)
    x = layers.ReLU(name="auxiliary_relu")(layers.BatchNormalization(momentum=0.9, name="auxiliary_bn")(x))
    scores = layers.Conv2D(classes.num_classes, 1, name="auxiliary_score")(x)
    scores = layers.UpSampling2D(stride, interpolation="bilinear", name="auxiliary_upscore")(scores)
    return Logits(classes, dtype="float32", name="auxiliary_logits")([scores, image])


def _upsample(scores, num_classes: int, stride: int, initializer: keras.initializers.Initializer, name: str):
    return Upscore(num_classes, 2 * stride, stride, "same", use_bias=False, kernel_initializer=initializer, name=name)(
        scores
    )
