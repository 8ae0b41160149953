"""The epochs that fit into the minutes of a run, by what is measured before it begins."""

from __future__ import annotations

import dataclasses
import datetime
import gc
import math
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tensorflow as tf

from keras_fcn.datasets import Pairs
from keras_fcn.errors import UserError, argument
from keras_fcn.evaluation.evaluate import evaluate
from keras_fcn.evaluation.watch import Watch
from keras_fcn.inference.large import within_memory
from keras_fcn.runs.config import TrainConfig
from keras_fcn.runs.folder import RunFolder
from keras_fcn.system.machine import return_free_memory
from keras_fcn.training.distributed.devices import uses_xla
from keras_fcn.training.distributed.workers import Workers
from keras_fcn.training.inputs.data import TrainingData
from keras_fcn.training.inputs.feature_cache import plan_cache
from keras_fcn.training.records.checkpoints import Checkpoints
from keras_fcn.training.records.progress import Progress
from keras_fcn.training.records.writer import NullWriter, RunWriter
from keras_fcn.training.trainer import LESS_MEMORY, Training

WARM_STEPS, LEAST_STEPS, MOST_STEPS = 3, 3, 40
"""Steps that trace and use up what was read ahead; then so many are measured as fit into a fiftieth of the minutes."""

FEW_IMAGES, MORE_IMAGES = 4, 20
"""Validation images of each worker that are measured, more where one takes less than a second."""

CACHED_STEPS = 8
"""Steps whose features are cached, where features are, to measure how long that takes."""

DRAWING_SECONDS, COMPILING_SECONDS = 5.0, 60.0
"""For the pictures at the end, and for XLA, which `--xla auto` takes for long runs on a GPU."""

Build = Callable[[TrainConfig, TrainingData], Training]


@dataclasses.dataclass(frozen=True)
class Pace:
    """The time that the parts of a run take, in seconds.

    Attributes:
        steps_per_epoch: Steps of an epoch.
        frozen_epochs: Epochs in which the backbone is frozen.
        step: A step.
        frozen_step: A step with a frozen backbone.
        filling: Computing the features to cache.
        saving: Writing a checkpoint.
        ending: Evaluating the network after an epoch and writing its files, a checkpoint included.
        checkpoint_minutes: Minutes between checkpoints within an epoch.
    """

    steps_per_epoch: int
    frozen_epochs: int
    step: float
    frozen_step: float
    filling: float
    saving: float
    ending: float
    checkpoint_minutes: float

    def epoch(self, is_frozen: bool) -> float:
        """Returns the seconds of an epoch, with its checkpoints."""
        steps = self.steps_per_epoch * (self.frozen_step if is_frozen else self.step)
        saves = int(steps / (60 * self.checkpoint_minutes)) if self.checkpoint_minutes else self.steps_per_epoch
        return steps + saves * self.saving + self.ending

    def epochs_within(self, seconds: float) -> int:
        """Returns the number of whole epochs that fit, 0 if none does."""
        left, full = max(0.0, seconds - self.filling), self.epoch(False)
        if self.frozen_epochs * self.epoch(True) > left:
            return int(left / self.epoch(True))
        return self.frozen_epochs + int((left - self.frozen_epochs * self.epoch(True)) / full)

    def total(self, epochs: int) -> float:
        """Returns the seconds of so many epochs."""
        frozen = min(epochs, self.frozen_epochs)
        return self.filling + frozen * self.epoch(True) + (epochs - frozen) * self.epoch(False)


def with_fixed_epochs(
    config: TrainConfig, data: TrainingData, build: Build, strategy: tf.distribute.Strategy, started: float,
    report: Callable[[str], None],
) -> TrainConfig:  # fmt: skip
    """Returns the settings with as many epochs as fit into their minutes, instead of these.

    What is built to measure is thrown away: no weight and no random number of the run depends on it. In a cluster all
    workers measure together, and take what the chief chooses.

    Args:
        config: The settings, with minutes.
        data: The data to train and evaluate on.
        build: Builds a training.
        strategy: The devices.
        started: `time.perf_counter()` when the run was started, from which the minutes count.
        report: Called with each line of the log.

    Raises:
        UserError: If not even one epoch fits, or a step fails.
    """
    minutes = config.run.minutes or 0.0
    report(f"Minutes  measuring some steps and a validation, to see how many epochs fit into {minutes:g} ...")
    workers = Workers(strategy)
    pace, starting = _measure(config, data, build, workers, min(15.0, max(1.0, 60 * minutes / 50)))
    gc.collect()
    return_free_memory()
    left = 60 * minutes - (time.perf_counter() - started) - starting - DRAWING_SECONDS
    epochs = pace.epochs_within(left)
    if config.devices.xla == "auto" and uses_xla("auto", strategy, epochs * pace.steps_per_epoch):
        epochs = pace.epochs_within(left - COMPILING_SECONDS)
    epochs = workers.gather(epochs)[0]
    if not epochs:
        least = (60 * minutes - left + pace.total(1)) / 60
        raise UserError(
            f"{argument('minutes', minutes)}: not one epoch of {pace.steps_per_epoch:,} steps fits: {_measured(pace)}; "
            f"give {math.ceil(least + 0.5)} or more, or {argument('epochs', 1)}"
        )
    report(_line(pace, epochs, minutes, starting + DRAWING_SECONDS))
    return dataclasses.replace(config, run=dataclasses.replace(config.run, epochs=epochs, minutes=None))


def _line(pace: Pace, epochs: int, minutes: float, others: float) -> str:
    """Returns what was measured, what follows from it, and the expected end."""
    frozen = "; the backbone is frozen in all of them" if epochs <= pace.frozen_epochs else ""
    seconds = datetime.timedelta(seconds=pace.total(epochs) + others)
    end = datetime.datetime.now() + seconds
    form = "%H:%M" if seconds < datetime.timedelta(hours=20) else "%Y-%m-%d %H:%M"
    fit = f"{epochs:,} epochs fit" if epochs > 1 else "1 epoch fits"
    return f"Minutes  {_measured(pace)}: {fit} into {minutes:g}{frozen}; expected end {end:{form}}"


def _measured(pace: Pace) -> str:
    steps = f"{_short(pace.step)} a step"
    if pace.frozen_epochs:
        steps = f"{_short(pace.frozen_step)} a step while the backbone is frozen, {_short(pace.step)} then"
    filling = f"{_short(pace.filling)} for features first, " if pace.filling else ""
    return f"{filling}{steps}, {_short(pace.ending)} after each epoch for validation and files"


def _short(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.2g} s"


def _measure(
    config: TrainConfig, data: TrainingData, build: Build, workers: Workers, enough: float
) -> tuple[Pace, float]:
    """Returns the pace, and the seconds that building and tracing took, which the run takes again; see `_Trial`."""
    options, started = config.optimization, time.perf_counter()
    tried = _tried(config, data, workers)
    training = build(*tried)
    building = time.perf_counter() - started
    with tempfile.TemporaryDirectory(prefix="keras_fcn.", ignore_cleanup_errors=True) as folder, training.interruption:
        trial = _Trial(training, Path(folder), enough)
        frozen_step, filling, plan, steps = 0.0, 0.0, training.stream.plan, training.stream.steps_per_epoch
        if plan:
            passes = math.ceil(options.freeze_backbone * steps * training.stream.images_per_step / plan.count)
            real = plan_cache(training.model, data.crop_size, plan.count, options.cache_features, passes)
            training.stream.shorten(CACHED_STEPS)
            filling = trial.filling() / (CACHED_STEPS * training.stream.images_per_step) * real.count * real.draws
        if options.freeze_backbone:
            frozen_step = trial.step(True, CACHED_STEPS - WARM_STEPS if plan else MOST_STEPS)
        step = trial.step(False)
        saving, ending = trial.ending(tried[1].validation, data.validation)
    frozen = (options.freeze_backbone, step, frozen_step or step, filling)
    pace = Pace(steps, *frozen, saving, ending, config.run.checkpoint_minutes)
    return pace, trial.traced + min(building, trial.traced)  # images are cut and weights fetched only the first time


def _tried(config: TrainConfig, data: TrainingData, workers: Workers) -> tuple[TrainConfig, TrainingData]:
    """Returns the settings and the data to measure with: few validation images, and features of a single epoch."""
    options = config.optimization
    few = _spread(data.validation, min(len(data.validation), FEW_IMAGES * workers.count))
    tried = dataclasses.replace(data, validation=few)
    run = dataclasses.replace(config.run, minutes=None, epochs=1)
    if options.cache_features:
        options = dataclasses.replace(options, freeze_backbone=1, cache_features=1e6)  # of any size
    return dataclasses.replace(config, run=run, optimization=options), tried


class _Trial:
    """Measures the parts of a training, each without what is traced at its first time.

    Args:
        training: The training.
        folder: An empty folder.
        enough: Seconds to measure steps for.

    Attributes:
        traced: Seconds that tracing took so far.
    """

    def __init__(self, training: Training, folder: Path, enough: float) -> None:
        self._training, self._folder, self._enough = training, folder, enough
        self._made, self.traced = 0, 0.0

    def filling(self) -> float:
        """Returns the seconds that the features to cache take."""
        stream, check = self._training.stream, self._training.interruption.check
        first = _seconds(lambda: stream.open(0, self._folder / "traced", check))
        again = _seconds(lambda: stream.open(0, self._folder / "features", check))
        self.traced += max(0.0, first - again)
        return again

    def step(self, is_frozen: bool, most: int = MOST_STEPS) -> float:
        """Returns the seconds of a step, its data included."""
        training = self._training
        if not self._made and not training.stream.plan:
            training.stream.open(0, self._folder)
        first = self._steps(is_frozen, 1)
        warm = self._steps(is_frozen, WARM_STEPS - 1) / (WARM_STEPS - 1)
        count = training.workers.highest(min(most, max(LEAST_STEPS, int(self._enough / warm))))
        each = self._steps(is_frozen, count) / count
        self.traced += max(0.0, first - each)
        if is_frozen and training.stream.plan:
            self._made = CACHED_STEPS
        return each

    def _steps(self, is_frozen: bool, count: int) -> float:
        """Makes steps; returns the seconds that they took."""
        started, training = time.perf_counter(), self._training
        for _ in range(count):
            training.interruption.check()
            with within_memory("a step", LESS_MEMORY):
                training.make_step(training.stream.next(self._made), is_frozen)
                training.make_step.loss_sum.numpy()
            self._made += 1
        return time.perf_counter() - started

    def ending(self, few: Pairs, validation: Pairs) -> tuple[float, float]:
        """Returns the seconds of a checkpoint, and of the end of an epoch.

        Args:
            few: The validation images of the training that is tried.
            validation: Those of the run.
        """
        training, run = self._training, RunFolder(self._folder / "run")
        is_chief = training.workers.is_chief
        output = RunWriter(run, few, Watch(), 0, 0) if is_chief else NullWriter()
        checkpoints = Checkpoints(run, training.checkpoint, 1, is_chief)

        def finish() -> None:
            with Progress(1, 1, 0, training.stream.images_per_step) as progress:
                pass
            training.finish_epoch(1, progress, output)

        first, again = self._evaluation(few), self._evaluation(few)
        self.traced += max(0.0, first - again)
        image = again / len(few)
        more = _spread(validation, min(len(validation), MORE_IMAGES * training.workers.count))
        if len(more) > len(few) and not training.workers.highest(image > 1):  # what opening the files takes counts once
            self._evaluation(more)  # what is prepared for each new size of images stays prepared
            image = max(0.0, self._evaluation(more) - again) / (len(more) - len(few))
        finishing, saving = _seconds(finish), _seconds(checkpoints.save)
        return saving, finishing + saving + image * (len(validation) - len(few))

    def _evaluation(self, pairs: Pairs) -> float:
        training = self._training
        return _seconds(lambda: evaluate(training.segment, pairs, training.interruption.check, training.workers))


def _spread(pairs: Pairs, count: int) -> Pairs:
    """Returns so many pairs from all parts, some of them several times if there are fewer."""
    indices = np.linspace(0, len(pairs) - 1, count).round().astype(int)
    return pairs.repeated(np.bincount(indices, minlength=len(pairs)))


def _seconds(act: Callable[[], object]) -> float:
    started = time.perf_counter()
    act()
    return time.perf_counter() - started
