"""Trains a network for the epochs of a run."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterator, Sequence

import keras
import numpy as np
import tensorflow as tf

from keras_fcn.datasets import Pairs
from keras_fcn.errors import UnfitSettingsError, UserError, argument
from keras_fcn.evaluation.evaluate import evaluate
from keras_fcn.evaluation.watch import Watch
from keras_fcn.inference.engines.keras_model import large_image_segmenter
from keras_fcn.inference.large import within_memory
from keras_fcn.runs.config import RunOptions
from keras_fcn.runs.folder import RunFolder
from keras_fcn.runs.history import EpochRow
from keras_fcn.system.command_line import command_line
from keras_fcn.system.signals import Interruption
from keras_fcn.training.distributed.workers import Workers
from keras_fcn.training.inputs.stream import TrainingStream
from keras_fcn.training.records.checkpoints import Checkpoints
from keras_fcn.training.records.progress import Progress
from keras_fcn.training.records.writer import NullWriter, RunWriter, epoch_row
from keras_fcn.training.step.step import TrainingStep

LESS_MEMORY = (
    f"start a new run with a smaller {argument('batch_size')} ({argument('accumulate')} averages several), a smaller "
    f"{argument('crop_size')}, or {argument('precision', 'bfloat16')}"
)

LARGEST_LOSS = 1000.0
"""Per pixel; the loss of a network that diverges."""


class Training:
    """The training of a network.

    Args:
        trained: The network whose weights are trained, with its auxiliary head, if it has one.
        model: The same without that head.
        copy: The network that gets the EMA of the weights, or those of layers of another precision, before it is
            evaluated; None if that is `model` itself.
        evaluated: The network that is evaluated and, if it is the best, saved, in float32: `copy` or `model`, or a
            wrapper around it.
        make_step: Makes a training step.
        stream: The training batches.
        validation: The validation data.
        options: The length of the run, and the number of checkpoints to keep.
        workers: The processes that train this network together.
        description: A human-readable summary of the training.
        tile: Side of the tiles in which validation images are predicted that are too large for memory, 0 for none.
        watch: What makes a model the best.
    """

    def __init__(
        self,
        trained: keras.Model,
        model: keras.Model,
        copy: keras.Model | None,
        evaluated: keras.Model,
        make_step: TrainingStep,
        stream: TrainingStream,
        validation: Pairs,
        options: RunOptions,
        workers: Workers,
        description: str,
        tile: int = 0,
        watch: Watch | None = None,
    ) -> None:
        self.model, self.evaluated, self.make_step, self.stream = model, evaluated, make_step, stream
        self.options, self.workers, self.description, self._tile = options, workers, description, tile
        self._copy, self._validation, self.segment = copy, validation, large_image_segmenter(evaluated)
        self._watch = watch or Watch()
        self.finished_epochs = tf.Variable(0, name="finished_epochs")
        self.best_epoch = tf.Variable(0, name="best_epoch")
        self.best_value = tf.Variable(-1.0, name="best_value")
        self.checkpoint = tf.train.Checkpoint(
            model=trained,
            optimizers=[group.optimizer for group in make_step.groups],
            average=make_step.average.variables if make_step.average else [],
            step=make_step.step,
            loss_sum=make_step.loss_sum,
            finished_epochs=self.finished_epochs,
            best_epoch=self.best_epoch,
            best_mean_iou=self.best_value,  # early checkpoints have it under this name
        )
        self.interruption = Interruption(workers.highest)

    @property
    def step(self) -> int:
        """Number of training steps so far, over all epochs."""
        return int(self.make_step.step.numpy())

    @property
    def precision(self) -> str:
        """What the layers compute in: "float32" or "bfloat16"."""
        is_lower = any(layer.compute_dtype == "bfloat16" for layer in self.model.layers)
        return "bfloat16" if is_lower else "float32"

    @property
    def is_finished(self) -> bool:
        """Returns whether all epochs are over, or as many as `patience` passed without a better one."""
        finished = int(self.finished_epochs.numpy())
        waited = finished - int(self.best_epoch.numpy())
        return finished >= self.options.epochs or 0 < self.options.patience <= waited

    def restore(self, run: RunFolder, report: Callable[[str], None]) -> None:
        """Restores weights, optimizer and position from a run's newest checkpoint that is undamaged, if it has any.

        Raises:
            UserError: If there are checkpoints, but none is undamaged and of this network.
        """
        self._checkpoints(run).restore(self.model.name.replace("_", " over ", 1), report)

    def require_best_model(self, run: RunFolder, report: Callable[[str], None]) -> None:
        """Looks for the best model anew if that of a resumed run has been deleted.

        Raises:
            UserError: If no epoch is left to find one in.
        """
        is_missing = int(self.best_epoch.numpy()) > 0 and not run.best_model.is_file()
        if not self.workers.highest(is_missing):
            return
        missing = f"{run.best_model}: is missing, of epoch {int(self.best_epoch)}, with {float(self.best_value):.1%}"
        if self.is_finished:
            raise UserError(f"{missing}; put it back, or train for more {argument('epochs')}")
        report(f"Warning  {missing}; the best of the epochs to come will take its place")
        self.best_value.assign(-1.0)

    def _checkpoints(self, run: RunFolder) -> Checkpoints:
        return Checkpoints(run, self.checkpoint, self.options.keep_checkpoints, self.workers.is_chief)

    def train(
        self, run: RunFolder, report: Callable[[str], None], callbacks: Sequence[keras.callbacks.Callback] = ()
    ) -> None:
        """Trains the epochs that are left, and writes the run's files.

        Raises:
            UserError: If the loss is NaN or diverges, a pair cannot be read, or the disk is full.
            KeyboardInterrupt: After Ctrl-C, when a checkpoint has been written; its text says how to resume.
        """
        checkpoints = self._checkpoints(run)
        output: RunWriter | NullWriter = NullWriter()
        if self.workers.is_chief:
            output = RunWriter(run, self._validation, self._watch, int(self.finished_epochs.numpy()), self.step)
        self.model.stop_training = False  # callbacks may set it, as under `fit`
        listeners = keras.callbacks.CallbackList(list(callbacks), model=self.model)
        listeners.on_train_begin()
        with drawn_at_the_end(output):
            try:
                with self.interruption:
                    self._train_epochs(run, report, checkpoints, output, listeners)
            except KeyboardInterrupt as interrupt:  # or `Terminated`, which is one
                checkpoints.save()
                raise type(interrupt)(f"resume with {command_line('train')} --resume {run.root}") from None
        listeners.on_train_end()
        output.draw_predictions()
        self.workers.wait()  # for the chief, which draws: a worker that ends early would look lost to the others

    def _train_epochs(
        self,
        run: RunFolder,
        report: Callable[[str], None],
        checkpoints: Checkpoints,
        output: RunWriter | NullWriter,
        listeners: keras.callbacks.CallbackList,
    ) -> None:
        self.stream.open(self.step, run.features, self.interruption.check)
        started, first_step = time.perf_counter(), self.step
        while not (self.is_finished or self.workers.highest(self.model.stop_training)):
            epoch = int(self.finished_epochs.numpy()) + 1
            listeners.on_epoch_begin(epoch - 1)
            report(f"\nEpoch {epoch}/{self.options.epochs}{self._time_left(started, first_step)}")
            progress = self._train_epoch(epoch, checkpoints, listeners)
            checkpoints.save_first()
            row = self.finish_epoch(epoch, progress, output)
            checkpoints.save()
            report(_epoch_summary(row, self._watch.what))
            listeners.on_epoch_end(epoch - 1, row.to_json())

    def _train_epoch(self, epoch: int, checkpoints: Checkpoints, listeners: keras.callbacks.CallbackList) -> Progress:
        """Trains to the end of an epoch, from the run's position in it."""
        stream, first_step = self.stream, self.step
        before = (epoch - 1) * stream.steps_per_epoch
        saved = time.perf_counter()
        with Progress(epoch, stream.steps_per_epoch, first_step - before, stream.images_per_step) as progress:
            for number in range(first_step - before, stream.steps_per_epoch):
                self.interruption.check()
                listeners.on_train_batch_begin(number)
                started = time.perf_counter()
                with within_memory(f"step {before + number + 1}", LESS_MEMORY):
                    batches = stream.next(before + number)
                    fetched = time.perf_counter()
                    self.make_step(batches, epoch <= stream.frozen_epochs)
                    loss = float(self.make_step.loss_sum.numpy()) / (number + 1)
                self._require_finite(loss, checkpoints)
                progress.made_step(loss, self._rate(), fetched - started, time.perf_counter() - fetched)
                listeners.on_train_batch_end(number, {"loss": loss})
                if time.perf_counter() - saved > 60 * self.options.checkpoint_minutes:
                    checkpoints.save()
                    saved = time.perf_counter()
        return progress

    def _rate(self) -> float:
        return float(self.make_step.groups[0].optimizer.learning_rate.numpy())

    def _require_finite(self, loss: float, checkpoints: Checkpoints) -> None:
        """Raises UnfitSettingsError if the loss after the last step is NaN, or diverges."""
        if loss < LARGEST_LOSS:
            return
        names = ", ".join(self.stream.file_names(self.step))
        raise UnfitSettingsError(
            f"the loss became {loss:.4g} in step {self.step}, on {names}; try a lower {argument('learning_rate')}, "
            f"or {argument('clip_norm', 1)}. The last good checkpoint: {checkpoints.newest}"
        )

    def finish_epoch(self, epoch: int, progress: Progress, output: RunWriter | NullWriter) -> EpochRow:
        """Evaluates the network and writes the epoch's files; returns its row of the history."""
        if self._copy is not None:
            average = self.make_step.average
            source = average.variables if average else self.model.weights
            self._copy.set_weights([np.asarray(weight) for weight in source])
        evaluation = evaluate(self.segment, self._validation, self.interruption.check, self.workers)
        loss = float(self.make_step.loss_sum.numpy()) / self.stream.steps_per_epoch
        row = epoch_row(epoch, self.step, loss, self._rate(), progress, evaluation, self._watch, self._tile)
        is_best = np.float32(row.val_watched) > self.best_value.numpy()  # in the precision of the variable
        output.add_epoch(row, evaluation, self.segment, self.evaluated if is_best else None)
        if is_best:
            self.best_value.assign(row.val_watched)
            self.best_epoch.assign(epoch)
        self.finished_epochs.assign(epoch)
        self.make_step.loss_sum.assign(0.0)
        return row

    def _time_left(self, started: float, first_step: int) -> str:
        done = self.step - first_step
        if not done:
            return ""
        seconds = (
            (time.perf_counter() - started) / done * (self.options.epochs * self.stream.steps_per_epoch - self.step)
        )
        return f", about {math.ceil(seconds / 60)} min left"


@contextlib.contextmanager
def drawn_at_the_end(output: RunWriter | NullWriter) -> Iterator[None]:
    """Draws the curves after the block, also if it raises; on a full disk its own error is the one to show."""
    try:
        yield
    except BaseException:
        with contextlib.suppress(UserError, OSError):
            output.draw_curves()
        raise
    output.draw_curves()


def _epoch_summary(row: EpochRow, watched: str) -> str:
    is_another = row.val_watched not in (row.val_mean_iou, row.val_pixel_accuracy)
    first = f"{watched} {row.val_watched:.1%}, " if is_another else ""
    return (
        f"loss {row.loss:.4f}, validation {first}mean IoU {row.val_mean_iou:.1%}, "
        f"pixel accuracy {row.val_pixel_accuracy:.1%} ({row.images_per_second:.1f} images/s, "
        f"{row.waiting_share:.0%} waiting for data)"
    )
