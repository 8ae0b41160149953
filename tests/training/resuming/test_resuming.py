"""Runs that were interrupted, killed or damaged resume as if nothing had happened."""

import csv
import dataclasses
import os
import shutil
import signal
import subprocess
import time

import numpy as np
import pytest
from conftest import ROOT, TINY
from PIL import Image
from tiny_runs import NARROW_TRAINING, Interruption, assert_same_run, silent, tiny

import keras_fcn
from keras_fcn.errors import UserError
from keras_fcn.images.classes import ClassTable
from keras_fcn.images.masks import write_label
from keras_fcn.runs.config_files import read_config
from keras_fcn.runs.folder import RunFolder
from keras_fcn.system.files import write_json
from keras_fcn.training.records.checkpoints import Checkpoints
from keras_fcn.training.train import run_training as train

pytestmark = pytest.mark.usefixtures("no_pictures")


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("step", [1, 3, 5])
def test_an_interrupted_run_resumes_exactly_where_it_was(toy, whole, tmp_path, monkeypatch, step):
    interruption = Interruption(monkeypatch, step)
    with pytest.raises(KeyboardInterrupt, match=rf"resume with python train.py --resume {tmp_path}/parts"):
        train(tiny(toy), tmp_path / "parts", report=silent)
    interruption.undo()
    parts = train(tiny(toy), resume=tmp_path / "parts", report=silent)
    assert_same_run(whole, parts)


@pytest.mark.usefixtures("eager")
def test_crops_around_rare_classes_resume_exactly(toy, tmp_path, monkeypatch):
    settings = tiny(toy, balance="windows", epochs=1)
    undisturbed = train(settings, tmp_path / "undisturbed", report=silent)
    interruption = Interruption(monkeypatch, 3)
    with pytest.raises(KeyboardInterrupt):
        train(settings, tmp_path / "parts", report=silent)
    interruption.undo()
    lines = []
    assert_same_run(undisturbed, train(settings, resume=tmp_path / "parts", report=lines.append))
    assert any(line.startswith("Rare     ") and line.endswith("is drawn around them") for line in lines)


@pytest.mark.usefixtures("eager")
def test_a_finished_run_can_be_given_more_epochs(plain, toy, tmp_path):
    """Neither the file of its initial weights nor its best model is needed for it, and the number is kept."""
    run = RunFolder(shutil.copytree(plain.root, tmp_path / "run"))
    write_json(run.config, tiny(toy, epochs=1, weights="gone.npz").to_dict())
    run.best_model.unlink()
    with pytest.raises(UserError, match=r"best.keras: is missing, of epoch 1, with .*; put it back, or train"):
        keras_fcn.train(resume=run.root, report=silent)
    lines = []
    longer = keras_fcn.train(resume=run.root, epochs=3, report=lines.append)
    assert longer.history["epoch"] == [1, 2, 3]
    assert read_config(run.config) == tiny(toy, epochs=3, weights="gone.npz")
    assert f"Warning  {run.best_model}: is missing, of epoch 1, " in "\n".join(lines)
    assert "Weights  those of the checkpoint" in "\n".join(lines)
    assert run.best_model.is_file()


def test_a_checkpoint_of_another_network_is_refused_and_kept(plain, toy, tmp_path):
    run = RunFolder(shutil.copytree(plain.root, tmp_path / "run"))
    other = tiny(toy, model="fcn8s", backbone="mobilenet_v2", epochs=1)
    write_json(run.config, other.to_dict())
    before = {path: path.read_bytes() for path in run.root.rglob("*") if path.is_file()}
    with pytest.raises(UserError, match=r"ckpt-1: is damaged or not a checkpoint of fcn8s over mobilenet_v2"):
        train(other, resume=run.root, report=silent)
    assert {path: path.read_bytes() for path in run.root.rglob("*") if path.is_file()} == before


def test_data_that_changed_between_stop_and_resumption_are_refused(plain, toy, tmp_path):
    """A copy of the data is known by its contents; one mask of it is not."""
    run = RunFolder(shutil.copytree(plain.root, tmp_path / "run"))
    data = shutil.copytree(toy, tmp_path / "moved" / "toy")
    before = {path: path.read_bytes() for path in run.root.rglob("*") if path.is_file()}
    mask = next((data / "SegmentationClass").glob("train*"))
    label = np.array(Image.open(mask))
    label[0, 0] = 1
    write_label(mask, label, ClassTable.voc())
    message = f"training data .*: 1 of 10 masks have another content, first the mask of JPEGImages/{mask.stem}.jpg"
    with pytest.raises(UserError, match=message):
        train(tiny(data, epochs=2), resume=run.root, report=silent)
    assert {path: path.read_bytes() for path in run.root.rglob("*") if path.is_file()} == before


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize(("sent", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_ctrl_c_leaves_a_checkpoint_and_says_how_to_resume(toy, tmp_path, sent, status):
    """Within ten seconds, as schedulers that send SIGTERM want it; in the midst of a long training."""
    run = tmp_path / "run"
    command = [*NARROW_TRAINING, "--data", str(toy), "--run-dir", str(run), *TINY, "--epochs", "500"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            if line.startswith("loss"):  # the first epoch is over
                os.kill(process.pid, sent)
                break
        signaled = time.monotonic()
        _, message = process.communicate(timeout=120)
    assert time.monotonic() - signaled < 10
    assert process.returncode == status
    assert message == f"\ninterrupted: resume with python train.py --resume {run}\n"
    with (run / "history.csv").open() as file:
        done = len(list(csv.DictReader(file)))
    assert done >= 1
    config = dataclasses.replace(tiny(toy), epochs=done + 1)
    resumed = train(config, resume=run, report=silent)
    assert [row.epoch for row in resumed.read_history()] == list(range(1, done + 2))


def test_a_killed_run_ends_in_the_weights_of_one_that_was_not(toy, tmp_path):
    """`kill -9` twice, at moments that differ from machine to machine; then to the end, in another process."""
    undisturbed = train(tiny(toy, epochs=3), tmp_path / "undisturbed", report=silent)
    run = tmp_path / "killed"
    start = ["--data", str(toy), "--run-dir", str(run), *TINY, "--epochs", "3"]
    for arguments in (start, ["--resume", str(run)]):
        command = [*NARROW_TRAINING, *arguments]
        with subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        ) as process:
            assert any(line.startswith("loss") for line in process.stdout)  # an epoch is over
            process.kill()
        assert process.returncode == -signal.SIGKILL
    assert_same_run(undisturbed, train(tiny(toy, epochs=3), resume=run, report=silent))


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("cut", [1000, -1000])
def test_a_damaged_checkpoint_is_passed_over_for_the_one_before(toy, whole, tmp_path, cut):
    shutil.copytree(whole.root, tmp_path / "damaged")
    run = RunFolder(tmp_path / "damaged")
    newest = Checkpoints.paths(run)[0].with_suffix(".data-00000-of-00001")
    newest.write_bytes(newest.read_bytes()[:cut])
    lines = []
    again = train(tiny(toy), resume=run.root, report=lines.append)
    assert any(line.startswith(f"Warning  {run.checkpoints}/ckpt-2: cannot be restored") for line in lines)
    assert_same_run(whole, again)


@pytest.mark.usefixtures("eager")
def test_a_long_epoch_leaves_checkpoints_in_its_middle(toy, whole, tmp_path):
    settings = tiny(toy, checkpoint_minutes=0.0)
    run = train(settings, tmp_path / "run", report=silent)
    # After each of 3 steps and after the epoch, twice.
    assert [path.name for path in Checkpoints.paths(run)] == ["ckpt-8", "ckpt-7"]
    for path in run.checkpoints.glob("ckpt-8.*"):
        path.unlink()
    assert_same_run(whole, train(settings, resume=run.root, report=silent))
