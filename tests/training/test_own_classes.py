"""A data set's own names and colours travel from labelmap.txt through training to every file that comes out."""

import json

import numpy as np
import pytest
from conftest import TINY, Call
from layouts import CVAT_COLORS, CVAT_NAMES, CVAT_VOID, NAMES, write_camvid, write_cvat
from PIL import Image

import keras_fcn
from keras_fcn.inference.predictor import load_model


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A data set in CVAT's layout, whose names need every kind of letter; tests only read it."""
    root = tmp_path_factory.mktemp("data") / "my export"
    write_cvat(root)
    return root


@pytest.fixture(scope="module")
def run(data, tmp_path_factory):
    """The folder of a finished run on it; tests only read it."""
    folder = tmp_path_factory.mktemp("runs") / "own"
    call = Call("train.py", "--data", data, "--run-dir", folder, *TINY)
    assert (call.status, call.err) == (0, "")
    return folder


def test_the_model_knows_them(run):
    classes = keras_fcn.class_table(load_model(run / "best.keras"))
    assert (classes.names, classes.colors, classes.void_color) == (CVAT_NAMES, CVAT_COLORS, CVAT_VOID)
    assert load_model(run / "best.keras").output_shape == (None, None, None, 4)
    assert list(json.loads((run / "metrics.json").read_text())["iou"]) == list(CVAT_NAMES)
    assert (run / "predictions.png").is_file()


def test_saved_model_and_masks_have_them(run, data, tmp_path):
    call = Call("export/saved_model.py", run, tmp_path / "model")
    assert call.status == 0, call.err
    labels = json.loads((tmp_path / "model/1/assets.extra/labels.json").read_text(encoding="utf-8"))
    assert tuple(labels["names"]) == CVAT_NAMES
    assert [tuple(color) for color in labels["colors"]] == list(CVAT_COLORS)
    assert tuple(labels["void_color"]) == CVAT_VOID
    for source, out in ((run, "out1"), (tmp_path / "model", "out2")):
        call = Call("predict.py", source, data / "JPEGImages", "--out", tmp_path / out)
        assert (call.status, call.err) == (0, "")
        for name in NAMES:
            with (
                Image.open(tmp_path / out / f"masks/{name}.png") as mask,
                Image.open(data / f"JPEGImages/{name}.jpg") as photo,
            ):
                assert mask.size == photo.size
                assert int(np.asarray(mask).max()) < 4
                palette = np.reshape(mask.getpalette(), (256, 3)).tolist()
            assert [tuple(color) for color in palette[:4]] == list(CVAT_COLORS)
            assert tuple(palette[255]) == CVAT_VOID


def test_it_is_measured_on_data_with_the_same_classes_only(run, data, tmp_path):
    written = ["--json", tmp_path / "figures.json", "--out", tmp_path / "out"]
    call = Call("evaluate.py", run, "--data", data, "--split", "val", *written)
    assert (call.status, call.err) == (0, "")
    assert "猫 🐈" in call.out
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert set(figures.pop("trimap")["iou"]) == set(figures["iou"])
    assert figures == json.loads((run / "metrics.json").read_text())
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"confusion.png", "worst.png"}
    write_camvid(tmp_path / "camvid")
    call = Call("evaluate.py", run, "--data", tmp_path / "camvid", "--split", "val")
    assert call.status == 2
    assert (
        "the model has 4 classes, the data 11: class 0 is 'background' in the model and 'Sky' in the data" in call.err
    )
    assert len(call.err.splitlines()) == 1
