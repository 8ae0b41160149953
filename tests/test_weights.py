"""Files of weights that are damaged or of something else: one line, exit status 2, nothing written."""

import numpy as np
import pytest
from conftest import TINY, Call
from numpy_resnet import resnet18_v1
from safetensors.numpy import save_file

from keras_fcn.backbones import build_backbone
from keras_fcn.errors import UserError
from keras_fcn.weights import load_backbone_weights


def assert_refused(path, complaint, name="resnet18_v2"):
    """Asserts that the file is refused in one line that names it, and that the backbone keeps its weights."""
    backbone = build_backbone(name)
    before = backbone.get_weights()
    with pytest.raises(UserError, match=complaint) as caught:
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
    assert_refused(path, "is a damaged .npz or .keras file")


def test_a_keras_file_is_recognized_whatever_it_is_called(trained, tmp_path):
    (tmp_path / "model.zip").write_bytes((trained / "best.keras").read_bytes())
    backbone = build_backbone("resnet18_v2")
    assert load_backbone_weights(backbone, str(tmp_path / "model.zip")).description.endswith("all of resnet18_v2")


def test_training_does_not_begin_with_weights_that_do_not_fit(toy, tmp_path):
    _, tensors = resnet18_v1(np.zeros((32, 32, 3), np.float32))
    save_file({name: value for name, value in tensors.items() if name != "bn1.bias"}, tmp_path / "model.safetensors")
    path = tmp_path / "model.safetensors"
    words = ["--data", toy, "--backbone", "resnet18_v1", "--weights", path, "--run-dir", tmp_path / "run", *TINY]
    call = Call("train.py", *words)
    assert call.status == 2
    assert call.err == f"error: {path}: lacks bn1.bias of resnet18_v1\n"
    assert not (tmp_path / "run").exists()
