"""Runs that are killed, or that run out of disk: what was kept stays whole, and the run ends as if undisturbed."""

import dataclasses
import random
import resource
import shutil
import subprocess

import pytest
from conftest import ROOT, TINY
from tiny_runs import NARROW_TRAINING, assert_same_run, silent, tiny

from keras_fcn.runs.folder import RunFolder
from keras_fcn.training.records.checkpoints import Checkpoints
from keras_fcn.training.train import run_training


def command(*words):
    return [*NARROW_TRAINING, *map(str, words)]


@pytest.fixture
def after_one_epoch(whole, tmp_path):
    """A copy of a run of two epochs as it was after the first."""
    shutil.copytree(whole.root, tmp_path / "run")
    run = RunFolder(tmp_path / "run")
    for path in run.checkpoints.glob("ckpt-2.*"):
        path.unlink()
    return run


@pytest.mark.usefixtures("eager", "no_pictures")
def test_a_full_disk_ends_in_one_line_and_loses_nothing(after_one_epoch, toy, whole):
    """Files of more than 5 MB cannot be written: neither the model nor the checkpoint."""
    run = after_one_epoch
    before = {path: path.read_bytes() for path in [run.best_model, *run.checkpoints.glob("ckpt-1.*")]}
    failed = subprocess.run(
        command("--resume", run.root), cwd=ROOT, capture_output=True, text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (5_000_000, 5_000_000)),
    )  # fmt: skip
    assert failed.returncode == 2, failed.stderr
    assert failed.stderr.startswith("error: ")
    assert failed.stderr.count("\n") == 1
    assert f"free disk space and resume with --resume {run.root}" in failed.stderr
    assert {path: path.read_bytes() for path in before} == before
    assert not list(run.root.rglob(".*"))
    assert_same_run(whole, run_training(tiny(toy), resume=run.root, report=silent))


def kill_in_the_midst(words, run, rng):
    """Starts a command and kills it (-9), up to a second after it begins its run or writes another checkpoint."""

    def progress():
        return run.config.is_file(), Checkpoints.paths(run)

    before = progress()
    with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        while progress() == before:
            assert not has_ended(process, 0.01), process.stderr.read()
        assert not has_ended(process, rng.uniform(0, 1)), process.stderr.read()
        process.kill()


def has_ended(process, seconds):
    """Waits so long at most."""
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    return True


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
def test_the_same_command_ends_alike_however_often_it_is_killed(toy, tmp_path, seed):
    """Five kills per seed, with a checkpoint after every step, so that many of them hit one being written."""
    settings = {"checkpoint_minutes": 0.0, "epochs": 6}
    undisturbed = run_training(tiny(toy, **settings), tmp_path / "undisturbed", report=silent)
    run, rng = RunFolder(tmp_path / "killed"), random.Random(seed)
    options = ["--checkpoint-minutes", 0, "--epochs", 6]
    words = command("--data", toy, "--run-dir", run.root, *TINY[:-2], *options)
    for _ in range(5):
        kill_in_the_midst(words, run, rng)
    again = run_training(dataclasses.replace(tiny(toy, **settings)), run.root, report=silent)
    assert_same_run(undisturbed, again)
