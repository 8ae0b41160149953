"""Trained networks, runs and exported files that are cut off, damaged, of other programs or other versions."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

from commands.bad_inputs import material
from commands.bad_inputs.case import Case
from commands.bad_inputs.kinds.images import HTML
from commands.bad_inputs.material import encoded, photo, write
from onnx_files import write_onnx

KIND = "Models and runs"
PREDICT = "predict {} data/images --out out --write masks"
EVALUATE = "evaluate {} --data data --split val --json out/metrics.json"


def _content(name: str, content: bytes | Callable[[], bytes]) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        material.data(folder)
        write(folder / name, content() if callable(content) else content)

    return make


def _onnx(**options) -> bytes:
    return write_onnx(material.HELD / "other.onnx", **options).read_bytes()


def _onnx_without(name: str) -> bytes:
    import onnx

    model = onnx.load_from_string(_onnx())
    kept = [entry for entry in model.metadata_props if entry.key != name]
    del model.metadata_props[:]
    model.metadata_props.extend(kept)
    return model.SerializeToString()


def _onnx_of(node: str, domain: str = "") -> bytes:
    """Returns a file of one operation."""
    from onnx import TensorProto, helper

    shape = ["N", "H", "W", 3]
    entry, end = (helper.make_tensor_value_info(name, TensorProto.UINT8, shape) for name in ("images", "classes"))
    graph = helper.make_graph([helper.make_node(node, ["images"], ["classes"], domain=domain)], "graph", [entry], [end])
    versions = [helper.make_opsetid("", 17), helper.make_opsetid("other", 1)]
    return helper.make_model(graph, opset_imports=versions, ir_version=8).SerializeToString()


def _keras(change: Callable[[dict[str, bytes]], object]) -> Callable[[], bytes]:
    """Returns how to change the members of a `.keras` file."""

    def content() -> bytes:
        with zipfile.ZipFile(io.BytesIO(material.keras_bytes())) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
        change(members)
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w") as archive:
            for name, value in members.items():
                archive.writestr(name, value)
        return stream.getvalue()

    return content


def _layer(name: str, module: str = "keras.layers", **settings) -> Callable[[dict[str, bytes]], object]:
    """Returns how to put a layer into a network's config."""

    def change(members: dict[str, bytes]) -> None:
        content = json.loads(members["config.json"])
        layer = {"class_name": name, "module": module, "config": {"name": "x", **settings}, "registered_name": None}
        content["config"]["layers"].append({**layer, "name": "x", "inbound_nodes": []})
        members["config.json"] = json.dumps(content).encode()

    return change


def _config(text: bytes) -> Callable[[dict[str, bytes]], object]:
    return lambda members: members.update({"config.json": text})


FILES: dict[str, tuple[str, bytes | Callable[[], bytes]]] = {
    "keras: an empty file": ("m.keras", b""),
    "keras: a web page": ("m.keras", HTML),
    "keras: a picture": ("m.keras", encoded(photo())),
    "keras: cut off": ("m.keras", lambda: material.keras_bytes()[:-5000]),
    "keras: without weights": ("m.keras", _keras(lambda members: members.pop("model.weights.h5"))),
    "keras: without config": ("m.keras", _keras(lambda members: members.pop("config.json"))),
    "keras: a config cut off": ("m.keras", _keras(lambda members: members.update({"config.json": b'{"a":'}))),
    "keras: a config nested deeply": ("m.keras", _keras(_config(b"[" * 100_000))),
    "keras: a config of 9 MiB": ("m.keras", _keras(_config(b" " * (9 << 20) + b"{}"))),
    "keras: a config of a list": ("m.keras", _keras(_config(b"[]"))),
    "keras: weights that are no HDF5": (
        "m.keras", _keras(lambda members: members.update({"model.weights.h5": b"hello"}))
    ),
    "keras: a Lambda": ("m.keras", _keras(_layer("Lambda", function="x"))),
    "keras: a TFSMLayer": ("m.keras", _keras(_layer("TFSMLayer", filepath="/tmp/x"))),
    "keras: a layer that is unknown": ("m.keras", _keras(_layer("Own", "somewhere"))),
    "keras: a layer that opens files": ("m.keras", _keras(_layer("TextVectorization", vocabulary="/etc/passwd"))),
    "keras: a layer of a terabyte": (
        "m.keras", _keras(_layer("Dense", units=1 << 38)),
    ),
    "onnx: an empty file": ("m.onnx", b""),
    "onnx: a web page": ("m.onnx", HTML),
    "onnx: cut off": ("m.onnx", lambda: _onnx()[:200]),
    "onnx: bytes after it": ("m.onnx", lambda: _onnx() + b"\xff" * 50),
    "onnx: without classes": ("m.onnx", lambda: _onnx_without("class_names")),
    "onnx: without colours": ("m.onnx", lambda: _onnx_without("class_colors")),
    "onnx: classes that are no JSON": ("m.onnx", lambda: _onnx(texts={"class_names": "floor"})),
    "onnx: classes that nest deeply": ("m.onnx", lambda: _onnx(texts={"class_names": "[" * 100_000})),
    "onnx: a class that is a number": ("m.onnx", lambda: _onnx(texts={"class_names": "[1, 2, 3, 4]"})),
    "onnx: fewer colours than classes": ("m.onnx", lambda: _onnx(texts={"class_colors": "[[0, 0, 0]]"})),
    "onnx: a colour beyond 255": (
        "m.onnx", lambda: _onnx(texts={"class_colors": "[[0, 0, 0], [1, 1, 1], [2, 2, 2], [256, 0, 0]]"})
    ),
    "onnx: channels of letters": ("m.onnx", lambda: _onnx(texts={"channels": "nir"})),
    "onnx: a scale of letters": ("m.onnx", lambda: _onnx(texts={"input_scale": "half"})),
    "onnx: a threshold of an unknown class": ("m.onnx", lambda: _onnx(texts={"class_thresholds": '{"nosuch": 0.5}'})),
    "onnx: an operator of another program": ("m.onnx", lambda: _onnx_of("Own", "other")),
    "onnx: an operator that is unknown": ("m.onnx", lambda: _onnx_of("Nosuch")),
    "openvino: an empty file": ("m.xml", b""),
    "openvino: another XML": ("m.xml", b"<?xml version='1.0'?><annotations/>"),
    "litert: an empty file": ("m.tflite", b""),
    "litert: bytes of chance": ("m.tflite", bytes(range(256)) * 4),
    "litert: its first bytes alone": ("m.tflite", b"\x1c\0\0\0TFL3" + bytes(40)),
    "litert: an archive alone": ("m.tflite", _keras(lambda members: members.clear())),
    "a model of another suffix": ("m.pb", b"\x08\x01"),
    "PyTorch's file": ("m.pt", b"\x80\x02}q\0."),
    "HDF5 of older Keras": ("m.h5", b"\x89HDF\r\n\x1a\n" + bytes(90)),
}  # fmt: skip


def _run(change: Callable[[Path], object]) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        material.data(folder)
        change(material.run(folder))

    return make


def _shortened(pattern: str) -> Callable[[Path], object]:
    def change(run: Path) -> None:
        for path in run.glob(pattern):
            write(path, path.read_bytes()[: path.stat().st_size // 2])

    return change


def _removed(pattern: str) -> Callable[[Path], object]:
    return lambda run: [path.unlink() for path in run.glob(pattern)]


def _replaced(name: str, content: bytes | str) -> Callable[[Path], object]:
    return lambda run: write(run / name, content)


RUNS: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "a run without its model": ("predict", _removed("best.keras"), "best.keras"),
    "a run whose model is cut off": ("predict", _shortened("best.keras"), "best.keras"),
    "a run without settings": ("train", _removed("config.json"), "config.json"),
    "a run whose checkpoints are cut off": ("train", _shortened("checkpoints/*"), "checkpoints"),
    "a run without checkpoints": ("train", _removed("checkpoints/*"), "checkpoint"),
    "checkpoints of other bytes": (
        "train", lambda run: [write(path, b"hello") for path in run.glob("checkpoints/ckpt*")], "checkpoints"
    ),
    "a history that is cut off": ("train", _replaced("history.csv", "epoch,lo"), "history.csv"),
    "a history of letters": ("train", lambda run: write(run / "history.csv", "epoch\nx\n"), "history.csv"),
    "a fingerprint that is no JSON": ("train", _replaced("fingerprint.json", "{"), "fingerprint.json"),
    "a fingerprint of a list": ("train", _replaced("fingerprint.json", "[]"), "fingerprint.json"),
    "a reading of masks that is unknown": ("train", _replaced("masks.json", '{"reading": "nosuch"}'), "nosuch"),
    "a reading of masks that is no JSON": ("train", _replaced("masks.json", "{"), "masks.json"),
    "a list of images that is no text": ("train", _replaced("training_images.txt", b"\xff\xfe"), "training_images.txt"),
    "metrics that are no JSON": ("train", _replaced("metrics.json", "{"), "metrics.json"),
}  # fmt: skip


def _saved(folder: Path) -> None:
    """Writes a SavedModel of another program."""
    import tensorflow as tf

    material.data(folder)
    module = tf.Module()
    module.run = tf.function(lambda x: x + 1, input_signature=[tf.TensorSpec([None], tf.float32)])
    tf.saved_model.save(module, str(folder / "saved"), signatures={"serving_default": module.run})


def _empty_saved(folder: Path) -> None:
    material.data(folder)
    write(folder / "saved/1/saved_model.pb", b"")


def _openvino(folder: Path) -> None:
    import openvino

    material.network(folder, "net.onnx")
    material.data(folder)
    openvino.save_model(openvino.convert_model(folder / "net.onnx"), folder / "m.xml")


def _two(name: str, content: str) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        material.data(folder)
        material.network(folder)
        write_onnx(folder / "other.onnx", texts={"class_names": '["a","b","c","d"]'}, both=True)
        if name:
            write(folder / name, content)

    return make


def _is_json(name: str) -> Callable[[Path], None]:
    return lambda folder: json.loads((folder / "run" / name).read_text(encoding="utf-8"))


def cases() -> Iterator[Case]:
    """Yields each file by predict, some by evaluate and exports, too, and each damage of a run by what reads it."""
    for what, (name, content) in FILES.items():
        make = _content(name, content)
        yield Case(what, PREDICT.format(name), make, (name,))
    for name in ("keras: cut off", "onnx: cut off", "onnx: without classes", "litert: bytes of chance"):
        file, content = FILES[name]
        yield Case(f"{name}, evaluated", EVALUATE.format(file), _content(file, content), (file,))
    for command in ("onnx", "openvino", "litert", "saved_model"):
        content = FILES["keras: cut off"][1]
        yield Case(f"{command} of a file cut off", f"{command} m.keras out", _content("m.keras", content), ("m.keras",))
        yield Case(f"{command} of no run", f"{command} data out", material.data, ("data",))
    for what, (command, change, said) in RUNS.items():
        words = PREDICT.format("run") if command == "predict" else "train --resume run --epochs 2"
        yield Case(what, words, _run(change), (said,), steps="history" in what or "metrics" in what or "note" in what)
    resume = "train --resume run --epochs 2"
    best, files = (_run(_replaced(name, "{")) for name in ("best.json", "checked_files.json"))
    yield Case("a note of the best model that is no JSON", resume, best, (), "best.json is damaged", steps=True)
    written = _is_json("checked_files.json")  # it is written again
    yield Case("a list of known files that is no JSON", resume, files, (), "Epoch 2/2", 0, written, steps=True)
    yield Case("a SavedModel of another program", PREDICT.format("saved"), _saved, ("saved",))
    yield Case("a SavedModel that is empty", PREDICT.format("saved"), _empty_saved, ("saved",))
    yield Case("openvino: without classes", PREDICT.format("m.xml"), _openvino, ("m.xml",))
    weights = lambda folder: (_openvino(folder), (folder / "m.bin").unlink())  # noqa: E731
    yield Case("openvino: without weights", PREDICT.format("m.xml"), weights, ("m.bin",))
    two = "predict net.onnx other.onnx data/images --out out"
    yield Case("two models of other classes", two, _two("", ""), ("other.onnx",))
    yield Case("one model twice", "predict net.onnx net.onnx data/images --out out", _two("", ""), ("net.onnx",))
    yield Case(
        "a model after the images", "predict net.onnx data/images other.onnx --out out", _two("", ""), ("other",)
    )
    yield Case("data of other classes", EVALUATE.format("net.onnx"), _two("data/classes.txt", "a\nb\nc\nd\n"), ("a",))
    yield Case(
        "thresholds kept in an export", f"{EVALUATE.format('net.onnx')} --keep-thresholds", _two("", ""), ("net.onnx",)
    )
    yield Case("a served folder that is missing", "serve nosuch --port 0", _two("", ""), ("nosuch",))
    yield Case("a served folder that is empty", "serve data --port 0", _two("", ""), ("data",))
    yield Case("a port of letters", "serve data --port http", _two("", ""), ("--port",))
    yield Case("an address of another machine", "serve data --host 192.0.2.1", _two("", ""), ("192.0.2.1",))
