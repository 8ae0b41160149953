"""Checkpoints on a full disk."""

import contextlib
import resource

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
        f"{run.checkpoints}/ckpt-1; free disk space and resume with resume='{tmp_path}'"
    )
    assert {path: path.read_bytes() for path in run.checkpoints.glob("ckpt-*")} == before


class FullDisk:
    def draw_curves(self):
        raise UserError("curves.png: cannot be written")


def test_an_error_is_not_replaced_by_that_of_the_curves():
    with pytest.raises(UserError, match="the checkpoint"), drawn_at_the_end(FullDisk()):
        raise UserError("the checkpoint")
    with pytest.raises(UserError, match="curves"), drawn_at_the_end(FullDisk()):
        pass
