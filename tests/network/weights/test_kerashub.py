"""KerasHub's ResNets and ours, with their weights, compute the same features. Nothing is downloaded."""

import importlib.machinery
import json
import sys
import types

import keras
import numpy as np
import pytest
from numpy_resnet import resnet18_v1
from safetensors.numpy import save_file

from keras_fcn.errors import UserError
from keras_fcn.network.backbones import build_backbone, find_backbone
from keras_fcn.network.weights import kerashub
from keras_fcn.network.weights.kerashub import copy_kerashub_weights
from keras_fcn.training.inputs.initial_weights import load_backbone_weights

IMAGE = np.random.default_rng(1).normal(size=(64, 96, 3)).astype(np.float32)
NETS = {
    "resnet18_v1": ("basic_block", [2, 2, 2, 2]),
    "resnet34_v1": ("basic_block", [3, 4, 6, 3]),
    "resnet50_v1b": ("bottleneck_block", [3, 4, 6, 3]),
}
LEVELS = ("P3", "P4", "P5")


@pytest.fixture(scope="module")
def hub():
    return pytest.importorskip("keras_hub", reason="KerasHub is not installed: pip install keras-hub")


@pytest.fixture(scope="module")
def backbone():
    """Returns our ResNet-18 V1; tests only fail to load weights into it."""
    return build_backbone("resnet18_v1")


def kerashub_resnet(hub, blocks, **changes):
    """Returns a ResNet of KerasHub with random weights and random statistics."""
    config = {
        "input_conv_filters": [64],
        "input_conv_kernel_sizes": [7],
        "stackwise_num_filters": [64, 128, 256, 512],
        "stackwise_num_blocks": blocks,
        "stackwise_num_strides": [1, 2, 2, 2],
        "block_type": "basic_block",
        "use_pre_activation": False,
    }
    net, rng = hub.models.ResNetBackbone(**{**config, **changes}), np.random.default_rng(0)
    for layer in net.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            for weight in layer.weights:
                is_scale = weight.name in ("gamma", "moving_variance")
                weight.assign(rng.uniform(0.5, 1.5, weight.shape) if is_scale else rng.normal(0, 0.2, weight.shape))
    return net


@pytest.mark.parametrize("name", NETS)
def test_features_equal_kerashubs(hub, name):
    block_type, blocks = NETS[name]
    source, backbone = kerashub_resnet(hub, blocks, block_type=block_type), build_backbone(name)
    copy_kerashub_weights(source, backbone)
    pyramid = keras.Model(source.input, {level: source.pyramid_outputs[level] for level in LEVELS})
    expected, found = pyramid(IMAGE[None], training=False), backbone(IMAGE[None], training=False)
    for level in LEVELS:
        theirs = np.asarray(expected[level])
        assert theirs.mean() > 0.1
        np.testing.assert_allclose(found[level], theirs, rtol=0, atol=1e-4 * theirs.max())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"block_type": "bottleneck_block"}, r"holds torchvision's .* ResNet-50.*Received: backbone='resnet18_v1'$"),
        ({"use_pre_activation": True}, r"Received: use_pre_activation=True, block_type=basic_block, stackwise_num"),
        ({"block_type": "basic_block_vd"}, r"Received: .*block_type=basic_block_vd"),
        ({"stackwise_num_strides": [1, 2, 2, 1]}, r"Received: .*stackwise_num_strides=\[1, 2, 2, 1\]$"),
        ({"stackwise_num_filters": [64, 128, 256, 256]}, r"layer4.0.conv1.weight.* is 3x3x256x256 .* 3x3x256x512"),
        ({"blocks": [2, 2, 3, 2]}, r"holds layer3.2.conv1.weight, .* which resnet18_v1 does not have"),
        ({"blocks": [2, 2, 2, 1]}, r"lacks layer4.1.conv1.weight, .* of resnet18_v1"),
    ],
)
def test_other_architectures_are_refused(hub, backbone, changes, message):
    before = backbone.get_weights()
    with pytest.raises(ValueError, match=message):
        copy_kerashub_weights(kerashub_resnet(hub, **{"blocks": [2, 2, 2, 2], **changes}), backbone)
    for weight, expected in zip(backbone.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, expected)


def test_weights_of_timm_come_through_kerashub(hub, tmp_path, monkeypatch):
    """Loads a preset in the form of timm's repositories from a folder instead of the network."""
    normalization = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}
    cfg = {"input_size": [3, 64, 96], "interpolation": "bicubic", **normalization}
    (tmp_path / "config.json").write_text(json.dumps({"architecture": "resnet18", "pretrained_cfg": cfg}))
    expected, tensors = resnet18_v1(IMAGE)
    save_file(tensors, tmp_path / "model.safetensors")
    monkeypatch.setitem(kerashub.PRESETS, "resnet18_v1", (str(tmp_path), "timm/resnet18"))
    backbone = build_backbone("resnet18_v1")
    load_backbone_weights(backbone, "imagenet")
    found = backbone(IMAGE[None], training=False)
    for level, theirs in zip(LEVELS, expected, strict=True):
        np.testing.assert_allclose(found[level][0], theirs, rtol=0, atol=1e-4 * theirs.max())

    image = np.random.default_rng(2).integers(0, 256, (64, 96, 3)).astype(np.float32)
    converter = hub.layers.ImageConverter.from_preset(str(tmp_path))
    entry = find_backbone("resnet18_v1")
    np.testing.assert_allclose(converter(image), (image - entry.mean) / entry.std, rtol=0, atol=1e-5)


def test_without_kerashub_the_user_learns_how_to_install_it(backbone, monkeypatch):
    monkeypatch.setitem(sys.modules, "keras_hub", None)
    with pytest.raises(
        UserError,
        match=r"^weights='imagenet' for resnet18_v1: needs keras_hub, .* requirements-extra.txt",
    ):
        load_backbone_weights(backbone, "imagenet")


def test_without_a_network_the_user_learns_which_file_to_fetch(backbone, monkeypatch):
    def from_preset(preset):
        raise ConnectionError(f"cannot resolve\nwhere {preset} is")

    module = types.ModuleType("keras_hub")
    module.__spec__ = importlib.machinery.ModuleSpec("keras_hub", None)
    module.models = types.SimpleNamespace(Backbone=types.SimpleNamespace(from_preset=from_preset))
    monkeypatch.setitem(sys.modules, "keras_hub", module)
    with pytest.raises(UserError, match=r"cannot resolve\).* weights FILE, .* weights='none'$") as caught:
        load_backbone_weights(backbone, "imagenet")
    assert "download model.safetensors from https://huggingface.co/timm/resnet18.a1_in1k by hand" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", kerashub.PRESETS)
def test_presets_are_ones_that_kerashub_has(hub, name):
    preset, timm = kerashub.PRESETS[name]
    assert preset in hub.models.ResNetBackbone.presets or preset == f"hf://{timm}"
