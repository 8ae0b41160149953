"""Networks of torchvision that segment, from the files that it publishes."""

from __future__ import annotations

import re

import keras

from keras_fcn.errors import UserError, argument
from keras_fcn.images.classes import ClassTable
from keras_fcn.network.fcn import build_fcn
from keras_fcn.network.parts import Parts
from keras_fcn.network.weights.assignment import Tensors, assign_by, assign_tensors
from keras_fcn.network.weights.names import Convention

_CONVOLUTION_AND_NORM = {"_conv": ".0", "_bn": ".1"}

_FCN = {"head_conv": "classifier.0", "head_bn": "classifier.1", "score_fr": "classifier.4"}

_DEEPLABV3 = {
    **{f"aspp{number + 1}{part}": f"classifier.0.convs.{number}{place}"
       for number in range(4) for part, place in _CONVOLUTION_AND_NORM.items()},
    "aspp5_conv": "classifier.0.convs.4.1",
    "aspp5_bn": "classifier.0.convs.4.2",
    "project_conv": "classifier.0.project.0",
    "project_mean": "classifier.0.project.mean",
    "project_bn": "classifier.0.project.1",
    "head_conv": "classifier.1",
    "head_bn": "classifier.2",
    "score_fr": "classifier.4",
}  # fmt: skip

_LRASPP = {
    "head_conv": "classifier.cbr.0",
    "head_bn": "classifier.cbr.1",
    "scale_conv": "classifier.scale.1",
    "score_low": "classifier.low_classifier",
    "score_fr": "classifier.high_classifier",
}

_HEADS = {
    "lraspp": ("classifier.low_classifier.weight", _LRASPP),
    "deeplabv3": ("classifier.0.convs.0.0.weight", _DEEPLABV3),
    "fcn": ("classifier.4.weight", _FCN),
}
"""A tensor that only this network has, and torchvision's names of our head's layers, by the name of the network."""

_RESNETS = {6: "resnet50_v1b", 23: "resnet101_v1b", 36: "resnet152_v1b"}
"""ResNets by the number of blocks in their third stage."""


def read_torchvision(tensors: Tensors) -> keras.Model:
    """Builds a network of torchvision that segments: FCN, DeepLabV3 or LR-ASPP, with its weights and VOC's 21 classes.

    Its auxiliary head is left out. For images of heights and widths that are multiples of 32, the logits are those of
    torchvision.

    Args:
        tensors: The result of `read_weight_file` for one of its files.

    Raises:
        UserError: If it is another network, or a tensor is missing, left over or of another shape.
    """
    head, layers = next(((name, layers) for name, (mark, layers) in _HEADS.items() if mark in tensors), ("", {}))
    backbone = _backbone(tensors)
    if not head or not backbone:
        raise UserError(
            "holds none of torchvision's networks that segment: fcn or deeplabv3 of ResNet-50, -101 or -152, "
            f"deeplabv3 or lraspp of MobileNetV3-Large; a backbone alone is for {argument('weights')}"
        )
    scores = f"{layers['score_fr']}.weight"
    if scores not in tensors or tensors[scores].ndim == 0:
        raise UserError(f"lacks {scores} of torchvision's {head}, which tells the number of classes")
    classes, found = ClassTable.voc(), tensors[scores].shape[0]
    if found != classes.num_classes:
        raise UserError(f"has {found} classes whose names are not told; torchvision's files have VOC's 21")
    stride = 8 if backbone in _RESNETS.values() else 16
    network = build_fcn(head, backbone, classes=classes, output_stride=stride)
    theirs = {name: tensor for name, tensor in tensors.items() if name.startswith("backbone.")}
    features = "features." if backbone == "mobilenet_v3_large" else ""
    assign_tensors(
        Parts(network).backbone, {features + name.removeprefix("backbone."): theirs[name] for name in theirs}
    )
    others = _halved({name: tensor for name, tensor in tensors.items() if name not in theirs})
    convention = Convention(
        f"torchvision's {head}",
        mark="",
        backbones=(network.name,),
        prefix=lambda layer, _: layers[layer],
        ignored=r"aux_classifier\..*|.*\.num_batches_tracked",
    )
    assign_by(convention, network, others)
    return network


def _backbone(tensors: Tensors) -> str:
    """Returns the name of our backbone, "" for none."""
    if "backbone.0.0.weight" in tensors:
        return "mobilenet_v3_large"
    blocks = sum(bool(re.fullmatch(r"backbone\.layer3\.\d+\.conv3\.weight", name)) for name in tensors)
    return _RESNETS.get(blocks, "")


def _halved(tensors: Tensors) -> Tensors:
    """Returns tensors in which the kernel over the atrous pyramid is divided: its part for the mean is a layer here."""
    name = "classifier.0.project.0.weight"
    kernel = tensors.get(name)
    if kernel is None or kernel.ndim != 4:
        return tensors
    mean = "classifier.0.project.mean.weight"
    return {**tensors, name: kernel[:, : 4 * 256], mean: kernel[:, 4 * 256 :]}
