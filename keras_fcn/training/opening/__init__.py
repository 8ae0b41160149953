"""Opens the folder of a run, a new one or one to resume, without loss of what it holds."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import tensorflow as tf

from keras_fcn.errors import UserError, argument
from keras_fcn.runs.config import TrainConfig
from keras_fcn.runs.config_files import OWN, as_begun, differing_settings, own_parts, require_resumable, with_own_epochs
from keras_fcn.runs.folder import RunFolder
from keras_fcn.system.files import write_json
from keras_fcn.training.distributed.cluster import joined_cluster
from keras_fcn.training.inputs.data import TrainingData
from keras_fcn.training.records.beginning import Beginning, describe_machine
from keras_fcn.training.records.checkpoints import Checkpoints
from keras_fcn.training.step.own import OwnParts
from keras_fcn.training.trainer import Training

RESTART_SECONDS = 60.0
"""Longest time that the chief of a cluster waits for the one before it to end, after a worker was lost."""


class Opening:
    """A run that begins or resumes: its folder is checked first, and written to when training can start.

    Args:
        config: The settings.
        own: Parts of one's own.
        run_dir: The folder of the run; a run of the same settings in it is resumed; None for a default one.
        resume: The folder of the run to resume, instead.
        like: A run whose data a new one has to have, and what it knows of their files.

    Attributes:
        root: The folder; None for a default one.
        has_checkpoint: Whether training starts from a checkpoint.
        config: The settings, to be set anew once minutes are measured; those of the run to resume where it began before
            there was a choice.
        beginning: What the run began with, once it is locked.

    Raises:
        UserError: If the folder holds anything but a run of these settings that can be resumed.
    """

    def __init__(
        self, config: TrainConfig, own: OwnParts, run_dir: Path | None, resume: Path | None,
        like: RunFolder | None = None,
    ) -> None:  # fmt: skip
        self.config, self._own, self.root = config, own, resume or run_dir
        self._resumed = RunFolder(self.root) if self.root and (resume or not RunFolder(self.root).is_vacant) else None
        self._source = self._resumed or like
        self.has_checkpoint = False
        if resume:
            require_resumable(resume, config)
        elif self._resumed:
            _require_same_run(self._resumed, config)
        if self._resumed:
            _require_same_parts(self._resumed.config, own)
            self.config = as_begun(self._resumed.config, with_own_epochs(self._resumed.config, config))
        self._is_older = self.config.run.watch != config.run.watch

    @property
    def reading(self) -> str:
        """Returns how the run to resume, or to begin like, reads its masks; empty for any new run."""
        return self._source.reading if self._source else ""

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keeps other processes from training in the folder while the block runs.

        Raises:
            UserError: If another process trains there, or the run has lost its checkpoints.
        """
        cluster = joined_cluster(self.config.strategy)
        self._patience = RESTART_SECONDS if cluster else 0.0
        with contextlib.ExitStack() as self._locks:
            if self._resumed:
                if cluster is None or cluster.is_chief:
                    self._lock(self._resumed)
                self.has_checkpoint = _has_checkpoint(self._resumed)
            self.beginning = Beginning(self._source)
            yield

    def _lock(self, run: RunFolder) -> None:
        self._locks.enter_context(run.locked(self._patience))

    def run(
        self, training: Training, data: TrainingData, strategy: tf.distribute.Strategy, report: Callable[[str], None]
    ) -> RunFolder:
        """Creates the folder of a new run, or restores the run to resume.

        Args:
            training: The training, which is restored.
            data: Its data.
            strategy: Its devices.
            report: Called with each line of the log.

        Raises:
            UserError: If the folder cannot be created, or the run cannot be restored.
        """
        workers, run = training.workers, self._resumed
        if run is not None:
            if self._is_older:
                report("This run is older than --watch: it keeps the best mean IoU, as it did before")
            training.restore(run, report)
        elif workers.is_chief:
            run = self._create()
        else:
            assert self.root is not None
            run = RunFolder(self.root)
        workers.require_alike(
            str(training.step), f"{run.root}: the workers see different checkpoints there; keep runs where all see them"
        )
        training.require_best_model(run, report)
        precision = training.precision
        workers.require_alike(
            precision,
            f"the workers' processors compute in different precisions; give {argument('precision', 'float32')}",
        )
        machine = describe_machine(strategy, precision)
        self.beginning.compare_machine(machine, report)
        if workers.is_chief:
            assert data.fingerprint is not None
            self.beginning.write(run, data.fingerprint, machine)
            run.write_images(data.pairs.images, data.validation.images, data.contents)
            run.keep_reading(data.pairs.reading, data.pairs.mask_notes)
            if self._resumed:
                write_json(run.config, self._settings)
        return run

    @property
    def _settings(self) -> dict:
        """The content of config.json; what is given when a run is resumed holds from then on."""
        return self.config.to_dict() | ({OWN: self._own.names} if self._own.names else {})

    def _create(self) -> RunFolder:
        config, names = self.config, self._own.names
        root = self.root or RunFolder.make_default(config.model, names.get("backbone", config.backbone))
        self._lock(RunFolder(root))
        return RunFolder.create(root, self._settings)


def _require_same_run(run: RunFolder, config: TrainConfig) -> None:
    """Raises UserError if a folder holds anything but a run of these settings: no run overwrites another."""
    if not run.config.is_file():
        raise UserError(f"{run.root}: already exists and is not a run; choose another {argument('run_dir')}")
    if differing := differing_settings(run.config, config):
        others = ", ".join(argument(name) for name in differing)
        raise UserError(
            f"{run.root}: already exists, with another {others}; choose another {argument('run_dir')}, or resume "
            f"it with {argument('resume', run.root)}"
        )


def _require_same_parts(config: Path, own: OwnParts) -> None:
    """Raises UserError unless a run is resumed with the parts of one's own that it began with."""
    began = own_parts(config)
    if began != own.names:
        parts = ", ".join(f"{name}={part}" for name, part in began.items()) or "no parts"
        now = ", ".join(f"{name}={part}" for name, part in own.names.items()) or "none"
        raise UserError(f"{config}: the run began with {parts} of one's own; hand in the same. Received: {now}")


def _has_checkpoint(run: RunFolder) -> bool:
    """Returns whether a run has a checkpoint.

    Raises:
        UserError: If it has none, but has finished epochs, which a new start would overwrite.
    """
    if Checkpoints.paths(run):
        return True
    if epochs := len(run.read_history()):
        found = f"{run.history} tells of {epochs} finished epochs"
    elif run.best_model.exists():
        found = f"{run.best_model} exists"
    else:
        return False
    raise UserError(
        f"{found}, but {run.checkpoints} holds no checkpoint to resume from; put it back, or {run.new_start}"
    )
