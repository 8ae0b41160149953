"""Checkpoints: which are kept and restored, on a full disk, too."""

import contextlib
import os
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


def test_the_disk_has_a_checkpoint_before_the_one_before_it_goes(tmp_path, monkeypatch):
    run = RunFolder(tmp_path)
    checkpoints, there = Checkpoints(run, tf.train.Checkpoint(step=tf.Variable(1)), keep=1), []
    checkpoints.save()

    def fsync(descriptor):
        there.append((os.fstat(descriptor).st_ino, [path.name for path in checkpoints.paths(run)]))

    monkeypatch.setattr(os, "fsync", fsync)
    checkpoints.save()
    written = {path.stat().st_ino for path in (*run.checkpoints.glob("ckpt-2.*"), run.checkpoints)}
    assert {inode for inode, _ in there} == written
    assert len(written) == 3
    assert all(names == ["ckpt-2", "ckpt-1"] for _, names in there)
    assert [path.name for path in checkpoints.paths(run)] == ["ckpt-2"]


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


@pytest.mark.parametrize("name", ["run", "a [1] *"])
def test_the_newest_are_kept_numbered_and_restored(tmp_path, name):
    run, weights, lines = RunFolder(tmp_path / name), tf.Variable([0.0]), []
    run.root.mkdir()
    checkpoints = Checkpoints(run, tf.train.Checkpoint(weights=weights), keep=2)
    checkpoints.restore("a network", lines.append)  # of a run that has none
    assert (checkpoints.newest, Checkpoints.paths(run)) == ("none yet", [])
    (tmp_path / "ckpt-7.index").touch()
    for number in range(1, 12):
        weights.assign([number])
        checkpoints.save()
    kept = [run.checkpoints / "ckpt-11", run.checkpoints / "ckpt-10"]  # by their numbers, not their letters
    assert (Checkpoints.paths(run), checkpoints.newest) == (kept, str(kept[0]))
    assert sorted(path.name for path in run.checkpoints.iterdir()) == [
        "ckpt-10.data-00000-of-00001", "ckpt-10.index", "ckpt-11.data-00000-of-00001", "ckpt-11.index",
    ]  # fmt: skip
    for damaged, expected in (((), 11), (("ckpt-11.index",), 10)):
        for file in damaged:
            (run.checkpoints / file).write_bytes(b"damaged")
        weights.assign([0])
        again = Checkpoints(run, tf.train.Checkpoint(weights=weights), keep=2)
        again.restore("a network", lines.append)
        assert weights.numpy() == expected
    assert lines == [f"Warning  {kept[0]}: cannot be restored; trying the checkpoint before it"]
    again.save()  # number 11 anew, which was damaged
    assert Checkpoints.paths(run) == kept
    (run.checkpoints / "ckpt-10.index").write_bytes(b"damaged")
    (run.checkpoints / "ckpt-11.index").write_bytes(b"damaged")
    with pytest.raises(UserError) as caught:
        again.restore("a network", lines.append)
    assert str(caught.value) == (
        f"{kept[0]}: is damaged or not a checkpoint of a network, which {run.config} asks for; none before it is better"
    )


def test_a_first_checkpoint_is_that_of_no_step_and_written_once(tmp_path):
    run, weights = RunFolder(tmp_path), tf.Variable([1.0])
    state = tf.train.Checkpoint(weights=weights)
    for writes in (False, True, True):
        checkpoints = Checkpoints(run, state, keep=2, writes=writes)
        checkpoints.save_first()
        assert [path.name for path in Checkpoints.paths(run)] == ["ckpt-0"] * writes
        weights.assign([2.0])
    checkpoints.restore("a network", pytest.fail)
    assert weights.numpy() == 2
    Checkpoints(run, state, keep=2, writes=False).save()
    assert checkpoints.newest == f"{run.checkpoints}/ckpt-0"
    assert int(state.save_counter) == 0


def test_other_variables_than_a_checkpoints_are_another_network(tmp_path):
    run, lines = RunFolder(tmp_path), []
    Checkpoints(run, tf.train.Checkpoint(weights=tf.Variable([1.0])), keep=2).save()
    for other in ({"weights": tf.Variable([1.0, 2.0])}, {"more": tf.Variable([1.0]), "weights": tf.Variable([0.0])}):
        with pytest.raises(UserError, match="is damaged or not a checkpoint of fcn8s"):
            Checkpoints(run, tf.train.Checkpoint(**other), keep=2).restore("fcn8s", lines.append)
    assert len(lines) == 2


def test_what_was_half_written_is_removed_with_the_next(tmp_path):
    run = RunFolder(tmp_path)
    checkpoints = Checkpoints(run, tf.train.Checkpoint(weights=tf.Variable([1.0])), keep=1)
    checkpoints.save()
    (run.checkpoints / "ckpt-1_temp/part").mkdir(parents=True)
    (run.checkpoints / "ckpt-9.data-00000-of-00001").touch()
    (run.checkpoints / "notes.txt").touch()
    checkpoints.save()
    assert sorted(path.name for path in run.checkpoints.iterdir()) == [
        "ckpt-2.data-00000-of-00001", "ckpt-2.index", "notes.txt",
    ]  # fmt: skip


def test_a_checkpoint_that_cannot_be_written_keeps_its_number(tmp_path, monkeypatch):
    run = RunFolder(tmp_path)
    state = tf.train.Checkpoint(weights=tf.Variable([1.0]))
    checkpoints = Checkpoints(run, state, keep=2)

    def fail(path):
        Path(f"{path}_temp").mkdir(parents=True)
        raise OSError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(state, "write", fail)
        with pytest.raises(UserError) as caught:
            checkpoints.save()
    assert str(caught.value) == (
        f"{run.checkpoints}: a checkpoint cannot be written (Permission denied); the last good one is none yet; make "
        f"it writable or free disk space and resume with resume='{tmp_path}'"
    )
    assert list(run.checkpoints.iterdir()) == []
    checkpoints.save()
    assert Checkpoints.paths(run) == [run.checkpoints / "ckpt-1"]


def test_an_older_one_that_cannot_be_removed_does_not_cost_the_new_one(tmp_path, monkeypatch):
    run = RunFolder(tmp_path)
    checkpoints = Checkpoints(run, tf.train.Checkpoint(weights=tf.Variable([1.0])), keep=1)
    checkpoints.save()
    removed = []

    def refuse(path, missing_ok=False):
        removed.append(path.name)
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", refuse)
        with pytest.raises(UserError, match=r"the last good one is .*/ckpt-2; make it writable"):
            checkpoints.save()
    assert removed == ["ckpt-1.index"]  # the index first: without it, it is no checkpoint
    assert checkpoints.newest.endswith("ckpt-2")


def test_a_folder_that_is_gone_is_not_made_anew(tmp_path):
    run = RunFolder(tmp_path / "run")
    checkpoints = Checkpoints(run, tf.train.Checkpoint(weights=tf.Variable([1.0])), keep=1)
    with pytest.raises(UserError, match="was removed or renamed while its training ran"):
        checkpoints.save()
    assert not run.root.exists()


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
