"""ONNX files for the QGIS plugin Deepness: called as it calls them, they give the live model's classes."""

import json

import numpy as np
import pytest
from conftest import Call

from export.formats.conversion import export_format
from export.formats.deepness import deepness_format, metadata_of
from export.onnx import OPSET
from keras_fcn import ClassTable, Predictor, build_fcn

NAMES = ("floor", "red shirt", "帽子")


@pytest.fixture(scope="module")
def model():
    network, rng = build_fcn("fcn32s", "resnet18_v2", classes=ClassTable.named(NAMES)), np.random.default_rng(0)
    for name in ("score_fr", "upscore32"):
        kernel = network.get_layer(name).kernel
        kernel.assign(kernel + rng.normal(0, 0.3, kernel.shape))
    return network


def as_deepness_does(session, tiles):
    """Tiles [N, S, S, 4] of QGIS: the first bands, from 0 to 1, standardized, bands first; what is below the threshold
    is 0, then the class of the highest."""
    (entry,) = session.get_inputs()
    settings = {key: json.loads(text) for key, text in session.get_modelmeta().custom_metadata_map.items()
                if key != "model_name"}  # fmt: skip
    scaled = np.float32(tiles[..., : entry.shape[-3]] * 1.0 / 255.0)
    mean, std = (np.array(settings[f"standardization_{name}"], np.float32) for name in ("mean", "std"))
    (scores,) = session.run(None, {entry.name: ((scaled - mean) / std).transpose(0, 3, 1, 2)})
    return np.where(scores < settings["seg_thresh"], 0, scores).argmax(1), scores


def test_a_file_is_what_the_plugin_calls(tmp_path, model):
    runtime = pytest.importorskip("onnxruntime", reason="pip install -r requirements-formats.txt")
    pytest.importorskip("tf2onnx", reason="pip install -r requirements-formats.txt")
    path, compared = export_format(deepness_format(12.5, OPSET), model, tmp_path, (96, 96))
    assert len(compared) == 2
    session = runtime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (entry,), (result,) = session.get_inputs(), session.get_outputs()
    batch, *sizes = entry.shape
    assert isinstance(batch, str), "a number would be the size of every batch"
    assert (entry.type, sizes) == ("tensor(float)", [3, 96, 96])
    assert (result.type, result.shape[1:]) == ("tensor(float)", [3, 96, 96])
    tiles = np.random.default_rng(1).integers(0, 256, (2, 96, 96, 4), np.uint8)
    classes, scores = as_deepness_does(session, tiles)
    expected = Predictor(model).segment(tiles[..., :3]).numpy()
    assert np.mean(classes == expected) > 0.999
    assert len(np.unique(expected)) == 3
    np.testing.assert_allclose(scores.sum(1), 1, atol=1e-5)
    assert metadata_of(NAMES, 96, 12.5).items() <= session.get_modelmeta().custom_metadata_map.items()


def test_the_settings_are_those_that_the_plugin_reads():
    """It takes names as an object whose keys are 0, 1, ..., and an overlap in percent."""
    found = {key: json.loads(text) for key, text in metadata_of(NAMES, 1024, 12.5).items()}
    assert found == {
        "model_type": "Segmentor",
        "class_names": {"0": "floor", "1": "red shirt", "2": "帽子"},
        "resolution": 12.5,
        "tile_size": 1024,
        "tiles_size": 1024,
        "tiles_overlap": 32,
        "standardization_mean": [0, 0, 0],
        "standardization_std": [1, 1, 1],
        "seg_thresh": 0,
        "seg_small_segment": 0,
    }


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--deepness", "0"], "--deepness must be greater than 0. Received: 0.0"),
        (["--deepness", "10", "--size", "512", "256"], "--deepness takes square tiles: --size 512 256 is none"),
        (["--deepness", "10", "--int8", "--calibrate", "toy"], "--deepness writes float32; leave out --int8"),
    ],
)
def test_what_it_cannot_take_is_one_line(tmp_path, arguments, line):
    call = Call("export/onnx.py", tmp_path / "run", tmp_path / "out", *arguments)
    assert (call.status, call.err) == (2, f"error: {line}; see onnx.py --help\n")
