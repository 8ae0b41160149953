"""Files of weights that are damaged or of something else: one line, exit status 2, nothing written."""

import urllib.error

import numpy as np
import pytest
from conftest import TINY, Call
from numpy_resnet import resnet18_v1
from safetensors.numpy import save_file

from keras_fcn.errors import UserError
from keras_fcn.network.backbones import build_backbone
from keras_fcn.training.inputs.initial_weights import load_backbone_weights


def assert_refused(path, message, name="resnet18_v2"):
    """Asserts that the file is refused in one line that names it, and that the backbone keeps its weights."""
    backbone = build_backbone(name)
    before = backbone.get_weights()
    with pytest.raises(UserError, match=message) as caught:
        load_backbone_weights(backbone, str(path))
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    for weight, expected in zip(backbone.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, expected)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "backbone.weights.h5"
    build_backbone("resnet18_v2").save_weights(path)
    return path


@pytest.mark.parametrize("length", [100, 30_000, -1000])
def test_a_weights_h5_that_was_cut_off_is_refused(whole, tmp_path, length):
    path = tmp_path / "cut.weights.h5"
    path.write_bytes(whole.read_bytes()[:length])
    assert_refused(path, "does not hold weights of resnet18_v2")


def test_a_weights_h5_of_another_backbone_is_refused(whole):
    assert_refused(whole, "does not hold weights of mobilenet_v2", "mobilenet_v2")


def test_weights_that_are_no_numbers_are_refused(tmp_path):
    source = build_backbone("resnet18_v2")
    source.get_layer("stage2_block1_conv1").kernel.assign(
        np.full(source.get_layer("stage2_block1_conv1").kernel.shape, np.nan)
    )
    source.save_weights(tmp_path / "nan.weights.h5")
    assert_refused(tmp_path / "nan.weights.h5", "stage2_block1_conv1/kernel holds NaN or infinity")


@pytest.mark.parametrize("length", [100, -1000])
def test_a_keras_file_that_was_cut_off_is_refused(trained, tmp_path, length):
    path = tmp_path / "cut.keras"
    path.write_bytes((trained / "best.keras").read_bytes()[:length])
    assert_refused(path, "is a damaged .npz, .pth or .keras file")


def test_a_keras_file_is_recognized_whatever_it_is_called(trained, tmp_path):
    (tmp_path / "model.zip").write_bytes((trained / "best.keras").read_bytes())
    backbone = build_backbone("resnet18_v2")
    assert load_backbone_weights(backbone, str(tmp_path / "model.zip")).description.endswith("all of resnet18_v2")


def test_without_a_network_the_line_says_which_file_to_fetch_and_where_to_put_it(tmp_path, monkeypatch):
    """Keras looks for the file in its cache, then asks for it at its address, which here leads nowhere."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "home"))
    asked = []

    def no_network(url, *_):
        asked.append(url)
        raise urllib.error.URLError("no network")

    monkeypatch.setattr("keras.src.utils.file_utils.urlretrieve", no_network)
    backbone = build_backbone("mobilenet_v2")
    with pytest.raises(UserError) as caught:
        load_backbone_weights(backbone, "imagenet")
    message = str(caught.value)
    assert asked
    assert asked[0].endswith("no_top.h5")
    assert message.startswith("weights='imagenet': the download failed (URL fetch failure on https://")
    assert asked[0] in message
    assert f"fetch that file by hand into {tmp_path}/home/models, or train from random weights with" in message
    assert "\n" not in message


def test_training_does_not_begin_with_weights_that_do_not_fit(toy, tmp_path):
    _, tensors = resnet18_v1(np.zeros((32, 32, 3), np.float32))
    save_file({name: value for name, value in tensors.items() if name != "bn1.bias"}, tmp_path / "model.safetensors")
    path = tmp_path / "model.safetensors"
    words = ["--data", toy, "--backbone", "resnet18_v1", "--weights", path, "--run-dir", tmp_path / "run", *TINY]
    call = Call("train.py", *words)
    assert call.status == 2
    assert call.err == f"error: {path}: lacks bn1.bias of resnet18_v1\n"
    assert not (tmp_path / "run").exists()
