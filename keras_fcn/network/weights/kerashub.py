"""ImageNet weights from KerasHub, for backbones that `keras.applications` lacks."""

from __future__ import annotations

import re
from typing import Any

import keras
import numpy as np
from keras import layers

from keras_fcn.errors import UserError, argument
from keras_fcn.network.weights.assignment import Tensors, assign_tensors
from keras_fcn.system.packages import require_packages
from keras_fcn.system.text import reason_of

PRESETS = {
    "resnet18_v1": ("resnet_18_imagenet", "timm/resnet18.a1_in1k"),
    "resnet34_v1": ("hf://timm/resnet34.a1_in1k", "timm/resnet34.a1_in1k"),
    "resnet50_v1b": ("resnet_50_imagenet", "timm/resnet50.a1_in1k"),
    "resnet101_v1b": ("resnet_101_imagenet", "timm/resnet101.a1_in1k"),
    "resnet152_v1b": ("resnet_152_imagenet", "timm/resnet152.a1_in1k"),
}
"""KerasHub's preset, and timm's repository on Hugging Face with the same weights, by backbone.

KerasHub has no ResNet-34 preset of its own (its `resnet_vd_34_imagenet` is another architecture), but reads timm's; the
others were converted from timm's (tools/checkpoint_conversion/convert_resnet_checkpoints.py in KerasHub's repository).
All expect the image normalization of these backbones: timm's `pretrained_cfg` has the mean (0.485, 0.456, 0.406) and
the standard deviation (0.229, 0.224, 0.225) of RGB in 0-1, from which KerasHub's utils/timm/preset_loader.py makes the
image converter, scale = 1 / 255 / std and offset = -mean / std.
"""

_BATCH_NORM = {"gamma": "weight", "beta": "bias", "moving_mean": "running_mean", "moving_variance": "running_var"}


def load_kerashub_preset(backbone: keras.Model) -> None:
    """Loads ImageNet weights into a backbone; KerasHub downloads, verifies and caches them.

    Args:
        backbone: A model of `build_backbone` whose name is in `PRESETS`.

    Raises:
        UserError: If KerasHub is not installed, or the download fails.
    """
    preset, timm = PRESETS[backbone.name]
    weights, imagenet, none = argument("weights"), argument("weights", "imagenet"), argument("weights", "none")
    require_packages(f"{imagenet} for {backbone.name}", "extra", "keras_hub")
    try:
        import keras_hub  # takes seconds

        copy_kerashub_weights(keras_hub.models.Backbone.from_preset(preset), backbone)
    except Exception as error:  # its type depends on how KerasHub downloads
        raise UserError(
            f"{imagenet}: KerasHub could not load {preset} ({reason_of(error)}); download model.safetensors from "
            f"https://huggingface.co/{timm} by hand and give it as {weights} FILE, or train from random weights with "
            f"{none}"
        ) from None


def copy_kerashub_weights(source: Any, backbone: keras.Model) -> None:
    """Copies the weights of a KerasHub ResNet into the same backbone of ours, or none of them in case of an error.

    Only V1 networks are the same. KerasHub's V2 networks of basic blocks have our (Gluon's) blocks, but neither batch
    normalization of the image before the first convolution, nor batch normalization and ReLU after it.

    Args:
        source: A `keras_hub.models.ResNetBackbone`.
        backbone: A model of `build_backbone`.

    Raises:
        ValueError: If the source is of another architecture.
    """
    kind = (source.use_pre_activation, source.block_type, list(source.stackwise_num_strides))
    if kind not in [(False, block_type, [1, 2, 2, 2]) for block_type in ("basic_block", "bottleneck_block")]:
        raise ValueError(
            "KerasHub's network must have use_pre_activation=False, block_type basic_block or bottleneck_block, and "
            "stackwise_num_strides=[1, 2, 2, 2], since others compute different features with the same weights. "
            f"Received: use_pre_activation={kind[0]}, block_type={kind[1]}, stackwise_num_strides={kind[2]}"
        )
    assign_tensors(backbone, _as_torchvision(source))


def _as_torchvision(source: keras.Model) -> Tensors:
    """Returns the weights with torchvision's names and order of axes, as in timm."""
    tensors = {}
    for layer in source.layers:
        name = _torchvision_name(layer.name)
        if isinstance(layer, layers.Conv2D):
            tensors[f"{name}.weight"] = np.asarray(layer.kernel).transpose(3, 2, 0, 1)
        elif isinstance(layer, layers.BatchNormalization):
            tensors |= {f"{name}.{theirs}": np.asarray(getattr(layer, ours)) for ours, theirs in _BATCH_NORM.items()}
    return tensors


def _torchvision_name(layer: str) -> str:
    """Returns "layer2.0.bn1" for "stack1_block0_1_bn", "layer2.0.downsample.1" for "stack1_block0_0_bn"."""
    match = re.fullmatch(r"stack(\d)_block(\d+)_(\d)_(conv|bn)", layer)
    if match is None:
        return {"conv1_conv": "conv1", "conv1_bn": "bn1"}.get(layer, layer)
    stack, block, number, kind = match.groups()
    part = f"{kind}{number}" if number != "0" else {"conv": "downsample.0", "bn": "downsample.1"}[kind]
    return f"layer{int(stack) + 1}.{block}.{part}"
