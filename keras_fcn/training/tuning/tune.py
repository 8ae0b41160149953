"""Searches settings: trains again and again, each time with others, and keeps the best as a recipe."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import gc
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import keras

from keras_fcn.errors import UnfitSettingsError, UserError, argument
from keras_fcn.inference.models import load_model
from keras_fcn.runs.config import TrainConfig
from keras_fcn.runs.config_files import read_config, with_own_epochs
from keras_fcn.runs.folder import RunFolder
from keras_fcn.runs.names import TrackerName
from keras_fcn.system.command_line import command_line
from keras_fcn.system.machine import return_free_memory
from keras_fcn.system.packages import require_packages
from keras_fcn.training.distributed.cluster import joined_cluster
from keras_fcn.training.train import run_training
from keras_fcn.training.tuning.folder import Trial, TuningFolder, best_of
from keras_fcn.training.tuning.space import Space
from keras_fcn.training.tuning.table import described, format_result, outcome, watched

Report = Callable[[str], None]


@dataclasses.dataclass(frozen=True)
class TunedRuns:
    """The result of `tune`.

    Attributes:
        folder: The folder of the search.
        trials: All trials, in their order.
    """

    folder: TuningFolder
    trials: list[Trial]

    @property
    def best(self) -> Trial:
        """The trial of the best model, by what the settings watch.

        Raises:
            UserError: If none has finished.
        """
        best = best_of(self.trials)
        if best is None:
            raise UserError(f"{self.folder.root}: no trial has finished; search in other ranges")
        return best

    @property
    def run(self) -> RunFolder:
        """The run of the best trial."""
        return self.folder.run(self.best.number)

    @property
    def config(self) -> TrainConfig:
        """The settings of the best trial."""
        return read_config(self.run.config)

    @property
    def model(self) -> keras.Model:
        """The model of the best trial."""
        return load_model(self.run.best_model)


def tune(
    trials: int | None = None,
    config: TrainConfig | None = None,
    *,
    over: Sequence[str] = (),
    run_dir: str | Path | None = None,
    resume: str | Path | None = None,
    report: Report = print,
    tracker: TrackerName | None = None,
    **settings: Any,
) -> TunedRuns:
    """Searches settings as `train.py --tune` does: trains several times, each time with others.

    Each trial is a run in a folder of its own, with the same data, seed and number of steps. What is tried next follows
    from the seed and the trials before, so that a search that was stopped goes on as if it had not been.

    Args:
        trials: Number of trials, those of a search that is resumed included; None is the number that it began with.
        config: The settings of all trials.
        over: Ranges of what varies: "learning_rate=1e-4..1e-2" or choices, "scale=1+1,0.5+1.5", where + stands between
            the values of one. Without any, the learning rate, the scale, the input scale, the loss and, from pretrained
            weights, the rate of the backbone vary around those of the settings.
        run_dir: The folder of the search; runs/<time>-tuned-<model>-<backbone> if None. An existing search of the same
            settings is resumed.
        resume: The folder of a search to resume, instead of `run_dir`.
        report: Called with each line of the log.
        tracker: "mlflow", "wandb" or "trackio", which gets the values of every trial.
        **settings: Settings by name, such as `epochs=20`, in place of those of `config`.

    Raises:
        UserError: If the data, a setting, a range or the folder has a fault, or Optuna is not installed.
        KeyboardInterrupt: After Ctrl-C, when a checkpoint has been written; its text says how to resume.
    """
    if resume and not TuningFolder(Path(resume)).is_tuning:
        raise UserError(f"{resume}: is no search to resume; leave {argument('resume')} out to begin one")
    if config is None and resume:
        config = read_config(TuningFolder(Path(resume)).settings)
    config = dataclasses.replace(config or TrainConfig(), **settings)
    _require_alone(config, trials)
    space = Space.parse(config, over) if over else Space.usual(config)
    root = Path(resume or run_dir or RunFolder.make_default(f"tuned-{config.model}", config.backbone))
    folder = TuningFolder(root)
    if not folder.is_tuning and not RunFolder(root).is_vacant:
        raise UserError(f"{root}: already exists and is not a search; choose another {argument('run_dir')}")
    if trials is None and not folder.is_tuning:
        raise UserError(f"{argument('tune')}: needs the number of trials")
    with contextlib.ExitStack() as stack:
        stack.callback(folder.remove_empty)
        stack.enter_context(RunFolder(root).locked())
        tuning = _Tuning(folder, config, space, bool(over), trials, report, tracker)
        try:
            done = tuning.train()
        except UserError:
            if not folder.run(1).root.exists():
                folder.forget()
            raise
    report(f"\n{format_result(folder, done)}")
    return TunedRuns(folder, done)


def _require_alone(config: TrainConfig, trials: int | None) -> None:
    """Raises UserError if settings do not go with a search, or it cannot begin here."""
    if trials is not None and trials < 1:
        raise UserError(f"{argument('tune')} must be at least 1, the number of trials. Received: {trials}")
    if config.dataset.folds is not None:
        both = f"{argument('tune')} and {argument('folds', config.dataset.folds)}"
        raise UserError(f"{both} exclude each other: tune on one split, then train the best settings on each fold")
    if joined_cluster(config.strategy):
        raise UserError(f"{argument('tune')} is for one process; unset TF_CONFIG, or leave it out in a cluster")
    require_packages(argument("tune"), "tune", "optuna")


class _Hopeless(Exception):  # noqa: N818 -- no error: it ends a trial
    """Ends a trial that will not be the best."""


class _Tuning:
    def __init__(
        self, folder: TuningFolder, config: TrainConfig, space: Space, is_given: bool, count: int | None,
        report: Report, tracker: TrackerName | None,
    ) -> None:  # fmt: skip
        from keras_fcn.training.tuning.search import Search

        self._folder, self._config, self._report, self._tracker = folder, config, _OnceEach(report), tracker
        self._trials: list[Trial] = []
        if folder.is_tuning:
            folder.require_resumable(config)
            began, self._trials, before = folder.read()
            if is_given and space.texts != began:
                raise UserError(
                    f"{folder.root}: the search began over {' '.join(began)}; leave {argument('tune_over')} out to "
                    f"resume, or choose another {argument('run_dir')}"
                )
            space, count = Space.parse(config, began), max(count or before, len(self._trials))
        self._count, self._space, self._search = count or 0, space, Search(space, config.seed)
        self._write()

    def train(self) -> list[Trial]:
        """Trains the trials that are left; returns all."""
        over = ", ".join(self._space.texts)
        self._keep_best()  # the search may have been stopped before it was done
        self._report(f"Search   {len(self._trials)} of {self._count} trials are in {self._folder.root}; over {over}")
        while self._is_unfinished or len(self._trials) < self._count:
            if not self._is_unfinished:
                self._trials.append(Trial(len(self._trials) + 1, self._search.propose(self._trials)))
                self._write()
            trial = self._trials[-1]
            self._report(f"\nTrial {trial.number}/{self._count}: {described(trial.params)}")
            with _freed():
                self._trials[-1] = done = self._train(trial)
            self._end(done)
        return self._trials

    @property
    def _is_unfinished(self) -> bool:
        return bool(self._trials) and self._trials[-1].state == "running"

    def _train(self, trial: Trial) -> Trial:
        """Trains a trial, from where it was stopped; returns it with its end."""
        run, first = self._folder.run(trial.number), self._folder.run(1)
        new, begun = (None, run.root) if run.config.is_file() else (run.root, None)
        try:
            config = self._config_of(trial)
        except UserError as error:
            return dataclasses.replace(trial, state="failed", note=str(error))
        like = first if trial.number > 1 and first.fingerprint.is_file() else None
        callbacks = [
            _Pruning(run, functools.partial(self._search.is_hopeless, trial, self._trials[:-1], config.epochs))
        ]
        self._report.begin()
        try:
            run_training(config, new, begun, self._report, callbacks, tracker=self._tracker, like=like)
        except _Hopeless:
            return self._ended(trial, "pruned")
        except UnfitSettingsError as error:
            return dataclasses.replace(self._ended(trial, "failed"), note=str(error))
        except KeyboardInterrupt as interrupt:
            command = f"{command_line('train')} --resume {self._folder.root}"
            raise type(interrupt)(f"resume with {command}") from None
        return self._ended(trial, "finished")

    def _config_of(self, trial: Trial) -> TrainConfig:
        """Returns the settings of a trial; where minutes are given, the first trial fixes the epochs of all."""
        config, first = self._space.config(trial.params), self._folder.run(1).config
        return with_own_epochs(first, config) if first.is_file() else config

    def _ended(self, trial: Trial, state: Any) -> Trial:
        rows = self._folder.run(trial.number).read_history()
        return dataclasses.replace(trial, state=state, values=tuple(row.val_watched for row in rows))

    def _end(self, done: Trial) -> None:
        """Writes what came of a trial."""
        self._write()
        best = best_of(self._trials)
        beside = f" (best: {best.value:.1%}, of trial {best.number})" if best not in (None, done) else ""
        self._report(f"\nTrial {done.number}: {outcome(done)}{beside}")
        self._keep_best()

    def _keep_best(self) -> None:
        """Writes the recipe of the best trial so far, and removes what the others need no more."""
        best, over = best_of(self._trials), [trial for trial in self._trials if trial.state != "running"]
        if best is not None:
            what = watched(self._folder.run(best.number))
            about = f"Trial {best.number} of {len(over)}: {what} {best.value:.1%} of the validation images."
            self._folder.write_recipe(best, self._config_of(best), about)
        self._folder.spare(over, best)

    def _write(self) -> None:
        self._folder.write(self._config, self._space.texts, self._trials, self._count)


class _Pruning(keras.callbacks.Callback):
    """Ends a hopeless trial before an epoch: then all epochs before are in the history and in a checkpoint."""

    def __init__(self, run: RunFolder, is_hopeless: Callable[[Sequence[float]], bool]) -> None:
        super().__init__()
        self._run, self._is_hopeless = run, is_hopeless

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        values = [row.val_watched for row in self._run.read_history() if row.epoch <= epoch]
        if values and self._is_hopeless(values):
            raise _Hopeless


class _OnceEach:
    """Reports what trials say before their first epoch only once, where it is the same."""

    def __init__(self, report: Report) -> None:
        self._report, self._is_before, self._said = report, False, set[str]()

    def begin(self) -> None:
        """Begins a trial."""
        self._is_before = True

    def __call__(self, line: str) -> None:
        self._is_before = self._is_before and not line.startswith("\nEpoch")
        if not (self._is_before and line in self._said):
            self._report(line)
        if self._is_before:
            self._said.add(line)


@contextlib.contextmanager
def _freed() -> Iterator[None]:
    """Frees what TensorFlow keeps of a training in the block when it is over.

    Keras' optimizers sum gradients over the replicas by a `tf.custom_gradient`, and TensorFlow keeps the graph of each,
    with all weights, in a registry for good: nobody can ask for the gradients of these graphs again.
    """
    from tensorflow.python.framework import ops

    registry = ops.gradient_registry._registry
    before = {*registry}
    try:
        yield
    finally:
        for name in [name for name in registry if name.startswith("CustomGradient-") and name not in before]:
            del registry[name]
        gc.collect()
        return_free_memory()
