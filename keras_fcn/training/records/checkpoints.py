"""The checkpoints of a run, as they are written."""

from __future__ import annotations

import tensorflow as tf

from keras_fcn.errors import UserError
from keras_fcn.runs.folder import RunFolder
from keras_fcn.system.text import reason_of


class Checkpoints:
    """Writes checkpoints, each whole or not at all.

    Args:
        checkpoint: What to keep.
        run: Where.
        keep: How many of the newest to keep.
        writes: Whether to write any: of several workers, the chief alone does. Nothing of a checkpoint takes the
            others' help, as every worker has all of it.
    """

    def __init__(self, checkpoint: tf.train.Checkpoint, run: RunFolder, keep: int, writes: bool = True) -> None:
        self._run = run
        self._manager = tf.train.CheckpointManager(checkpoint, str(run.checkpoints), keep) if writes else None

    @property
    def latest(self) -> str:
        """The newest one, for people."""
        paths = self._run.checkpoint_paths()
        return str(paths[0]) if paths else "none yet"

    def save(self) -> None:
        """Writes one.

        Raises:
            UserError: If that fails, as on a full disk; those before it are whole.
        """
        if self._manager is None:
            return
        try:
            self._manager.save()
        except (OSError, tf.errors.OpError) as error:
            raise UserError(
                f"{self._run.checkpoints}: a checkpoint cannot be written ({reason_of(error)}); the last good one is "
                f"{self.latest}; make room and go on with --resume {self._run.root}"
            ) from None
