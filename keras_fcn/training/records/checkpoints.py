"""The checkpoints of a run."""

from __future__ import annotations

import contextlib
import math
import shutil
from collections.abc import Callable
from pathlib import Path

import tensorflow as tf

from keras_fcn.errors import UserError, argument
from keras_fcn.runs.folder import RunFolder
from keras_fcn.system.files import flush, without_wildcards
from keras_fcn.system.text import reason_of


class Checkpoints:
    """Writes a run's checkpoints, each atomically, and restores them.

    TensorFlow's own `CheckpointManager` searches for the files to remove: in a folder named `a [1]`, it finds others'.

    Args:
        run: The run.
        state: Their content.
        keep: Number of the newest ones to keep.
        writes: Whether `save` writes any; of several workers, which all have the same state, only the chief's does.
    """

    def __init__(self, run: RunFolder, state: tf.train.Checkpoint, keep: int, writes: bool = True) -> None:
        self._run, self._state, self._keep, self._writes = run, state, keep, writes

    @staticmethod
    def paths(run: RunFolder) -> list[Path]:
        """Returns a run's checkpoints, the newest first, as TensorFlow names them: without a suffix."""
        found = [path.with_suffix("") for path in run.checkpoints.glob("ckpt-*.index")]
        return sorted(found, key=_number, reverse=True)

    @property
    def newest(self) -> str:
        """The newest checkpoint, for a message."""
        return str(next(iter(self.paths(self._run)), "none yet"))

    def save_first(self) -> None:
        """Writes a checkpoint if there is none: a run of finished epochs without one has lost it, and is not resumed.

        Raises:
            UserError: As `save`.
        """
        if self._writes and not self.paths(self._run):
            self._write(int(self._state.save_counter))

    def save(self) -> None:
        """Writes a checkpoint, then removes those beyond the newest ones to keep.

        Raises:
            UserError: If that fails, as on a full disk; earlier ones are untouched.
        """
        if not self._writes:
            return
        counter = self._state.save_counter
        counter.assign_add(1)
        try:
            self._write(int(counter))
        except UserError:
            counter.assign_sub(1)
            raise

    def _write(self, number: int) -> None:
        self._run.require_exists()
        self._remove_unfinished()
        is_written = False
        try:
            self._run.checkpoints.mkdir(parents=True, exist_ok=True)
            with without_wildcards(self._run.checkpoints) as folder:
                self._state.write(str(folder / f"ckpt-{number}"))
            flush(*self._run.checkpoints.glob(f"ckpt-{number}.*"))  # before an earlier one goes
            is_written = True
            self._remove_old(number)
        except (OSError, tf.errors.OpError) as error:
            if not is_written:  # TensorFlow writes the index in its place
                with contextlib.suppress(OSError):
                    (self._run.checkpoints / f"ckpt-{number}.index").unlink()
            self._remove_unfinished()
            raise UserError(
                f"{self._run.checkpoints}: a checkpoint cannot be written ({reason_of(error)}); the last good one is "
                f"{self.newest}; make it writable or free disk space and resume with "
                f"{argument('resume', self._run.root)}"
            ) from None

    def _remove_unfinished(self) -> None:
        """Removes what a full disk or the end of the process left half-written: gigabytes that nothing reads."""
        for folder in self._run.checkpoints.glob("ckpt-*_temp"):
            shutil.rmtree(folder, ignore_errors=True)
        for data in self._run.checkpoints.glob("ckpt-*.data-*"):  # of one whose removal was stopped after its index
            if not data.with_suffix(".index").exists():
                with contextlib.suppress(OSError):
                    data.unlink()

    def _remove_old(self, newest: int) -> None:
        """Removes all checkpoints but the newest ones to keep; later ones are damaged, and will be replaced."""
        earlier = [path for path in self.paths(self._run) if _number(path) <= newest]
        for path in earlier[self._keep :]:
            for file in sorted(self._run.checkpoints.glob(f"{path.name}.*"), reverse=True):  # the index first
                file.unlink()

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
                with without_wildcards(path.parent) as folder:
                    _require_stored(folder / path.name)
                    self._state.restore(str(folder / path.name)).assert_existing_objects_matched()
            except (AssertionError, ValueError, IndexError, RuntimeError, tf.errors.OpError):
                report(f"Warning  {path}: cannot be restored; trying the checkpoint before it")
                continue
            return
        if paths:
            raise UserError(
                f"{paths[0]}: is damaged or not a checkpoint of {network}, which {self._run.config} asks for; "
                "none before it is better"
            )


def _require_stored(path: Path) -> None:
    """Raises ValueError if a checkpoint's index declares more numbers than its data have, before memory is taken."""
    reader = tf.train.load_checkpoint(str(path))
    shapes, kinds = reader.get_variable_to_shape_map(), reader.get_variable_to_dtype_map()
    declared = sum(math.prod(shape) * kinds[name].size for name, shape in shapes.items() if kinds[name] != tf.string)
    if declared > sum(data.stat().st_size for data in path.parent.glob(f"{path.name}.data-*")):
        raise ValueError("its index declares more than its data have")


def _number(path: Path) -> int:
    return int(path.name.rpartition("-")[2])
