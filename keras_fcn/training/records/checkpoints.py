"""The checkpoints of a run."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import tensorflow as tf

from keras_fcn.errors import UserError, argument
from keras_fcn.runs.folder import RunFolder
from keras_fcn.system.text import reason_of


class Checkpoints:
    """Writes a run's checkpoints, each atomically, and restores them.

    Args:
        run: The run.
        state: Their content.
        keep: Number of the newest ones to keep.
        writes: Whether `save` writes any; of several workers, which all have the same state, only the chief's does.
    """

    def __init__(self, run: RunFolder, state: tf.train.Checkpoint, keep: int, writes: bool = True) -> None:
        self._run, self._state = run, state
        self._manager = tf.train.CheckpointManager(state, str(run.checkpoints), keep) if writes else None

    @staticmethod
    def paths(run: RunFolder) -> list[Path]:
        """Returns a run's checkpoints, the newest first, as TensorFlow names them: without a suffix."""
        found = [path.with_suffix("") for path in run.checkpoints.glob("ckpt-*.index")]
        return sorted(found, key=lambda path: int(path.name.rpartition("-")[2]), reverse=True)

    @property
    def newest(self) -> str:
        """The newest checkpoint, for a message."""
        return str(next(iter(self.paths(self._run)), "none yet"))

    def save(self) -> None:
        """Writes a checkpoint.

        Raises:
            UserError: If that fails, as on a full disk; earlier ones are untouched.
        """
        if self._manager is None:
            return
        self._remove_unfinished()
        try:
            self._manager.save()
        except (OSError, tf.errors.OpError) as error:
            self._remove_unfinished()
            raise UserError(
                f"{self._run.checkpoints}: a checkpoint cannot be written ({reason_of(error)}); the last good one is "
                f"{self.newest}; free disk space and resume with {argument('resume', self._run.root)}"
            ) from None

    def _remove_unfinished(self) -> None:
        """Removes what a full disk or the end of the process left half-written: gigabytes that nothing reads."""
        for folder in self._run.checkpoints.glob("ckpt-*_temp"):
            shutil.rmtree(folder, ignore_errors=True)

    def restore(self, network: str, report: Callable[[str], None]) -> None:
        """Restores the state from the newest checkpoint that is undamaged, if there is any checkpoint.

        Args:
            network: The network in the state, for an error message.
            report: Called with a line for each checkpoint that cannot be restored.

        Raises:
            UserError: If there are checkpoints, but none is undamaged and of this network.
        """
        paths = self.paths(self._run)
        for path in paths:
            try:
                self._state.restore(str(path)).assert_existing_objects_matched()
            except (AssertionError, ValueError, IndexError, RuntimeError, tf.errors.OpError):
                report(f"Warning  {path}: cannot be restored; trying the checkpoint before it")
                continue
            return
        if paths:
            raise UserError(
                f"{paths[0]}: is damaged or not a checkpoint of {network}, which {self._run.config} asks for; "
                "none before it is better"
            )
