"""Checkpoints on a full disk."""

import contextlib
import resource
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from keras_fcn.errors import UserError
from keras_fcn.runs.folder import RunFolder
from keras_fcn.training.records.checkpoints import Checkpoints
from keras_fcn.training.trainer import drawn_at_the_end


@contextlib.contextmanager
def files_of_at_most(size):
    """Lets no file grow beyond `size` bytes, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_leaves_nothing_half_written(tmp_path):
    run = RunFolder(tmp_path)
    checkpoints = Checkpoints(run, tf.train.Checkpoint(weights=tf.Variable(tf.zeros([100_000]))), keep=2)
    checkpoints.save()
    (run.checkpoints / "ckpt-9_temp").mkdir()  # of a process that was killed
    (run.checkpoints / "ckpt-0.data-00000-of-00001").write_bytes(bytes(9))  # of one killed as it removed a checkpoint
    before = {path: path.read_bytes() for path in run.checkpoints.glob("ckpt-1*")}
    with files_of_at_most(200_000), pytest.raises(UserError) as caught:
        checkpoints.save()
    assert str(caught.value) == (
        f"{run.checkpoints}: a checkpoint cannot be written (File too large); the last good one is "
        f"{run.checkpoints}/ckpt-1; make it writable or free disk space and resume with resume='{tmp_path}'"
    )
    assert {path: path.read_bytes() for path in run.checkpoints.glob("ckpt-*")} == before


def test_half_an_index_is_no_checkpoint(tmp_path, monkeypatch):
    """TensorFlow moves a checkpoint's weights to their place, but writes the index there."""
    state = tf.train.Checkpoint(step=tf.Variable(1))
    checkpoints = Checkpoints(RunFolder(tmp_path), state, keep=2)
    checkpoints.save()
    before, write = sorted(RunFolder(tmp_path).checkpoints.iterdir()), state.write

    def write_half(path):
        write(path)
        Path(f"{path}.index").write_bytes(b"half")
        raise tf.errors.ResourceExhaustedError(None, None, f"{path}.index; No space left on device")

    monkeypatch.setattr(state, "write", write_half)
    with pytest.raises(UserError, match=r"the last good one is .*ckpt-1; make"):
        checkpoints.save()
    assert sorted(RunFolder(tmp_path).checkpoints.iterdir()) == before


@pytest.mark.parametrize("stride", [97, pytest.param(1, marks=pytest.mark.slow)])
def test_a_checkpoint_damaged_anywhere_is_not_restored(tmp_path, stride):
    """A bit of each byte is turned, and the file ends there; the checkpoint before is restored, or this one, whole."""
    rng, files = np.random.default_rng(0), RunFolder(tmp_path).checkpoints
    weights, step = tf.Variable(tf.zeros([20])), tf.Variable(0)
    checkpoints = Checkpoints(RunFolder(tmp_path), tf.train.Checkpoint(weights=weights, step=step), keep=2)
    for number in (1, 2):
        weights.assign(tf.fill([20], float(number)))
        step.assign(number)
        checkpoints.save()
    for path in files.glob("ckpt-2.*"):
        content = path.read_bytes()
        for place in range(0, len(content), stride):
            turned = bytes([content[place] ^ 1 << rng.integers(8)])
            for damaged in (content[:place] + turned + content[place + 1 :], content[:place]):
                path.write_bytes(damaged)
                weights.assign(tf.fill([20], 9.0))
                lines = []
                checkpoints.restore("fcn32s", lines.append)
                assert {*weights.numpy().tolist(), step.numpy()} == {1 if lines else 2}
                assert len(lines) <= 1
        path.write_bytes(content)


class FullDisk:
    def draw_curves(self):
        raise UserError("curves.png: cannot be written")


def test_numbers_that_are_declared_but_not_there_take_no_memory(tmp_path, monkeypatch):
    run, lines = RunFolder(tmp_path), []
    state = tf.train.Checkpoint(weights=tf.Variable(tf.zeros([100])), name=tf.Variable("text"))
    checkpoints = Checkpoints(run, state, keep=2)
    checkpoints.save()
    checkpoints.restore("a network", lines.append)
    assert not lines
    (data,) = run.checkpoints.glob("*.data-*")
    data.write_bytes(data.read_bytes()[:300])
    monkeypatch.setattr(state, "restore", lambda path: pytest.fail("TensorFlow has opened it"))
    with pytest.raises(UserError, match="ckpt-1: is damaged or not a checkpoint of a network"):
        checkpoints.restore("a network", lines.append)


def test_an_error_is_not_replaced_by_that_of_the_curves():
    with pytest.raises(UserError, match="the checkpoint"), drawn_at_the_end(FullDisk()):
        raise UserError("the checkpoint")
    with pytest.raises(UserError, match="curves"), drawn_at_the_end(FullDisk()):
        pass
