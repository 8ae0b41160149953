"""The fully convolutional networks FCN-32s, FCN-16s and FCN-8s: one decoder over any backbone."""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np
from keras import layers

from keras_fcn.images.classes import ClassTable
from keras_fcn.network.backbones import Backbone, build_backbone, find_backbone
from keras_fcn.network.initializers import Bilinear
from keras_fcn.network.layers import Logits, PadToMultiple, ScaleImage
from keras_fcn.network.upscore import Upscore
from keras_fcn.runs.names import NETWORKS

UPSCORE_INITS: dict[str, Callable[[int], keras.initializers.Initializer]] = {
    "bilinear": Bilinear,
    "xavier": lambda stride: keras.initializers.GlorotUniform(),
}
"""From a stride to what a transposed convolution of this stride starts from."""


def build_fcn(
    model: str = "fcn8s",
    backbone: str | Backbone = "resnet18_v2",
    num_classes: int | None = None,
    classes: ClassTable | None = None,
    weights: str | None = None,
    upscore_init: str = "bilinear",
    context: bool = False,
    auxiliary: bool = False,
    input_scale: float = 1.0,
) -> keras.Model:
    """Builds a fully convolutional network (Long, Shelhamer, Darrell, CVPR 2015, figure 3).

    Images of any height and width go in as they were decoded; normalization and padding happen inside.

    Args:
        model: "fcn32s", "fcn16s" or "fcn8s".
        backbone: A name in `keras_fcn.runs.names.BACKBONES`, or one's own.
        num_classes: Background included; 21 if `classes` is not given either. Names are VOC's if there are 21.
        classes: Names and colours of the classes, instead of `num_classes`.
        weights: "imagenet" to start the backbone from the weights that `keras.applications` or KerasHub publishes.
        upscore_init: What the transposed convolutions start from: "bilinear" interpolation, or "xavier", random numbers
            (Glorot, Bengio, AISTATS 2010, equation 16).
        context: Whether scores of the mean feature of the whole image are added to those of every position, so that all
            of an animal, say, is taken for the same one (Liu, Rabinovich, Berg: ParseNet, 2015, section 3.1; here
            without its normalization, which features behind batch normalization do not need).
        auxiliary: Whether the model has a second output, for training: logits of a head of its own on P4, which brings
            a loss nearer to the layers before (Zhao et al.: Pyramid Scene Parsing Network, CVPR 2017, section 3.3).
        input_scale: The fraction of its size at which the network sees an image; see `with_input_scale`.

    Returns:
        A functional model: images [N, H, W, 3], RGB in 0-255, to logits float32 [N, H, W, num_classes]; with
        `auxiliary` to a list of two of these.

    Raises:
        ValueError: If `model`, `backbone` or `upscore_init` has an unknown name, `classes` and `num_classes` disagree,
            or `input_scale` is less than 0.0001.

    Examples:
        >>> network = build_fcn("fcn8s", "resnet18_v2", num_classes=21)
        >>> network.output_shape
        (None, None, None, 21)
    """
    if model not in NETWORKS:
        raise ValueError(f"model must be one of {', '.join(NETWORKS)}. Received: {model!r}")
    if upscore_init not in UPSCORE_INITS:
        raise ValueError(f"upscore_init must be one of {', '.join(UPSCORE_INITS)}. Received: {upscore_init!r}")
    if classes is None:
        classes = ClassTable.numbered(21 if num_classes is None else num_classes)
    if num_classes not in (None, classes.num_classes):
        raise ValueError(f"classes has {classes.num_classes} classes, but num_classes={num_classes}")
    backbone = find_backbone(backbone)
    body = build_backbone(backbone, weights)
    mean, std = np.array(backbone.mean), np.array(backbone.std)

    image = keras.Input((None, None, 3), name="image")
    normalized = layers.Rescaling((1 / std).tolist(), (-mean / std).tolist(), name="normalization")(image)
    features = body(PadToMultiple(32, name="pad")(normalized))
    top = _score(features["P5"], classes.num_classes, context)
    scores = _decode(top, features, NETWORKS[model], UPSCORE_INITS[upscore_init])
    # Whatever the precision of the layers before, the loss and argmax see float32.
    logits = Logits(classes, dtype="float32", name="logits")([scores, image])
    outputs = [logits, _auxiliary_logits(features["P4"], classes, image)] if auxiliary else logits
    return with_input_scale(keras.Model(image, outputs, name=f"{model}_{backbone.name}"), input_scale)


def with_input_scale(network: keras.Model, scale: float) -> keras.Model:
    """Wraps a network: images are resized, go through its layers, and the logits are resized to the images' size.

    Args:
        network: A network of `build_fcn` that sees images at their size; it is not changed, and shares its weights.
        scale: The fraction of their height and width at which the network sees images; at 1, it is returned as it is.

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
            layer = Logits(layer.classes, scale, dtype="float32", name=layer.name)
        return layer(inputs, **options)

    return keras.models.clone_model(network, clone_function=lambda layer: layer, call_function=call)


def _score(feature, num_classes: int, context: bool):
    """Scores the feature at stride 32; scores of the context start at zero, as those of skip connections do."""
    scores = layers.Conv2D(num_classes, 1, name="score_fr")(feature)
    if not context:
        return scores
    whole = layers.GlobalAveragePooling2D(keepdims=True, name="context")(feature)
    whole = layers.Conv2D(num_classes, 1, kernel_initializer="zeros", name="score_context")(whole)
    return layers.Add(name="fuse_context")([scores, whole])


def _decode(scores, features: dict, final_stride: int, initializer: Callable):
    """Upsamples the scores at stride 32 to the (padded) image, layers named as in the paper.

    The skip connections' scores start at zero, so that FCN-16s and FCN-8s start as FCN-32s.
    """
    num_classes, stride = scores.shape[-1], 32
    for level, upscore in ((4, "upscore2"), (3, "upscore_pool4")):
        if stride == final_stride:
            break
        scores = _upsample(scores, num_classes, 2, initializer(2), upscore)
        skip = layers.Conv2D(num_classes, 1, kernel_initializer="zeros", name=f"score_pool{level}")
        scores = layers.Add(name=f"fuse_pool{level}")([scores, skip(features[f"P{level}"])])
        stride //= 2
    return _upsample(scores, num_classes, stride, initializer(stride), f"upscore{stride}")


def _auxiliary_logits(feature, classes: ClassTable, image):
    """Scores a feature at stride 16 by a 3x3 and a 1x1 convolution, and upsamples without weights."""
    channels = max(feature.shape[-1] // 4, 1)
    x = layers.Conv2D(channels, 3, padding="same", use_bias=False, name="auxiliary_conv")(feature)
    x = layers.ReLU(name="auxiliary_relu")(layers.BatchNormalization(momentum=0.9, name="auxiliary_bn")(x))
    scores = layers.Conv2D(classes.num_classes, 1, name="auxiliary_score")(x)
    scores = layers.UpSampling2D(16, interpolation="bilinear", name="auxiliary_upscore")(scores)
    return Logits(classes, dtype="float32", name="auxiliary_logits")([scores, image])


def _upsample(scores, num_classes: int, stride: int, initializer: keras.initializers.Initializer, name: str):
    return Upscore(num_classes, 2 * stride, stride, "same", use_bias=False, kernel_initializer=initializer, name=name)(
        scores
    )
