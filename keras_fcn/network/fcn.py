"""The fully convolutional networks FCN-32s, FCN-16s and FCN-8s: one decoder over any backbone."""

from __future__ import annotations

from collections.abc import Callable, Iterator

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
        input_scale: At which share of its size the network sees an image; the scores come back at the image's size.
            Weights are the same for every share.

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
    if not input_scale >= 0.0001:
        raise ValueError(f"input_scale must be at least 0.0001. Received: {input_scale}")
    backbone = find_backbone(backbone)
    body = build_backbone(backbone, weights)
    mean, std = np.array(backbone.mean), np.array(backbone.std)

    image = keras.Input((None, None, 3), name="image")
    seen = image if input_scale == 1 else ScaleImage(input_scale, dtype="float32", name="input_scale")(image)
    normalized = layers.Rescaling((1 / std).tolist(), (-mean / std).tolist(), name="normalization")(seen)
    features = body(PadToMultiple(32, name="pad")(normalized))
    top = _score(features["P5"], classes.num_classes, context)
    scores = _decode(top, features, NETWORKS[model], UPSCORE_INITS[upscore_init])
    # Whatever the precision of the layers before, the loss and argmax see float32.
    logits = Logits(classes, input_scale, dtype="float32", name="logits")([scores, image])
    outputs = [logits, _auxiliary_logits(features["P4"], classes, input_scale, image)] if auxiliary else logits
    return keras.Model(image, outputs, name=f"{model}_{backbone.name}")


def class_table(model: keras.Model) -> ClassTable:
    """Returns the class names and colours that a model of `build_fcn` carries.

    Raises:
        ValueError: If the model has no `Logits` layer: it is not one of ours.
    """
    for layer in reversed(model.layers):
        if isinstance(layer, Logits):
            return layer.classes
    raise ValueError(f"model {model.name!r} was not built by keras_fcn.build_fcn: it has no Logits layer")


def flat_layers(model: keras.Model) -> Iterator[keras.layers.Layer]:
    """Yields the layers of a model, those of models nested in it included."""
    for layer in model.layers:
        yield from flat_layers(layer) if isinstance(layer, keras.Model) else (layer,)


def normalize(model: keras.Model, image):
    """Returns what a model of `build_fcn` feeds its backbone.

    Args:
        model: The network.
        image: [N, H, W, 3], RGB in 0-255.

    Returns:
        float32 [N, H', W', 3], normalized, H' and W' padded to multiples of 32.
    """
    return model.get_layer("pad")(model.get_layer("normalization")(image))


def upsampling_layers(model: keras.Model) -> list[keras.layers.Layer]:
    """Returns the layers that bring scores to the padded image, that of the auxiliary head, if there is one, last."""
    layers_of = {layer.name: layer for layer in model.layers}
    names = (*(f"upscore{stride}" for stride in NETWORKS.values()), "auxiliary_upscore")
    return [layers_of[name] for name in names if name in layers_of]


def scorer_of(model: keras.Model, from_features: bool = False) -> keras.Model:
    """Returns the part of a network before its scores are upsampled to the image, with the same layers.

    Args:
        model: A network of `build_fcn`, with or without an auxiliary head.
        from_features: Whether it begins behind the backbone.

    Returns:
        From images, or from the features that the network uses in the order of `decoder_levels`, to a list of what
        each of `upsampling_layers` is fed.
    """
    features = [model.get_layer(layer).input for layer in decoder_levels(model).values()]
    scores = [layer.input for layer in upsampling_layers(model)]
    return keras.Model(features if from_features else model.input, scores, name="scorer")


def decoder_levels(model: keras.Model) -> dict[str, str]:
    """Returns the features that a network uses, each with the name of the layer that takes it."""
    names = {layer.name for layer in model.layers}
    taken = {"P5": "score_fr", "P4": "score_pool4", "P3": "score_pool3"}
    levels = {level: layer for level, layer in taken.items() if layer in names}
    if "auxiliary_conv" in names:
        levels.setdefault("P4", "auxiliary_conv")
    return levels


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


def _auxiliary_logits(feature, classes: ClassTable, input_scale: float, image):
    """Scores a feature at stride 16 by a 3x3 and a 1x1 convolution, and upsamples without weights."""
    channels = max(feature.shape[-1] // 4, 1)
    x = layers.Conv2D(channels, 3, padding="same", use_bias=False, name="auxiliary_conv")(feature)
    x = layers.ReLU(name="auxiliary_relu")(layers.BatchNormalization(momentum=0.9, name="auxiliary_bn")(x))
    scores = layers.Conv2D(classes.num_classes, 1, name="auxiliary_score")(x)
    scores = layers.UpSampling2D(16, interpolation="bilinear", name="auxiliary_upscore")(scores)
    return Logits(classes, input_scale, dtype="float32", name="auxiliary_logits")([scores, image])


def _upsample(scores, num_classes: int, stride: int, initializer: keras.initializers.Initializer, name: str):
    return Upscore(num_classes, 2 * stride, stride, "same", use_bias=False, kernel_initializer=initializer, name=name)(
        scores
    )
