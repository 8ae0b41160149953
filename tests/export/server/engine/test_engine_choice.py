"""Which of several files in a version folder is served, without engines: a file says how fast it is."""

import json
import logging
from types import SimpleNamespace

import pytest

from export.server.model.engine import choice
from export.server.model.engine.choice import open_fastest
from keras_fcn.errors import UserError


class Opened:
    """Stands for a network's process; its file holds its seconds, and the fingerprint of its network."""

    def __init__(self, path):
        content = (path / "saved_model.pb" if path.is_dir() else path).read_text()
        if content == "bad":
            raise UserError(f"{path}: is bad")
        seconds, _, network = content.partition(" ")
        self.path, self.seconds, self.is_open = path, float(seconds), True
        self.facts = SimpleNamespace(network=network, program=path.suffix or "TensorFlow")

    def warm_up(self, batch, takes_memory):
        return self.seconds

    def stop(self):
        self.is_open = False


@pytest.fixture
def choose(tmp_path, monkeypatch):
    """A function that writes a version folder, and returns what is taken of it and all that was opened."""
    monkeypatch.setattr(choice, "has_gpu", lambda: False)

    def choose(files, engine="auto", saved_by=""):
        others = {"assets.extra/labels.json": json.dumps({"network": saved_by}), "assets.extra/no.onnx": "bad"}
        for name, content in {**files, **others}.items():
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_text(content)
        opened = []
        taken = open_fastest(tmp_path, engine, lambda path: opened.append(Opened(path)) or opened[-1], 4)
        assert [one.path for one in opened if one.is_open] == [taken.path]
        return [one.relative_to(tmp_path).as_posix() for one in (taken.path, *(one.path for one in opened))]

    return choose


FILES = {"model.onnx": "0.03 a", "int8/model.tflite": "0.01 a", "model.xml": "0.02 a", "saved_model.pb": "0.001 a"}


def test_the_fastest_is_taken_and_the_others_are_closed(choose, caplog):
    caplog.set_level(logging.INFO)
    assert choose(FILES, saved_by="a") == ["int8/model.tflite", "model.onnx", "model.xml", "int8/model.tflite"]
    times = "an image takes .onnx 30 ms (model.onnx), .xml 20 ms (model.xml), .tflite 10 ms (model.tflite)"
    assert times in caplog.text


def test_a_gpu_computes_the_saved_model(choose, monkeypatch):
    monkeypatch.setattr(choice, "has_gpu", lambda: True)
    assert choose(FILES)[0] == "."


@pytest.mark.parametrize(
    ("engine", "taken"),
    [("onnx", "model.onnx"), ("openvino", "model.xml"), ("litert", "int8/model.tflite"), ("saved_model", ".")],
)
def test_an_engine_that_is_named_is_taken(choose, engine, taken):
    assert choose(FILES, engine) == [taken, taken]


def test_of_one_engine_the_fastest_file_is_taken(choose):
    assert choose({"model.onnx": "2 a", "int8/model.onnx": "1 a", "a.tflite": "0.1 a"}, "onnx")[0] == "int8/model.onnx"


def test_what_cannot_be_opened_is_told_and_left_out(choose, caplog):
    assert choose({"model.onnx": "bad", "model.tflite": "0.02 a", "saved_model.pb": "1"})[0] == "model.tflite"
    assert "model.onnx: is bad; it is left out" in caplog.text
    assert choose({"model.tflite": "bad"})[0] == "."


def test_exports_of_different_networks_are_not_chosen_from(choose):
    for files, saved_by, names in [
        ({"model.onnx": "1 a", "model.tflite": "1 b"}, "", "model.onnx and model.tflite are"),
        ({"model.onnx": "1 a", "saved_model.pb": "1"}, "b", "the SavedModel and model.onnx are"),
    ]:
        with pytest.raises(UserError, match=f"{names} exports of different networks; export one of them again, or"):
            choose(files, saved_by=saved_by)


@pytest.mark.parametrize(
    ("files", "engine", "line"),
    [
        ({"model.onnx": "1"}, "litert", "holds no model for engine='litert', but model.onnx; export one: python -m "),
        ({"model.onnx": "bad", "model.xml": "bad"}, "auto", "holds no model that can be served; the lines above say"),
        ({"model.onnx": "bad"}, "auto", "model.onnx: is bad"),
    ],
)
def test_nothing_to_take_is_one_line(choose, files, engine, line):
    with pytest.raises(UserError, match=line) as caught:
        choose(files, engine)
    assert "\n" not in str(caught.value)
