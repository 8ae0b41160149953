"""Exports to ONNX, OpenVINO and LiteRT, each run by its own engine beside the live model."""

import importlib.util
import json
import subprocess
import sys
import zipfile

import numpy as np
import pytest
import tensorflow as tf
from conftest import ROOT, Call

from export import litert, onnx, openvino
from export.formats.conversion import export_format
from export.formats.graph.class_graph import class_graph
from keras_fcn import ClassTable, Predictor, build_fcn
from keras_fcn.errors import UserError
from keras_fcn.inference.models import with_thresholds
from keras_fcn.network.fcn import with_input_scale
from keras_fcn.network.parts import Parts
from keras_fcn.runs.names import CONTEXTS

FORMATS = {"onnx": onnx.ONNX, "openvino": openvino.OPENVINO, "litert": litert.LITERT}
SHAPES = [(1, 33, 65), (2, 64, 96), (3, 1, 1), (1, 31, 32)]


def needed(name, int8=False):
    """Skips a test where the packages of a format are not installed."""
    for module in (*FORMATS[name].modules, *(FORMATS[name].int8_modules if int8 else ())):
        pytest.importorskip(module, reason="pip install -r requirements-formats.txt")


def varied(backbone, network="fcn8s", context="none"):
    """A network whose logits are as large as a trained one's, and whose last upsampling is not bilinear any more."""
    classes = ClassTable.named(["floor", "red shirt", "帽子"])
    model, rng = build_fcn(network, backbone, classes=classes, context=context), np.random.default_rng(0)
    for layer in model.layers:
        if layer.name.startswith("score_") or layer is Parts(model).heads[0]:
            spread = 0.02 if "context" in layer.name else 0.3  # what is alike everywhere must not decide
            layer.kernel.assign(layer.kernel + rng.normal(0, spread, layer.kernel.shape))
    return model


@pytest.fixture(autouse=True)
def nothing_is_sent(monkeypatch, tmp_path_factory):
    """Neither OpenVINO nor NNCF sends usage data, also where nobody has declined."""
    if importlib.util.find_spec("openvino_telemetry") is None:
        yield
        return
    monkeypatch.setenv("CI", "true")  # importing OpenVINO sends some, too, and tests import it to skip
    pytest.importorskip("openvino")
    from openvino_telemetry.backend.backend_ga4 import GA4Backend

    sent, home = [], tmp_path_factory.mktemp("home")
    monkeypatch.delenv("CI")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setattr(GA4Backend, "send", lambda self, message: sent.append(message))
    yield
    assert sent == []
    assert not (home / "intel").exists()


@pytest.fixture(scope="module")
def model():
    """A network with convolutions of all kinds."""
    return varied("mobilenet_v2")


@pytest.fixture(scope="module")
def scaled():
    """A network that sees images at a fraction of their size, with the finest scores and the means of regions."""
    return with_input_scale(varied("resnet18_v2", "fcn4s", "pyramid"), 0.8)


@pytest.fixture(scope="module")
def live(model):
    return Predictor(model)


def images_of(shape):
    return np.random.default_rng(1).integers(0, 256, (*shape, 3), np.uint8)


@pytest.mark.parametrize("classes_first", [False, True])
@pytest.mark.parametrize("size", [None, (33, 65)])
def test_the_graph_gives_the_live_model_s_classes(model, live, classes_first, size):
    graph = class_graph(model, size, classes_first)
    for shape in SHAPES if size is None else [(1, *size), (2, *size)]:
        images = images_of(shape)
        expected = live.segment(images).numpy()
        assert np.mean(graph(tf.constant(images))["classes"].numpy() == expected) > 0.999
        assert shape[1] == 1 or len(np.unique(expected)) == 3


@pytest.mark.parametrize("classes_first", [False, True])
def test_the_graph_of_a_network_with_an_input_scale_gives_the_live_model_s_classes(scaled, classes_first):
    for size in (None, (33, 65)):
        images, segment = images_of((2, 33, 65)), class_graph(scaled, size, classes_first)
        expected = Predictor(scaled).segment(images).numpy()
        assert np.mean(segment(tf.constant(images))["classes"].numpy() == expected) > 0.999
        assert len(np.unique(expected)) > 1


@pytest.mark.parametrize("name", FORMATS)
def test_a_file_of_a_network_with_an_input_scale_gives_the_live_model_s_classes(tmp_path, scaled, name):
    needed(name)
    path, compared = export_format(FORMATS[name], scaled, tmp_path)
    assert len(compared) == 3
    images = images_of((2, 61, 95))
    assert np.mean(Predictor(path).segment(images) == Predictor(scaled).segment(images).numpy()) > 0.999


@pytest.mark.slow
@pytest.mark.parametrize("context", CONTEXTS)
@pytest.mark.parametrize("name", FORMATS)
def test_a_file_of_a_network_with_context_gives_the_live_model_s_classes(tmp_path, name, context):
    """At sizes whose P5 has fewer and more positions than the pyramid has regions."""
    needed(name)
    model = varied("resnet18_v2", "fcn4s", context)
    path, _ = export_format(FORMATS[name], model, tmp_path)
    segment, live = FORMATS[name].load(path), Predictor(model)
    for shape in (*SHAPES, (1, 250, 330)):
        images = images_of(shape) // np.uint8(4) + np.arange(shape[2], dtype=np.uint8)[:, None]
        expected = live.segment(images).numpy()
        assert np.mean(segment(images) == expected) > 0.999
    assert len(np.unique(expected)) > 1


@pytest.fixture(scope="module")
def decided(model):
    """A network with a temperature, and thresholds of two classes that a quarter of the pixels reaches each."""
    copied = varied("mobilenet_v2")
    copied.set_weights(model.get_weights())
    images = images_of((2, 33, 65))
    Parts(copied).logits.temperature = float(np.std(copied(images.astype(np.float32))))
    quantiles = np.quantile(np.asarray(Predictor(copied).score(images)), 0.75, axis=(0, 1, 2))
    return with_thresholds(copied, [f"red shirt={quantiles[1]:.3f}", f"帽子={quantiles[2]:.3f}"])


@pytest.mark.parametrize(("classes_first", "size"), [(False, None), (True, (33, 65))])
def test_thresholds_decide_in_the_graph(decided, live, classes_first, size):
    images, thresholds = images_of((2, 33, 65)), Parts(decided).logits.thresholds
    factors = np.asarray(Predictor(decided).score(images))[..., 1:] / np.array([*thresholds.values()], np.float32)
    expected = np.where((factors >= 1).any(-1), 1 + factors.argmax(-1), 0)
    assert np.mean(Predictor(decided).segment(images).numpy() == expected) > 0.999
    graph = class_graph(decided, size, classes_first)
    assert np.mean(graph(tf.constant(images))["classes"].numpy() == expected) > 0.999
    assert (live.segment(images).numpy() != expected).mean() > 0.05
    assert len(np.unique(expected)) == 3


@pytest.mark.parametrize("name", FORMATS)
def test_a_file_gives_the_live_model_s_classes_at_any_size(tmp_path, decided, name):
    """It decides by thresholds; files of networks without any are in the other tests."""
    needed(name)
    live = Predictor(decided)
    path, compared = export_format(FORMATS[name], decided, tmp_path)
    assert max(found.difference for found in compared) < 1e-3
    assert len(compared) == 3
    assert sorted(entry.name for entry in tmp_path.iterdir()) == sorted(["labels.json", *FORMATS[name].files])
    thresholds = Parts(decided).logits.thresholds
    assert json.loads((tmp_path / "labels.json").read_text()) == {**live.classes.to_dict(), "thresholds": thresholds}
    segment = Predictor(path).segment
    for shape in SHAPES:
        classes = segment(images_of(shape))
        assert classes.dtype == np.uint8
        assert np.mean(classes == live.segment(images_of(shape)).numpy()) > 0.999
    METADATA[name](path, thresholds)


def onnx_metadata(path, thresholds):
    import onnx as library

    metadata = {entry.key: entry.value for entry in library.load(path).metadata_props}
    assert metadata["model_name"] == "fcn8s_mobilenet_v2"
    assert json.loads(metadata["class_names"]) == ["floor", "red shirt", "帽子"]
    assert len(json.loads(metadata["class_colors"])) == 3
    assert json.loads(metadata["class_thresholds"]) == thresholds


def openvino_metadata(path, thresholds):
    import openvino as library

    metadata = library.Core().read_model(path).get_rt_info(["model_info"])
    assert metadata["labels"] == "floor red_shirt 帽子"
    assert json.loads(metadata["class_names"]) == ["floor", "red shirt", "帽子"]
    assert json.loads(metadata["class_thresholds"]) == thresholds


def litert_metadata(path, thresholds):
    assert zipfile.ZipFile(path).read("labels.txt").decode().splitlines() == ["floor", "red shirt", "帽子"]
    code = (
        "import sys, numpy as np; from ai_edge_litert.interpreter import Interpreter; i = Interpreter(sys.argv[1]);"
        "i.resize_tensor_input(i.get_input_details()[0]['index'], (1, 40, 50, 3)); i.allocate_tensors(); i.invoke();"
        "print(i.get_tensor(i.get_output_details()[0]['index']).shape, 'tensorflow' in sys.modules)"
    )
    command = [sys.executable, "-c", code, path]
    assert subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip() == "(1, 40, 50) False"


METADATA = {"onnx": onnx_metadata, "openvino": openvino_metadata, "litert": litert_metadata}


def wrong_last_column(write):
    """Returns a writer whose file leaves the last column of images out of account."""

    def write_other(graph, path, contents, images):
        def classes(images):
            return {"classes": tf.roll(graph(images)["classes"], 1, 2)}

        write(tf.function(classes, input_signature=graph.input_signature), path, contents, images)

    return write_other


def test_a_file_that_differs_is_not_left_behind(tmp_path):
    needed("openvino")
    import dataclasses

    wrong = dataclasses.replace(openvino.OPENVINO, write=wrong_last_column(openvino.write))
    (tmp_path / "model.xml").write_text("of an earlier export")
    with pytest.raises(UserError, match=r"model\.xml: its classes agree .* nothing was exported"):
        export_format(wrong, varied("resnet18_v2"), tmp_path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["model.xml"]
    assert (tmp_path / "model.xml").read_text() == "of an earlier export"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--int8"], "--int8 needs --calibrate DIR"),
        (
            ["--size", "0", "8"],
            "--size takes a height and a width of at least 1, and 1073741824 pixels at most. Received: 0 8",
        ),
        (["--batch", "2"], "--batch 2 needs --size H W: where the number of images is fixed, their size is, too"),
        (["--size", "8", "8", "--batch", "0"], "--batch must be at least 1. Received: 0"),
        (["--photographs", "0"], "--photographs must be at least 1"),
    ],
)
def test_wrong_options_are_one_line(words, message):
    call = Call("export/onnx.py", "run", "out", *words)
    assert call.status == 2
    assert message in call.err
    assert len(call.err.splitlines()) == 1


def test_a_missing_package_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    call = Call("export/openvino.py", tmp_path, tmp_path)
    assert call.status == 2
    assert 'pip install "keras-fcn[formats]"' in call.err
    assert "OpenVINO: needs openvino, which is not installed" in call.err


STARTED = """
import contextlib, importlib.util, io, json, runpy, sys
from pathlib import Path
found = {}
for name, module in json.loads(sys.argv[1]).items():
    for way in (f"export/{name}.py", f"export.{name}"):
        sys.path[0] = str(Path("export").resolve()) if way.endswith(".py") else str(Path.cwd())
        sys.argv, message, status = [way, "none", "out"], io.StringIO(), None
        try:
            with contextlib.redirect_stderr(message):
                if way.endswith(".py"):
                    runpy.run_path(way, run_name="__main__")
                else:
                    runpy.run_module(way, {}, "__main__", True)
        except SystemExit as stop:
            status = stop.code
        is_hidden = Path(importlib.util.find_spec(module).origin).is_relative_to(Path.cwd() / "export")
        found[way] = [status, "none: no such file or folder" in message.getvalue(), is_hidden]
print(json.dumps(found))
"""


def test_a_script_does_not_hide_the_package_of_its_name():
    """`python export/onnx.py` puts export/ first on the path; `import onnx` must still find ONNX."""
    modules = {}
    for name in FORMATS:
        needed(name)
        modules[name] = FORMATS[name].modules[0]
    words = [sys.executable, "-c", STARTED, json.dumps(modules)]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    ways = [way for name in FORMATS for way in (f"export/{name}.py", f"export.{name}")]
    assert json.loads(done.stdout.splitlines()[-1]) == {way: [2, True, False] for way in ways}


def test_more_classes_than_a_byte_holds_are_refused():
    with pytest.raises(ValueError, match="254"):
        build_fcn("fcn32s", "mobilenet_v2", num_classes=256)
