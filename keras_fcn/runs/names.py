"""Names that options take, each written once: a table that imports nothing of what it names.

The config's check, `--help` and the documents' tables are made from it; `pkgutil.resolve_name` finds what a name stands
for when it is built.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

NETWORKS = {"fcn32s": 32, "fcn16s": 16, "fcn8s": 8}
"""The networks, each with the stride at which its logits are upsampled to the image at once."""


class BackboneEntry(NamedTuple):
    """A backbone that `build_backbone` builds.

    Attributes:
        function: "module:function", which returns a `keras_fcn.network.backbones.Backbone`.
        arguments: What it is called with.
        imagenet: Who publishes ImageNet weights for it; empty if nobody does.
        files: What `--weights FILE` takes, besides our own files.
    """

    function: str
    arguments: tuple = ()
    imagenet: str = ""
    files: str = ""


_RESNETS, _VGG, _APPLICATIONS = (f"keras_fcn.network.backbones.{name}" for name in ("resnets", "vgg", "applications"))
_KERAS, _HUB = "keras.applications", "KerasHub"
_TORCH, _GLUON = ".safetensors of torchvision or timm", ".params of MXNet Gluon's model zoo"
_FOLDED = "an .npz of folded kernels and biases"

BACKBONES = {
    "resnet18_v2": BackboneEntry(f"{_RESNETS}:basic_v2", (2, 2, 2, 2), files=_GLUON),
    "resnet34_v2": BackboneEntry(f"{_RESNETS}:basic_v2", (3, 4, 6, 3), files=_GLUON),
    "resnet50_v2": BackboneEntry(f"{_APPLICATIONS}:resnet_v2", ("ResNet50V2", 4, 6), _KERAS),
    "resnet101_v2": BackboneEntry(f"{_APPLICATIONS}:resnet_v2", ("ResNet101V2", 4, 23), _KERAS),
    "resnet152_v2": BackboneEntry(f"{_APPLICATIONS}:resnet_v2", ("ResNet152V2", 8, 36), _KERAS),
    "resnet18_v1": BackboneEntry(f"{_RESNETS}:basic_v1", (2, 2, 2, 2), _HUB, f"{_TORCH}, {_FOLDED}"),
    "resnet34_v1": BackboneEntry(f"{_RESNETS}:basic_v1", (3, 4, 6, 3), _HUB, f"{_TORCH}, {_FOLDED}"),
    "resnet50_v1": BackboneEntry(f"{_APPLICATIONS}:resnet_v1", ("ResNet50", 4, 6), _KERAS),
    "resnet101_v1": BackboneEntry(f"{_APPLICATIONS}:resnet_v1", ("ResNet101", 4, 23), _KERAS),
    "resnet152_v1": BackboneEntry(f"{_APPLICATIONS}:resnet_v1", ("ResNet152", 8, 36), _KERAS),
    "resnet50_v1b": BackboneEntry(f"{_RESNETS}:bottleneck_v1", (3, 4, 6, 3), _HUB, _TORCH),
    "resnet101_v1b": BackboneEntry(f"{_RESNETS}:bottleneck_v1", (3, 4, 23, 3), _HUB, _TORCH),
    "resnet152_v1b": BackboneEntry(f"{_RESNETS}:bottleneck_v1", (3, 8, 36, 3), _HUB, _TORCH),
    "vgg16": BackboneEntry(f"{_VGG}:vgg16", (), _KERAS),
    "mobilenet_v2": BackboneEntry(f"{_APPLICATIONS}:mobilenet_v2", (), _KERAS, _FOLDED),
    "efficientnet_v2_b0": BackboneEntry(f"{_APPLICATIONS}:efficientnet_v2", ("B0", "b", "e"), _KERAS),
    "efficientnet_v2_b3": BackboneEntry(f"{_APPLICATIONS}:efficientnet_v2", ("B3", "c", "g"), _KERAS),
    "efficientnet_v2_s": BackboneEntry(f"{_APPLICATIONS}:efficientnet_v2", ("S", "d", "i"), _KERAS),
}

if TYPE_CHECKING:
    ModelName = str
    BackboneName = str
else:  # what the command line takes
    ModelName = Literal[tuple(NETWORKS)]
    BackboneName = Literal[tuple(BACKBONES)]
