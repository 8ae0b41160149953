"""Folders of runs are opened without loss of what they hold."""

import dataclasses
import json
import os
import subprocess
import sys

import numpy as np
import pytest
from conftest import ROOT
from tiny_runs import silent, tiny

from keras_fcn.datasets import inspection, open_pairs
from keras_fcn.datasets.labels import survey
from keras_fcn.errors import UserError
from keras_fcn.evaluation.results import Evaluation
from keras_fcn.evaluation.watch import Watch
from keras_fcn.images.classes import VOC_CLASS_NAMES, ClassTable
from keras_fcn.runs.data_options import DataOptions
from keras_fcn.runs.folder import RunFolder
from keras_fcn.runs.history import EpochRow
from keras_fcn.runs.known_files import KnownFiles, remembering
from keras_fcn.training.inputs.data import open_training_data
from keras_fcn.training.opening import Opening
from keras_fcn.training.records.beginning import Beginning
from keras_fcn.training.records.writer import RunWriter
from keras_fcn.training.step.own import OwnParts


def row(epoch, mean_iou):
    return EpochRow(epoch, epoch, 1.0, 0.1, 1.0, 1.0, 0.0, 0.5, 0.5, mean_iou, 0.5, {"cat": mean_iou})


@pytest.fixture
def run(toy, tmp_path):
    """A run of which nothing is trained yet."""
    return RunFolder.create(tmp_path / "run", tiny(toy).to_dict())


def opened(toy, run, **options):
    """Opens the run as the same command does, or to resume it."""
    return Opening(tiny(toy), OwnParts(), **{"run_dir": run.root, "resume": None} | options)


def test_a_run_is_resumed_with_its_own_settings_only(toy, run):
    with pytest.raises(UserError, match=r"^seed is 0 in .*/config.json. Received: 1; leave it out to resume, or start"):
        Opening(tiny(toy, seed=1), OwnParts(), None, run.root)
    with pytest.raises(UserError, match=r"already exists, with another epochs; choose another run_dir, or resume it"):
        Opening(tiny(toy, epochs=9), OwnParts(), run.root, None)
    Opening(tiny("moved", epochs=9), OwnParts(), None, run.root)
    with pytest.raises(UserError, match=r"nowhere/config.json: no such file, so nowhere is not a run to resume"):
        Opening(tiny(toy), OwnParts(), None, type(run.root)("nowhere"))


def test_an_empty_folder_is_used_and_one_with_files_is_not(toy, run, tmp_path):
    empty = tmp_path / "mounted"
    for name in ("lost+found", ".snapshot"):
        (empty / name).mkdir(parents=True)
    with Opening(tiny(toy), OwnParts(), empty, None).locked(), RunFolder(empty).locked():
        RunFolder.create(empty, {})
    assert {path.name for path in empty.iterdir()} == {"lost+found", ".snapshot", "config.json"}
    (tmp_path / "other").mkdir()
    (tmp_path / "other/notes.txt").write_text("mine")
    with pytest.raises(UserError, match=r"other: already exists and is not a run; choose another run_dir"):
        Opening(tiny(toy), OwnParts(), tmp_path / "other", None)
    assert [path.name for path in (tmp_path / "other").iterdir()] == ["notes.txt"]


def test_a_process_that_was_killed_holds_no_lock(toy, run):
    program = (
        "import os, sys, pathlib; from keras_fcn.runs.folder import RunFolder;"
        "lock = RunFolder(pathlib.Path(sys.argv[1])).locked(); lock.__enter__(); os.kill(os.getpid(), 9)"
    )
    assert subprocess.run([sys.executable, "-c", program, run.root], cwd=ROOT).returncode == -9
    assert (run.root / "lock").is_file()
    with opened(toy, run).locked():
        assert f"process {os.getpid()}" in (run.root / "lock").read_text()


class Model:
    def save(self, path):
        path.write_text("better")


def test_a_better_model_of_a_lost_checkpoint_is_kept(toy, run, no_pictures):
    """Its epoch is trained again, and may end otherwise on another machine."""
    good, less = (
        Evaluation(("cat", "dog"), 1, np.array(matrix), {"a": 1.0}) for matrix in ([[9, 0], [1, 9]], [[5, 5], [5, 5]])
    )
    run.best_model.write_text("good")
    run.metrics.write_text(json.dumps(good.to_json()))
    run.write_history([row(1, 0.1), row(2, 0.9)])
    writer = RunWriter(run, open_pairs(toy, "val"), Watch(), finished_epochs=1, step=3)
    writer.add_epoch(row(2, less.metrics.mean_iou), less, segment=None, best=Model())
    assert run.best_model.read_text() == "good"
    assert [row.epoch for row in run.read_history()] == [1, 2]
    writer.add_epoch(row(3, good.metrics.mean_iou), good, segment=None, best=Model())
    assert run.best_model.read_text() == "better"


def test_a_resumed_run_decodes_nothing_again(toy, tmp_path, monkeypatch):
    options = DataOptions(data=str(toy))
    with remembering(KnownFiles()) as known:
        first = open_training_data(options, "none", None, silent)
    known.write(tmp_path / "files.json")
    monkeypatch.setattr(inspection, "inspect_image", pytest.fail)
    monkeypatch.setattr(inspection, "decoded_bytes", pytest.fail)
    with remembering(KnownFiles.read(tmp_path / "files.json", "")):
        again = open_training_data(options, "none", None, silent)
    assert again.fingerprint == first.fingerprint
    assert again.crop_size == first.crop_size


def test_masks_without_a_class_file_are_not_surveyed_again(toy, tmp_path, monkeypatch):
    masks = open_pairs(toy, "train").labels
    with remembering(KnownFiles()) as known:
        first = list(survey.contents(masks))
    known.write(tmp_path / "files.json")
    monkeypatch.setattr(survey, "label_content", pytest.fail)
    with remembering(KnownFiles.read(tmp_path / "files.json", "")):
        assert list(survey.contents(masks)) == first


def test_a_run_without_a_fingerprint_is_resumed_with_a_line(toy, run):
    run.write_history([dataclasses.replace(row(1, 0.5), val_iou=dict.fromkeys(VOC_CLASS_NAMES, 0.5))])
    lines = []
    data = open_training_data(DataOptions(data=str(toy)), "none", None, silent).fingerprint
    beginning = Beginning(run)
    beginning.require_classes(ClassTable.voc())
    beginning.require_same_data(data, lines.append)
    assert len(lines) == 1
    assert "kept no fingerprint of its data: only names are compared, and it is kept from now on" in lines[0]
    with pytest.raises(UserError, match="class 1 is 'cat' now and was 'aeroplane'"):
        beginning.require_classes(ClassTable.named(["background", "cat"]))
    beginning.write(run, data, {"cores": "99", "devices": "CPU:0"})
    Beginning(run).require_same_data(data, pytest.fail)
    Beginning(run).compare_machine({"cores": "1"}, lines.append)
    assert lines[1].startswith("Warning  the run began with cores 99 and resumes with cores 1: weights will differ")
    Beginning(run).compare_machine({"devices": "CPU:0", "precision": "bfloat16"}, lines.append)  # it kept none
    assert lines[2].startswith("Warning  the run began with precision float32 and resumes with precision bfloat16:")
