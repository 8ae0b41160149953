"""Measuring exported files on this machine, each in a process of its own, without TensorFlow."""

import json
import sys

import numpy as np
import pytest
from conftest import Call
from PIL import Image

from export import benchmark
from export.benchmark import BenchmarkOptions, measure_in_turn
from export.formats.measuring import Task, measure
from keras_fcn import ClassTable, UserError
from keras_fcn.images.values.channels import RGB, Channels
from keras_fcn.inference.engines.facts import Facts

onnx = pytest.importorskip("onnx", reason="pip install -r requirements-formats.txt")
pytest.importorskip("onnxruntime", reason="pip install -r requirements-formats.txt")

CLASSES = ClassTable.named(["a", "b", "c"])


def write(path, of_channel=(0, 1, 2), height=None, batch=None, classes=CLASSES, channels=RGB):
    """A file whose class id is what `of_channel` says of the brightest channel."""
    sizes = [batch, height, height, channels.count]
    shapes = [[name if size is None else size for name, size in zip("NHW3", sizes)] for sizes in (sizes, sizes[:3])]
    kinds = zip(("images", "classes"), shapes)
    image, ids = (onnx.helper.make_tensor_value_info(name, onnx.TensorProto.UINT8, shape) for name, shape in kinds)
    table = onnx.numpy_helper.from_array(np.array(of_channel, np.uint8), "table")
    nodes = [
        onnx.helper.make_node("Cast", ["images"], ["numbers"], to=onnx.TensorProto.INT32),
        onnx.helper.make_node("ArgMax", ["numbers"], ["brightest"], axis=3, keepdims=0),
        onnx.helper.make_node("Gather", ["table", "brightest"], ["classes"]),
    ]
    graph = onnx.helper.make_graph(nodes, "graph", [image], [ids], [table])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    onnx.helper.set_model_props(model, Facts("network", classes, channels=channels).to_texts())
    onnx.save(model, path)
    return path


@pytest.fixture
def photos(tmp_path):
    """Two images: 6 x 4 pixels, of which a quarter is red, the rest green, and 2 x 2 that are blue."""
    pixels = np.zeros((4, 6, 3), np.uint8)
    pixels[..., 1] = 200
    pixels[:2, :3] = (200, 0, 0)
    folder = tmp_path / "photos"
    folder.mkdir()
    Image.fromarray(pixels).save(folder / "a.png")
    Image.new("RGB", (2, 2), (0, 0, 9)).save(folder / "b.png")
    return folder


def task_of(path, photos, tmp_path, size=None):
    images = sorted(map(str, photos.iterdir()))
    return Task(str(path), images, False, size, 1, str(tmp_path / "masks.npz"))


def test_the_command_measures_two_files(tmp_path, photos):
    first, other = write(tmp_path / "first.onnx"), write(tmp_path / "other.onnx", (0, 2, 2))
    words = ["--images", photos, "--rounds", 1, "--threads", 1, "--json", tmp_path / "figures.json"]
    call = Call("export/benchmark.py", first, other, *words)
    assert (call.status, call.err) == (0, "")
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert (figures["threads"], figures["rounds"]) == (1, 1)
    # 18 of the 28 pixels are green, whose class is another.
    for one, path, agreement in zip(figures["models"], (first, other), (1, 10 / 28)):
        assert (one["model"], one["program"], one["agreement"]) == (str(path), "ONNX Runtime", agreement)
        assert one["megabytes"] == path.stat().st_size / 1e6
        assert 0 < one["seconds"] < one["first_mask_seconds"] < 60
        assert one["processor_seconds"] > 0
        assert 20 < one["memory_megabytes"] < 400
    rows = [line.split() for line in call.out.splitlines() if line.startswith(str(tmp_path))]
    assert [row[-1] for row in rows] == ["100.00%", "35.71%"]


def test_an_image_of_each_batch_is_counted_once(tmp_path, photos):
    figures = measure(task_of(write(tmp_path / "a.onnx", batch=3), photos, tmp_path))
    assert len(figures["seconds"]) == len(figures["processor_seconds"]) == 2
    with np.load(tmp_path / "masks.npz") as masks:
        assert [masks[name].shape for name in masks] == [(4, 6), (2, 2)]
        np.testing.assert_array_equal(masks["arr_0"], [[0, 0, 0, 1, 1, 1]] * 2 + [[1] * 6] * 2)


def test_images_are_resized_for_a_file_of_one_size(tmp_path, photos):
    path = write(tmp_path / "a.onnx", height=8)
    with pytest.raises(ValueError, match=r"a.onnx: takes images of one size alone; .* size=\(8, 8\). Received: 4 x 6$"):
        measure(task_of(path, photos, tmp_path))
    measure(task_of(path, photos, tmp_path, [8, 8]))
    with np.load(tmp_path / "masks.npz") as masks:
        assert [masks[name].shape for name in masks] == [(8, 8)] * 2
        assert masks["arr_0"][0].tolist() == [0, 0, 0, 0, 1, 1, 1, 1]


@pytest.fixture
def in_this_process(monkeypatch):
    """Measures without starting processes: what is in question is what is said of it."""
    monkeypatch.setattr(benchmark, "_measured", lambda task: {**measure(task), "first_mask_seconds": 1.0})


@pytest.mark.usefixtures("in_this_process")
def test_what_cannot_be_measured_is_one_line(tmp_path, photos):
    path, sized = write(tmp_path / "a.onnx"), write(tmp_path / "c.onnx", height=8)
    other = write(tmp_path / "b.onnx", classes=ClassTable.named(["a", "b", "d"]))
    (tmp_path / "clip.mp4").touch()
    cases = [
        ({"models": (path, path)}, "a.onnx: is there 2 times; name each model once"),
        ({"models": (path, tmp_path / "none.onnx")}, "none.onnx: no such file or folder"),
        ({"models": (path,), "rounds": 0}, "rounds must be at least 1. Received: 0"),
        ({"models": (path,), "precision": "bfloat16"}, "a.onnx: ONNX Runtime computes in float32 alone"),
        (
            {"models": (path,), "size": (0, 5)},
            "size takes a height and a width of at least 1, and 1073741824 pixels at most. Received: 0 5",
        ),
        ({"models": (path,), "images": (str(tmp_path / "nothing"),)}, "nothing: no such file"),
        ({"models": (path,), "images": (str(tmp_path / "clip.mp4"),)}, "images has no images, but videos: .*clip.mp4"),
        ({"models": (path, other)}, "b.onnx: has other classes than .*a.onnx; compare models of the same"),
        ({"models": (sized,)}, "c.onnx: takes images of one size alone"),
    ]
    for words, message in cases:
        with pytest.raises(UserError, match=message):
            measure_in_turn(BenchmarkOptions(**words, **({} if "images" in words else {"images": (str(photos),)})))


@pytest.mark.usefixtures("in_this_process")
def test_drawn_images_suit_models_of_any_channels(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(benchmark, "_agreement", lambda first, other: seen.append(dict(np.load(other))) or 1.0)
    channels = Channels("4")
    paths = write(tmp_path / "a.onnx"), write(tmp_path / "b.onnx", (0, 1, 2, 0), channels=channels)
    measure_in_turn(BenchmarkOptions(paths, count=2, rounds=1))
    assert [mask.shape for mask in seen[0].values()] == [(320, 480)] * 2
    assert (seen[0]["arr_0"] != seen[0]["arr_1"]).any()
    for name in seen[0]:  # the fourth channel is the first again
        np.testing.assert_array_equal(seen[0][name], seen[1][name])


def test_wrong_words_are_one_line(tmp_path):
    for words, message in (([], "needs a run folder or a model"), (["a.onnx", "--json", tmp_path], str(tmp_path))):
        call = Call("export/benchmark.py", *words)
        assert (call.status, call.out, len(call.err.splitlines())) == (2, "", 1)
        assert message in call.err


def test_a_process_that_ends_is_one_line(tmp_path, photos, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(ValueError, match=r"a.onnx: could not be measured, its process ended: exit status 1$"):
        benchmark._measured(task_of(write(tmp_path / "a.onnx"), photos, tmp_path))
