"""What a run begins with: its data, its machine."""

import dataclasses
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import PIL
import pytest
import tensorflow as tf
from begun import CLASSES, CONFIG, DATA, refused

import keras_fcn
from keras_fcn.images.classes import ClassTable
from keras_fcn.runs.fingerprint import Fingerprint
from keras_fcn.runs.folder import RunFolder
from keras_fcn.runs.known_files import KnownFiles
from keras_fcn.training.records import beginning
from keras_fcn.training.records.beginning import Beginning, describe_machine


@pytest.fixture
def run(tmp_path):
    return RunFolder.create(tmp_path / "run", CONFIG.to_dict())


@pytest.fixture
def lines():
    return []


def test_the_beginning_is_kept_once_and_compared(run, lines):
    first = Beginning(None)
    first.require_classes(ClassTable.named(("z",)))
    first.require_same_data(DATA, lines.append)
    first.compare_machine({"cores": "1"}, lines.append)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(first.known, "write", lambda path: lines.append(path))
        first.write(run, DATA, {"cores": "2"})
    assert lines.pop() == run.checked_files
    assert Fingerprint.read(run.fingerprint) == (DATA, {"cores": "2"})
    other = dataclasses.replace(DATA, training=[("x", "1", "other")])
    again = Beginning(run)
    again.write(run, other, {"cores": "9"})
    assert Fingerprint.read(run.fingerprint) == (DATA, {"cores": "2"})
    again.require_classes(CLASSES)
    again.require_same_data(DATA, lines.append)
    again.compare_machine({"cores": "2", "precision": "float32"}, lines.append)
    assert not lines
    again.compare_machine({"cores": "3"}, lines.append)
    assert lines == [
        "Warning  the run began with cores 2 and resumes with cores 3: weights will differ in their last bits from "
        "those of a run that was never stopped"
    ]
    assert "class 0 is 'z' now and was 'a'" in refused(again.require_classes, ClassTable.named(("z", "b")))
    assert "1 of 1 masks have another content, first the mask of x" in refused(again.require_same_data, other, None)


def test_what_is_known_of_files_is_read_and_written(run, monkeypatch):
    path = run.root / "image"
    path.write_bytes(b"content")
    known = Beginning(None).known
    known.put(path, "size", [3, 4])
    known.write(run.checked_files)
    assert Beginning(run).known.get(path, "size") == [3, 4]
    versions = f"keras-fcn {keras_fcn.__version__}, Pillow {PIL.__version__}, NumPy {np.__version__}"
    assert KnownFiles.read(run.checked_files, versions).get(path, "size") == [3, 4]
    monkeypatch.setattr(beginning, "_READERS", "others")
    assert Beginning(run).known.get(path, "size") is None


def test_a_processor_computed_in_float32_before_that_was_kept(run, lines):
    now = {"devices": "CPU:0", "precision": "bfloat16"}
    DATA.write(run.fingerprint, {"devices": "CPU:0"})
    Beginning(run).compare_machine(now, lines.append)
    assert "began with precision float32 and resumes with precision bfloat16" in lines.pop()
    for machine in ({"devices": "GPU:0", "precision": "bfloat16"}, {}):
        DATA.write(run.fingerprint, machine)
        Beginning(run).compare_machine(now | {"devices": "GPU:0"}, lines.append)
        assert not lines
    DATA.write(run.fingerprint, {"devices": "CPU:0", "precision": "bfloat16"})
    Beginning(run).compare_machine(now, lines.append)
    assert not lines


def test_a_run_without_a_fingerprint_knows_names_alone(run, lines):
    early = Beginning(run)
    early.require_classes(CLASSES)  # of a run without epochs, nothing is known
    early.require_same_data(DATA, lines.append)
    assert lines == [
        f"Warning  {run.root}: was begun by a version that kept no fingerprint of its data: only names are compared, "
        "and it is kept from now on"
    ]
    run.write_images([Path("d/x.jpg")], [Path("y")])
    (run.root / "history.csv").write_text("epoch,val_iou/a,val_iou/b\n1,0.5,0.5\n", encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        rows = [SimpleNamespace(val_iou={}), SimpleNamespace(val_iou={"a": 0.5, "b": 0.5})]
        patch.setattr(RunFolder, "read_history", lambda self: rows)
        patch.setattr(RunFolder, "validation_images", lambda self: ["y"])
        early = Beginning(run)
    early.require_classes(CLASSES)
    early.require_same_data(DATA, lines.append)
    assert "class 1 is 'z' now and was 'b'" in refused(early.require_classes, ClassTable.named(("a", "z")))
    moved = dataclasses.replace(DATA, validation=[("z", "", "")])
    assert "the validation data have changed" in refused(early.require_same_data, moved, lines.append)


def test_the_machine_in_words(monkeypatch):
    strategy = tf.distribute.get_strategy()
    monkeypatch.delenv("TF_NUM_INTRAOP_THREADS", raising=False)
    monkeypatch.delenv("TF_ENABLE_ONEDNN_OPTS", raising=False)
    monkeypatch.setattr(tf.config.threading, "get_intra_op_parallelism_threads", lambda: 0)
    monkeypatch.setattr(beginning, "granted_cores", lambda: 7)
    monkeypatch.setattr(beginning, "describe_devices", lambda given: f"devices of {given is strategy}")
    monkeypatch.setattr(beginning, "processor_model", lambda: "a processor")
    machine = describe_machine(strategy, "bfloat16")
    assert machine == {
        "keras-fcn": keras_fcn.__version__,
        "TensorFlow": tf.__version__,
        "Keras": keras.__version__,
        "NumPy": np.__version__,
        "Pillow": PIL.__version__,
        "cores": "7",
        "oneDNN": "by default",
        "devices": "devices of True",
        "precision": "bfloat16",
        "processor": "a processor",
    }
    for value, words in (("0", "off"), ("1", "on"), ("x", "by default")):
        monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", value)
        assert describe_machine(strategy, "float32")["oneDNN"] == words
    monkeypatch.setattr(tf.config.threading, "get_intra_op_parallelism_threads", lambda: 3)
    assert describe_machine(strategy, "float32")["cores"] == "3"
    monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", "5")
    assert describe_machine(strategy, "float32")["cores"] == "5"
