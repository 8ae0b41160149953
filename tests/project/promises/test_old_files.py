"""Files that earlier versions wrote (fixtures/make_old_files.py, make_old_kinds.py) are loaded, resumed and served."""

import csv
import io
import json
import shutil
import tarfile

import keras
import numpy as np
import pytest
from conftest import ROOT, Call
from PIL import Image
from servers import mask_of, needs_server, predict, serving

import keras_fcn
from keras_fcn.training.inputs.feature_cache import FeatureCache


def unpacked(name, folder):
    with tarfile.open(ROOT / "tests/fixtures" / name) as archive:
        archive.extractall(folder, filter="data")
    return folder / "old"


@pytest.fixture(scope="module")
def old(tmp_path_factory):
    return unpacked("old_files.tar.xz", tmp_path_factory.mktemp("old"))


@pytest.fixture(scope="module")
def kinds(tmp_path_factory):
    """Exports of the run in `old`, its model with thresholds, a stopped run of cached features and a search."""
    return unpacked("old_kinds.tar.xz", tmp_path_factory.mktemp("kinds"))


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


@pytest.mark.parametrize("file", ["onnx/model.onnx", "openvino/model.xml", "litert/model.tflite"])
def test_an_exported_file_gives_the_classes_of_its_model(kinds, file):
    predictor = keras_fcn.Predictor(kinds / file)
    assert predictor.classes == keras_fcn.ClassTable.voc()
    with np.load(kinds / "exported.npz") as arrays:
        ids = arrays["logits"].argmax(-1)
        assert (predictor(arrays["image"])[::4, ::4] == ids).mean() > 0.99
    assert len(np.unique(ids)) > 1


def test_a_temperature_and_thresholds_that_a_model_keeps_decide(kinds, expected):
    image, logits = expected
    predictor = keras_fcn.Predictor(kinds / "decided.keras")
    thresholds = zip(predictor.classes.names, predictor.decide.thresholds, strict=True)
    assert {name: value for name, value in thresholds if value} == {"cat": 0.25, "person": 0.75}
    powers = np.exp(logits / 1.5 - logits.max(-1, keepdims=True) / 1.5)
    probabilities = predictor.probabilities(image)[::4, ::4]
    np.testing.assert_allclose(probabilities, powers / powers.sum(-1, keepdims=True), rtol=1e-3, atol=1e-4)


def test_a_search_is_known_and_its_best_settings_are_a_recipe(kinds, tmp_path):
    search = shutil.copytree(kinds / "search", tmp_path / "search")
    lines = []
    tuned = keras_fcn.tune(resume=search, data=kinds / "data", report=lines.append)
    assert [(trial.number, trial.state) for trial in tuned.trials] == [(1, "finished")]
    assert 0.001 <= tuned.trials[0].params["learning_rate"] <= 0.01
    call = Call("train.py", "--config", search / "best.yaml", "--data", tmp_path / "nowhere")
    assert (call.status, "nowhere" in call.err) == (2, True)


@pytest.mark.slow  # half a minute of one core
@pytest.mark.usefixtures("no_pictures")
def test_a_run_of_cached_features_goes_on_with_them(kinds, tmp_path, monkeypatch):
    run, data = (shutil.copytree(kinds / name, tmp_path / name) for name in ("cached", "data"))
    assert (run / "features").is_dir()
    monkeypatch.setattr(FeatureCache, "_write", None)  # they are not computed again
    with (run / "history.csv").open() as file:
        (first,) = csv.DictReader(file)
    call = Call("train.py", "--resume", run, "--data", data)
    assert call.status == 0, call.err
    with (run / "history.csv").open() as file:
        rows = [*csv.DictReader(file)]
    assert [row["step"] for row in rows] == ["3", "6", "9"]
    assert rows[0]["loss"] == first["loss"]
