"""Weights of other programs give the same features in our backbones as in NumPy."""

import keras
import numpy as np
import pytest
from numpy_resnet import mxnet_file, resnet18_v1, resnet18_v2
from safetensors.numpy import save_file

from keras_fcn.errors import UserError
from keras_fcn.network.backbones import build_backbone
from keras_fcn.training.inputs.initial_weights import load_backbone_weights

IMAGE = np.random.default_rng(1).normal(size=(64, 96, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def torchvision():
    """Returns tensors with torchvision's names and their features; tests only read them."""
    return resnet18_v1(IMAGE)


@pytest.fixture(scope="module")
def gluon():
    return resnet18_v2(IMAGE)


def features(backbone):
    found = backbone.predict(IMAGE[None], verbose=0)
    return [found[level][0] for level in ("P3", "P4", "P5")]


def assert_features(backbone, expected):
    for ours, theirs in zip(features(backbone), expected, strict=True):
        assert np.abs(theirs).mean() > 0.1
        np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-3 * np.abs(theirs).max())


def changed(tensors, **changes):
    """Returns tensors with some replaced, added or, if None, removed; `__` in a keyword stands for a dot."""
    merged = {**tensors, **{name.replace("__", "."): value for name, value in changes.items()}}
    return {name: value for name, value in merged.items() if value is not None}


def test_torchvisions_resnet18_gives_the_same_features(torchvision, tmp_path):
    expected, tensors = torchvision
    save_file(tensors, tmp_path / "model.safetensors")
    backbone = build_backbone("resnet18_v1")
    loaded = load_backbone_weights(backbone, str(tmp_path / "model.safetensors"))
    assert loaded.description.endswith(
        "model.safetensors, torchvision's or timm's ResNet-18 or -34, all of resnet18_v1"
    )
    assert not loaded.is_folded
    assert_features(backbone, expected)


@pytest.mark.parametrize("prefix", ["", "arg:"])
def test_gluons_resnet18_gives_the_same_features(gluon, tmp_path, prefix):
    expected, tensors = gluon
    (tmp_path / "resnet18_v2.params").write_bytes(mxnet_file(tensors, prefix=prefix))
    backbone = build_backbone("resnet18_v2")
    load_backbone_weights(backbone, str(tmp_path / "resnet18_v2.params"))
    assert_features(backbone, expected)


def counted(tensors):
    """Returns the tensors with MXNet's names before 1.2: kinds counted in each stage in the order of creation."""
    numbers, found = {}, {}
    for name, tensor in tensors.items():
        layer, _, weight = name.rpartition(".")
        parts = layer.split(".")
        stage = f"stage{int(parts[1]) - 4}_" if len(parts) == 4 else ""
        kind = {2: "dense", 4: "conv"}.get(tensor.ndim, "dense" if layer == "output" else "batchnorm")
        layers = numbers.setdefault(f"{stage}{kind}", [])
        layers += [layer] if layer not in layers else []
        found[f"{stage}{kind}{layers.index(layer)}_{weight}"] = tensor
    return found


@pytest.mark.parametrize("prefix", ["", "resnetv20_"])
def test_gluons_older_names_mean_the_same(gluon, tmp_path, prefix):
    expected, tensors = gluon
    older = counted(tensors)
    assert {"batchnorm2_gamma", "stage2_conv2_weight", "stage4_conv4_weight", "dense0_bias"} < set(older)
    (tmp_path / "old.params").write_bytes(mxnet_file(older, prefix=prefix))
    backbone = build_backbone("resnet18_v2")
    load_backbone_weights(backbone, str(tmp_path / "old.params"))
    assert_features(backbone, expected)


def folded(tensors):
    """Returns tensors with batch normalization folded into the convolutions, with torchvision's names."""
    found = {}
    for name, kernel in tensors.items():
        if kernel.ndim == 4:
            layer = name.removesuffix(".weight")
            norm = layer.replace("downsample.0", "downsample.1").replace("conv", "bn")
            scale = tensors[f"{norm}.weight"] / np.sqrt(tensors[f"{norm}.running_var"] + 1e-5)
            found[f"{layer}/kernel"] = (kernel * scale[:, None, None, None]).transpose(2, 3, 1, 0)
            found[f"{layer}/bias"] = tensors[f"{norm}.bias"] - tensors[f"{norm}.running_mean"] * scale
    return found


def test_folded_weights_give_the_same_features(torchvision, tmp_path):
    expected, tensors = torchvision
    np.savez(tmp_path / "weights.npz", **folded(tensors))
    backbone = build_backbone("resnet18_v1")
    assert load_backbone_weights(backbone, str(tmp_path / "weights.npz")).is_folded
    assert_features(backbone, expected)


def test_a_folded_file_may_lack_the_last_stage(torchvision, tmp_path):
    expected, tensors = torchvision
    kept = {name: value for name, value in folded(tensors).items() if "layer4" not in name or "downsample" in name}
    np.savez(tmp_path / "weights.npz", **kept)
    backbone = build_backbone("resnet18_v1")
    before = np.asarray(backbone.get_layer("stage4_block2_conv1").kernel)
    loaded = load_backbone_weights(backbone, str(tmp_path / "weights.npz"))
    lacking = [f"stage4_block{block}_conv{conv}" for block in (1, 2) for conv in (1, 2)]
    assert loaded.description.endswith(f"all of resnet18_v1, but {', '.join(lacking)}, which start random")
    np.testing.assert_array_equal(backbone.get_layer("stage4_block2_conv1").kernel, before)
    for ours, theirs in zip(features(backbone)[:2], expected):
        np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-3 * np.abs(theirs).max())

    del kept["layer3.1.conv2/kernel"]
    np.savez(tmp_path / "weights.npz", **kept)
    with pytest.raises(UserError, match=r"weights.npz: lacks layer3.1.conv2/kernel of resnet18_v1$"):
        load_backbone_weights(backbone, str(tmp_path / "weights.npz"))


def test_folded_convolutions_of_mobilenet_are_taken_in_their_order(tmp_path):
    """MobileNetV2 has the same features with and without folding, which is done here layer by layer."""
    source = build_backbone("mobilenet_v2")
    rng = np.random.default_rng(2)
    tensors = {"52_conv/kernel": np.ones((1, 1, 1280, 1001), "f"), "52_conv/bias": np.ones(1001, "f")}
    for layer in source.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.set_weights([rng.uniform(0.5, 1.5, weight.shape) for weight in layer.weights])
            (convolution,) = [node.operation for node in layer._inbound_nodes[0].parent_nodes]
            gamma, beta, mean, variance = (np.asarray(weight) for weight in layer.weights)
            scale, kernel = gamma / np.sqrt(variance + layer.epsilon), np.asarray(convolution.kernel)
            is_depthwise = isinstance(convolution, keras.layers.DepthwiseConv2D)
            name = f"{len(tensors) // 2 - 1:02d}_{'dwconv' if is_depthwise else 'conv'}"
            tensors[f"{name}/kernel"] = kernel * (scale[:, None] if is_depthwise else scale)
            tensors[f"{name}/bias"] = beta - mean * scale
    assert {"00_conv/kernel", "01_dwconv/kernel", "50_conv/kernel", "51_conv/bias"} < set(tensors)
    np.savez(tmp_path / "weights.npz", **tensors)
    backbone = build_backbone("mobilenet_v2")
    load_backbone_weights(backbone, str(tmp_path / "weights.npz"))
    for ours, theirs in zip(features(backbone), features(source)):
        assert np.abs(theirs).mean() > 0.01
        np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"layer2__0__bn1__bias": None}, r"lacks layer2.0.bn1.bias of resnet18_v1$"),
        ({"layer1__2__conv1__weight": np.ones(3, "f")}, r"holds layer1.2.conv1.weight, which resnet18_v1 does not"),
        (
            {"conv1__weight": np.ones((64, 3, 3, 3), "f")},
            r"conv1.weight, .* is 3x3x3x64 of float32 .* must be 7x7x3x64",
        ),
        ({"conv1__weight": np.ones((64, 3, 7, 7), "i4")}, r"conv1.weight, .* of int32 .* of float32$"),
        ({"bn1__weight": np.ones((), "f")}, r"bn1.weight, for the gamma of bn1, is a scalar"),
        ({"bn1__running_var": -np.ones(64, "f")}, r"bn1.running_var is a variance, but holds -1.0$"),
        ({"layer1__0__conv1__weight": None}, r"are named by no known convention: torchvision's"),
    ],
    ids=["missing", "unexpected", "shape", "integers", "scalar", "variance", "unknown"],
)
def test_what_does_not_fit_is_named_and_nothing_is_loaded(torchvision, tmp_path, changes, message):
    path = tmp_path / "model.safetensors"
    save_file(changed(torchvision[1], **changes), path)
    backbone = build_backbone("resnet18_v1")
    before = backbone.get_weights()
    with pytest.raises(UserError, match=message) as caught:
        load_backbone_weights(backbone, str(path))
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)
    for weight, expected in zip(backbone.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, expected)


def test_weights_for_another_backbone_are_refused(torchvision, gluon, tmp_path):
    save_file(torchvision[1], tmp_path / "v1.safetensors")
    save_file(gluon[1], tmp_path / "v2.safetensors")
    with pytest.raises(UserError, match=r"for backbone resnet18_v1 or resnet34_v1. Received: backbone='resnet18_v2'$"):
        load_backbone_weights(build_backbone("resnet18_v2"), str(tmp_path / "v1.safetensors"))
    with pytest.raises(UserError, match=r"holds Gluon's ResNet-18 or -34 V2, for backbone resnet18_v2 or resnet34_v2"):
        load_backbone_weights(build_backbone("resnet18_v1"), str(tmp_path / "v2.safetensors"))
    with pytest.raises(UserError, match=r"lacks layer1.2.conv1.weight, .* more of resnet34_v1$"):
        load_backbone_weights(build_backbone("resnet34_v1"), str(tmp_path / "v1.safetensors"))


def test_a_shift_of_the_normalized_images_goes_into_their_mean(gluon, tmp_path):
    shift = np.array([0.5, -1, 2], "f")
    mean, variance = gluon[1]["features.0.running_mean"], gluon[1]["features.0.running_var"]
    save_file(changed(gluon[1], features__0__beta=shift), tmp_path / "v2.safetensors")
    backbone = build_backbone("resnet18_v2")
    load_backbone_weights(backbone, str(tmp_path / "v2.safetensors"))
    expected = (IMAGE - mean) / np.sqrt(variance + 1e-5) + shift
    np.testing.assert_allclose(backbone.get_layer("bn_image")(IMAGE[None])[0], expected, rtol=0, atol=1e-5)

    save_file(changed(gluon[1], features__0__beta=np.ones(1, "f")), tmp_path / "v2.safetensors")
    with pytest.raises(
        UserError, match=r"v2.safetensors: features.0.beta, .* of bn_image, is 1 of float32 .* must be 3"
    ):
        load_backbone_weights(backbone, str(tmp_path / "v2.safetensors"))
