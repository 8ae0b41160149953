"""Training in workers of a Ray cluster that is started on this machine."""

import importlib.util
import os
import signal
import subprocess
import sys
import uuid
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT, TINY
from tiny_runs import exact_history, silent, tiny

from keras_fcn.commands.train import parse_train_options
from keras_fcn.errors import UserError
from keras_fcn.inference.models import load_model
from keras_fcn.runs.folder import RunFolder
from keras_fcn.training.ray import train_on_ray
from keras_fcn.training.train import run_training

needs_ray = pytest.mark.skipif(
    importlib.util.find_spec("ray") is None, reason="Ray is not installed: pip install -r requirements-ray.txt"
)


def start(*words, **more):
    environment = {**os.environ, "RAY_ADDRESS": "", **more}
    command = [sys.executable, "-u", "train.py", "--ray-workers", "2", *map(str, words)]
    return subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    )


def test_without_ray_it_says_so(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"ray_workers: needs ray, .*: pip install -r requirements-ray.txt"):
        train_on_ray(tiny("toy"), 2)


def test_ray_brings_its_own_strategy():
    with pytest.raises(UserError, match="ray_workers and strategy='mirrored' exclude each other"):
        train_on_ray(tiny("toy", strategy="mirrored"), 2)
    with pytest.raises(UserError, match=r"--ray-workers must not be negative. Received: -1"):
        parse_train_options(["--ray-workers", "-1"])


@pytest.mark.usefixtures("full_width")
@needs_ray
def test_two_workers_of_ray_train_as_one_process_does(toy, tmp_path):
    run = tmp_path / "run"
    with start("--data", toy, *TINY, "--learning-rate", 1e-4, "--run-dir", run) as process:
        alone = run_training(tiny(toy, epochs=1, learning_rate=1e-4), tmp_path / "alone", report=silent)
        out, err = process.communicate(timeout=600)
    assert (process.returncode, err) == (0, "")
    assert f"\nRun      {run}\n" in out
    assert "frequency-weighted IoU" in out
    assert sorted(path.name for path in tmp_path.iterdir()) == ["alone", "run"]
    assert exact_history(RunFolder(run))[0]["loss"] == pytest.approx(exact_history(alone)[0]["loss"], rel=1e-4)
    two, one = (load_model(folder.best_model).trainable_weights for folder in (RunFolder(run), alone))
    for weight, expected in zip(two, one, strict=True):
        np.testing.assert_allclose(np.asarray(weight), np.asarray(expected), rtol=0, atol=1e-5)


@needs_ray
@pytest.mark.slow
def test_a_users_mistake_is_one_line_from_ray_too(toy, tmp_path):
    with start("--data", toy, *TINY, "--learning-rate", 1e30, "--run-dir", tmp_path / "run") as process:
        _, err = process.communicate(timeout=600)
    assert process.returncode == 2
    assert err.startswith("error: the loss became ")
    assert err.count("\n") == 1


@needs_ray
@pytest.mark.slow
@pytest.mark.parametrize(("sent", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_the_workers_of_ray(toy, tmp_path, sent, status):
    name, run = uuid.uuid4().hex, tmp_path / "run"
    with start("--data", toy, *TINY[:-2], "--epochs", 500, "--run-dir", run, KERAS_FCN_TEST=name) as process:
        next(line for line in process.stdout if line.startswith("loss"))
        assert len(training_workers(name)) == 2
        process.send_signal(sent)
        _, err = process.communicate(timeout=120)
    assert process.returncode == status
    assert err == f"\ninterrupted: resume from the last checkpoint with python train.py --resume {run}\n"
    assert not training_workers(name)
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


@needs_ray
@pytest.mark.slow
def test_ray_starts_the_workers_again_when_one_is_killed(toy, tmp_path):
    name = uuid.uuid4().hex
    run, killed = tmp_path / "run", False
    with start("--data", toy, *TINY[:-2], "--epochs", 3, "--run-dir", run, KERAS_FCN_TEST=name) as process:
        lines = []
        for line in process.stdout:
            lines.append(line)
            if line.startswith("loss") and not killed:
                os.kill(training_workers(name)[-1], signal.SIGKILL)
                killed = True
        err = process.stderr.read()
    assert (process.returncode, err) == (0, "")
    assert "Warning  a worker was lost; restarting all of them\n" in lines
    assert [row.epoch for row in RunFolder(run).read_history()] == [1, 2, 3]


def training_workers(name):
    """Process ids of Ray's training workers that descend from a process with this in its environment."""
    found = []
    for folder in Path("/proc").iterdir():
        try:
            is_worker = folder.name.isdigit() and b"TrainWorker" in (folder / "cmdline").read_bytes()
            if is_worker and name.encode() in (folder / "environ").read_bytes():
                found.append(int(folder.name))
        except OSError:  # it has ended, or is not ours
            continue
    return sorted(found)
