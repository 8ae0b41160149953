"""Files that an earlier version wrote (fixtures/make_old_files.py) are loaded, resumed and served."""

import csv
import io
import json
import tarfile

import keras
import numpy as np
import pytest
from conftest import ROOT, Call
from PIL import Image
from servers import mask_of, needs_server, predict, serving

import keras_fcn


@pytest.fixture(scope="module")
def old(tmp_path_factory):
    folder = tmp_path_factory.mktemp("old")
    with tarfile.open(ROOT / "tests/fixtures/old_files.tar.xz") as archive:
        archive.extractall(folder, filter="data")
    return folder / "old"


@pytest.fixture(scope="module")
def expected(old):
    """The image, and its logits by the old program at every fourth row and column."""
    with np.load(old / "expected.npz") as arrays:
        return arrays["image"], arrays["logits"]


def test_a_model_computes_what_it_did(old, expected):
    image, logits = expected
    model = keras.models.load_model(old / "run/best.keras")
    assert model.name == "fcn8s_mobilenet_v2"
    assert keras_fcn.class_table(model).names == keras_fcn.ClassTable.voc().names
    np.testing.assert_allclose(model(image[None])[0][::4, ::4], logits, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("model", ["run", "run/best.keras", "exported", "exported/1"])
def test_a_predictor_takes_run_model_and_saved_model(old, expected, model):
    image, logits = expected
    ids = keras_fcn.Predictor(old / model)(image)
    assert (ids[::4, ::4] == logits.argmax(-1)).mean() > 0.99  # but where two classes are as likely


@pytest.mark.usefixtures("eager", "no_pictures")
def test_a_run_is_resumed(old, toy):
    call = Call("train.py", "--resume", old / "run", "--data", toy, "--epochs", 2)
    assert call.status == 0, call.err
    with (old / "run/history.csv").open() as file:
        first, second = csv.DictReader(file)
    assert (first["epoch"], first["step"], second["epoch"], second["step"]) == ("1", "3", "2", "6")
    assert float(second["loss"]) < 10
    assert json.loads((old / "run/config.json").read_text())["watch"] == "mean_iou"  # as it began
    assert second["val_watched"] == second["val_mean_iou"]
    assert json.loads((old / "run/metrics.json").read_text())["images"] == 3


def test_its_config_is_a_recipe(old, tmp_path):
    call = Call("train.py", "--config", old / "run/config.json", "--data", tmp_path / "nowhere")
    assert call.status == 2
    assert "nowhere" in call.err


@needs_server
def test_a_saved_model_is_served(old, expected):
    image, _ = expected
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG")
    with serving(old / "exported") as server:
        status, body = predict(server, file.getvalue())
    assert status == 200
    assert mask_of(body["predictions"][0]) == keras_fcn.Predictor(old / "exported")(image).tolist()
