"""Prediction in workers of a Ray cluster that is started on this machine: the same files, even if workers are lost."""

import importlib.util
import os
import signal
import types
import uuid
from pathlib import Path

import numpy as np
import pytest
from conftest import Call
from test_photos import contents, make_photos, tasks_of

from keras_fcn.errors import NoSpaceError, Remark, UserError, argument
from keras_fcn.inference.engines.opening import find_model
from keras_fcn.inference.options import InferenceOptions
from keras_fcn.inference.predictor import Predictor
from keras_fcn.prediction import ray as ray_module
from keras_fcn.prediction.photos import predict_all
from keras_fcn.prediction.ray import Worker, packed, predict_on_ray, unpacked
from keras_fcn.system.storage import files_in, read_bytes, write_bytes

needs_ray = pytest.mark.skipif(
    importlib.util.find_spec("ray") is None, reason="Ray is not installed: pip install -r requirements-ray.txt"
)
needs_pyarrow = pytest.mark.skipif(
    importlib.util.find_spec("pyarrow") is None, reason="PyArrow is not installed: pip install -r requirements-ray.txt"
)


def test_without_ray_or_with_a_video_it_says_so(monkeypatch, tmp_path):
    make_photos(tmp_path / "in", 1)
    words = ["predict.py", "model", tmp_path / "in", "--ray", "--out", tmp_path / "out"]
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    call = Call(*words)
    assert (call.status, call.err.count("\n")) == (2, 1)
    assert "--ray: needs ray, which is not installed: pip install -r requirements-ray.txt" in call.err
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: True)
    (tmp_path / "clip.mp4").write_bytes(b"")
    words[2] = tmp_path / "clip.mp4"
    assert "--ray is for images; predict videos without it" in Call(*words).err


@pytest.mark.parametrize("form", ["file", "folder"])
def test_a_model_is_sent_whole(tmp_path, form):
    model = tmp_path / "sent/best.keras"
    inner = model / "variables/data" if form == "folder" else model
    inner.parent.mkdir(parents=True)
    inner.write_bytes(os.urandom(1000))
    (tmp_path / "there").mkdir()
    there = unpacked(packed(model), tmp_path / "there")
    assert there.name == "best.keras"
    assert (there / "variables/data" if form == "folder" else there).read_bytes() == inner.read_bytes()


class FakeRay:
    """Stands for Ray, with the batches of one worker, one after the other in this process."""

    def __init__(self, worker, size):
        self.exceptions, self.worker, self.size = types.SimpleNamespace(RayError=MemoryError), worker, size

    def finished(self, _ray, rows, _arguments):
        columns = [
            {key: np.array([row[key] for row in part], object) for key in ("number", "task")}
            for part in (rows[first : first + self.size] for first in range(0, len(rows), self.size))
        ]
        return types.SimpleNamespace(iter_batches=lambda batch_size: map(self.worker, columns))

    def put(self, value):
        return value

    def shutdown(self):
        pass


def test_what_workers_report_comes_through_as_it_is(tmp_path, monkeypatch):
    """Errors with the options that they name, remarks of each kind, and a full disk, which ends the prediction."""
    tasks = tasks_of(make_photos(tmp_path / "in", 8), tmp_path / "out", "masks")
    said = {1: UserError(f"x: too large; add {argument('tile')}"), 2: Remark("dark", "y"), 4: Remark("several", "z")}
    called = []

    def predict(_predictor, tasks, _style, _batch_size):
        first = 4 * len(called)
        called.append(len(tasks))
        if first == 4 and is_full:
            raise NoSpaceError("out/masks/0005.png: cannot be written (No space left on device); free disk space")
        return {number - first: error for number, error in said.items() if first <= number < first + 4}

    worker = Worker(None, InferenceOptions(), None, None)
    worker._predictor = None
    ray = FakeRay(worker, 4)
    monkeypatch.setattr(ray_module, "connect", lambda: ray)
    monkeypatch.setattr(ray_module, "packed", lambda model: b"")
    monkeypatch.setattr(ray_module, "_finished_batches", ray.finished)
    monkeypatch.setattr("keras_fcn.prediction.photos.predict_all", predict)
    is_full = False
    found = predict_on_ray(Path("model"), tasks, InferenceOptions())
    assert {number: (type(error), error.marked, getattr(error, "kind", "")) for number, error in found.items()} == {
        number: (type(error), error.marked, getattr(error, "kind", "")) for number, error in said.items()
    }
    is_full = True
    del called[:]
    with pytest.raises(NoSpaceError, match=r"^out/masks/0005.png: cannot be written .*; free disk space$"):
        predict_on_ray(Path("model"), tasks * 2, InferenceOptions())
    assert called == [4, 4]


@pytest.fixture
def killed_workers(monkeypatch):
    """Kills a worker of ours when it is called for the first time; the list holds its number then."""
    name, killed = uuid.uuid4().hex, []
    monkeypatch.setenv("KERAS_FCN_TEST", name)
    monkeypatch.setenv("RAY_ADDRESS", "")

    def kill(count):
        if not killed:
            killed.append(our_workers(name)[-1])
            os.kill(killed[0], signal.SIGKILL)

    return kill, killed


def our_workers(name):
    """Process ids of Ray's workers with this in their environment that predict."""
    found = []
    for folder in Path("/proc").iterdir():
        try:
            is_worker = folder.name.isdigit() and b"MapWorker" in (folder / "cmdline").read_bytes()
            if is_worker and name.encode() in (folder / "environ").read_bytes():
                found.append(int(folder.name))
        except OSError:  # it has ended, or is not ours
            continue
    return sorted(found)


@needs_ray
def test_workers_write_the_same_files_also_when_one_is_killed(trained, tmp_path, killed_workers):
    photos = make_photos(tmp_path / "in", 120, [(40, 56), (31, 33)])
    (photos / "0050.png").write_text("not an image")
    outputs = ("masks", "overlays", "json")
    alone = predict_all(Predictor(trained), tasks_of(photos, tmp_path / "alone", *outputs))
    kill, killed = killed_workers
    counts = []
    failures = predict_on_ray(
        find_model(trained), tasks_of(photos, tmp_path / "ray", *outputs), InferenceOptions(),
        advance=lambda count: (counts.append(count), kill(count)),
    )  # fmt: skip
    assert killed
    assert sum(counts) == 120
    assert {number: str(failure) for number, failure in failures.items()} == {
        number: str(failure) for number, failure in alone.items()
    }
    assert contents(tmp_path / "ray") == contents(tmp_path / "alone")
    assert len(contents(tmp_path / "ray")) == 119 * 3


@needs_ray
@pytest.mark.slow
def test_from_the_command_line_by_uris(trained, tmp_path, monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", "")
    photos = make_photos(tmp_path / "in/a b/ü", 5)
    (photos / "0003.png").write_text("not an image")
    here = Call("predict.py", trained, tmp_path / "in", "--out", tmp_path / "here")
    words = ["predict.py", trained, f"file://{tmp_path}/in", "--ray", "--out", f"file://{tmp_path}/there"]
    there = Call(*words)
    assert (here.status, there.status) == (1, 1), there.err
    assert there.out == f"4 of 5 segmented: masks/, overlays/ in file://{tmp_path}/there\n"
    assert there.err == here.err.replace(f"{tmp_path}/in", f"file://{tmp_path}/in")
    assert contents(tmp_path / "there") == contents(tmp_path / "here")
    again = Call(*words)
    assert again.status == 2
    assert "exists already" in again.err


@needs_pyarrow
def test_locations_are_read_written_and_listed(tmp_path):
    root = f"file://{tmp_path}/å b"
    assert files_in(root) == []
    for name in ("x.png", "deep/er/y.png"):
        write_bytes(f"{root}/{name}", name.encode())
    assert files_in(root) == [f"{root}/deep/er/y.png", f"{root}/x.png"] == files_in(root + "/")
    assert files_in(f"{root}/x.png") == [f"{root}/x.png"]
    assert read_bytes(f"{root}/deep/er/y.png") == b"deep/er/y.png"
    with pytest.raises(UserError, match=r"none\.png: cannot be read"):
        read_bytes(f"{root}/none.png")
    with pytest.raises(UserError, match="nowhere://x: cannot be opened"):
        read_bytes("nowhere://x")


def test_without_pyarrow_a_location_names_the_package(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"s3://b: needs pyarrow, which is not installed: pip install -r"):
        read_bytes("s3://b/k")
