"""Training: a network and its devices, the epochs, and what a run leaves behind."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence

import keras
import numpy as np
import tensorflow as tf

from keras_fcn.errors import UserError
from keras_fcn.evaluation.evaluate import evaluate
from keras_fcn.inference.predictor import segmenter
from keras_fcn.network.fcn import build_fcn, with_input_scale
from keras_fcn.network.parts import Parts
from keras_fcn.pipeline.batches import training_dataset
from keras_fcn.runs.config import TrainConfig
from keras_fcn.runs.folder import RunFolder
from keras_fcn.runs.history import EpochRow
from keras_fcn.system.command_line import command_line
from keras_fcn.system.signals import Interruption
from keras_fcn.training.data import TrainingData
from keras_fcn.training.distributed.devices import (
    build_strategy,
    describe_devices,
    layer_precision,
    uses_bfloat16,
    uses_xla,
)
from keras_fcn.training.distributed.workers import Workers
from keras_fcn.training.initial_weights import LoadedWeights, load_backbone_weights, load_matching_layers
from keras_fcn.training.records.checkpoints import Checkpoints
from keras_fcn.training.records.progress import Progress
from keras_fcn.training.records.report import RunReport, UnwrittenReport, epoch_row
from keras_fcn.training.step.batch_norm import prepare_batch_norms, restore_statistics
from keras_fcn.training.step.optimizers import build_parameter_groups
from keras_fcn.training.step.step import TrainingStep
from keras_fcn.training.step.weight_average import WeightAverage
from keras_fcn.training.stream import TrainingStream

LARGEST_LOSS = 1000.0
"""Per pixel; a network that is this sure of wrong classes has exploded."""

STATISTICS_CROPS = 64
"""Training crops from which statistics are restored that folded weights lack."""


class Training:
    """A network in training.

    Args:
        config: The settings.
        data: What to train and measure on.
        strategy: The devices; those of `config` if not given.

    Attributes:
        workers: The processes that train this network together.
        model: The network whose weights are trained.
        kept_model: The network that is evaluated and saved, in float32; `model` itself or a wrapper around it, unless
            weights are averaged or layers compute in another precision.

    Raises:
        UserError: If there are more devices than images in a batch, or the weights to start from do not fit.
    """

    def __init__(self, config: TrainConfig, data: TrainingData, strategy: tf.distribute.Strategy | None = None) -> None:
        self.config, self.data = config, data
        self.strategy = strategy or build_strategy(config.strategy, config.batch_size)
        self.stream = TrainingStream(config, data.pairs, data.crop_size, self.strategy)
        self.workers = Workers(self.strategy)
        bfloat16, xla = uses_bfloat16(config.precision), uses_xla(config.xla, self.strategy, self.stream.steps)
        with self.strategy.scope():
            with layer_precision(bfloat16):
                trained = self._build(auxiliary=config.auxiliary > 0)
            self.model = keras.Model(trained.input, tf.nest.flatten(trained.output)[0], name=trained.name)
            self.loaded = self._load_weights()
            prepare_batch_norms(trained, self.strategy.num_replicas_in_sync)
            self.groups = build_parameter_groups(config, trained, self.stream.steps_per_epoch)
            self.average = WeightAverage(self.model, config.average) if config.average else None
            self.make_step = TrainingStep(
                self.strategy, trained, self.groups, config, data.class_weights, self.average, xla
            )
        self._copy = self._build() if self.average or bfloat16 else None
        self.kept_model = with_input_scale(self._copy or self.model, config.input_scale)
        self.segment = segmenter(self.kept_model)
        self.finished_epochs = tf.Variable(0, name="finished_epochs")
        self.best_epoch = tf.Variable(0, name="best_epoch")
        self.best_mean_iou = tf.Variable(-1.0, name="best_mean_iou")
        self.checkpoint = tf.train.Checkpoint(
            model=trained,
            optimizers=[group.optimizer for group in self.groups],
            average=self.average.variables if self.average else [],
            step=self.make_step.step,
            loss_sum=self.make_step.loss_sum,
            finished_epochs=self.finished_epochs,
            best_epoch=self.best_epoch,
            best_mean_iou=self.best_mean_iou,
        )
        self.stream.keep_features(trained)
        self.interruption = Interruption(self.workers.highest)
        self.describe_precision = ("bfloat16" if bfloat16 else "float32") + (", XLA" if xla else "")

    def _build(self, **options) -> keras.Model:
        options |= {name: getattr(self.config, name) for name in ("model", "backbone", "upscore_init", "context")}
        return build_fcn(classes=self.data.pairs.classes, **options)

    def _load_weights(self) -> LoadedWeights:
        if self.config.init_from is not None:
            return load_matching_layers(self.model, self.config.init_from)
        parts = Parts(self.model)
        loaded = load_backbone_weights(parts.backbone, self.config.weights)
        if loaded.is_folded:
            crops = training_dataset(self.data.pairs, self.stream.augmentation, 1, self.config.seed)
            images = (parts.normalize(image) for image, _ in crops.take(STATISTICS_CROPS))
            restore_statistics(parts.backbone, images)
        return loaded

    def start_from(self, weights: list[np.ndarray]) -> None:
        """Starts from a network's weights, in the order of `get_weights`, instead of those of the settings.

        Raises:
            ValueError: If they are not of this network, with the classes of the data.
        """
        self.model.set_weights(weights)
        self.loaded = LoadedWeights("those of the model that was given")
        if self.average:
            self.average.restart()

    def describe(self) -> str:
        """Returns what is trained on what, for people."""
        config, stream, (height, width) = self.config, self.stream, self.data.crop_size
        rate = f"{config.optimizer} at {config.optimization.peak_rate:g}, {config.schedule}"
        if config.backbone_rate != 1:
            rate += f", the backbone at {config.backbone_rate * config.optimization.peak_rate:g}"
        if config.freeze_backbone:
            rate += f"; the backbone is frozen for {config.freeze_backbone} epochs"
        if stream.plan:
            rate += f", its features kept of {stream.plan.draws} augmentations ({stream.plan.gigabytes:.2g} GB)"
        network = f"{config.model} over {config.backbone}, {self.model.count_params() / 1e6:.1f} million weights"
        if config.input_scale != 1:
            network += f", kept to see images at {config.input_scale:g} of their size"
        return (
            f"Network  {network}\n"
            f"Weights  {self.loaded.description}\n"
            f"Steps    {config.epochs} epochs of {stream.steps_per_epoch}, each of {stream.images_per_step} crops "
            f"of {height}x{width} pixels, on {describe_devices(self.strategy)} in {self.describe_precision}\n"
            f"Rate     {rate}\n"
            f"Loss     {' + '.join(config.loss)}"
        )

    @property
    def step(self) -> int:
        """Training steps made so far, over all epochs."""
        return int(self.make_step.step.numpy())

    @property
    def is_finished(self) -> bool:
        """Whether all epochs are over, or the last ones were no better for as many as `--patience` says."""
        finished = int(self.finished_epochs.numpy())
        waited = finished - int(self.best_epoch.numpy())
        return finished >= self.config.epochs or 0 < self.config.patience <= waited

    def restore(self, run: RunFolder, report: Callable[[str], None]) -> None:
        """Restores weights, optimizer and position from a run's newest checkpoint that is undamaged, if it has any.

        Raises:
            UserError: If there are checkpoints, but none is undamaged and of this network.
        """
        self._checkpoints(run).restore(f"{self.config.model} over {self.config.backbone}", report)

    def _checkpoints(self, run: RunFolder) -> Checkpoints:
        return Checkpoints(run, self.checkpoint, self.config.keep_checkpoints, self.workers.is_chief)

    def run(
        self, run: RunFolder, report: Callable[[str], None], callbacks: Sequence[keras.callbacks.Callback] = ()
    ) -> None:
        """Trains the epochs that are left, and leaves the run's files behind.

        Raises:
            UserError: If the loss is no number any more, a pair cannot be read, or the disk is full.
            KeyboardInterrupt: After Ctrl-C, when a checkpoint has been written; its text says how to go on.
        """
        checkpoints = self._checkpoints(run)
        output: RunReport | UnwrittenReport = UnwrittenReport()
        if self.workers.is_chief:
            output = RunReport(run, self.data.held_out, int(self.finished_epochs.numpy()), self.step)
        self.model.stop_training = False  # callbacks may set it, as under `fit`
        listeners = keras.callbacks.CallbackList(list(callbacks), model=self.model)
        listeners.on_train_begin()
        try:
            with self.interruption:
                self._train_epochs(run, report, checkpoints, output, listeners)
        except KeyboardInterrupt as interrupt:  # or `Terminated`, which is one
            checkpoints.save()
            raise type(interrupt)(f"go on with {command_line('train')} --resume {run.root}") from None
        finally:
            output.draw_curves()
        listeners.on_train_end()
        output.draw_pictures()
        self.workers.wait()  # for the chief's pictures: nobody's end looks like a loss to the others

    def _train_epochs(
        self,
        run: RunFolder,
        report: Callable[[str], None],
        checkpoints: Checkpoints,
        output: RunReport | UnwrittenReport,
        listeners: keras.callbacks.CallbackList,
    ) -> None:
        self.stream.open(self.step, self.model, run.features)
        started, first_step = time.perf_counter(), self.step
        while not (self.is_finished or self.workers.highest(self.model.stop_training)):
            epoch = int(self.finished_epochs.numpy()) + 1
            report(f"\nEpoch {epoch}/{self.config.epochs}{self._time_left(started, first_step)}")
            listeners.on_epoch_begin(epoch - 1)
            progress = self._train_epoch(epoch, checkpoints, listeners)
            row = self._finish_epoch(epoch, progress, output)
            checkpoints.save()
            report(_epoch_summary(row))
            listeners.on_epoch_end(epoch - 1, row.to_json())

    def _train_epoch(self, epoch: int, checkpoints: Checkpoints, listeners: keras.callbacks.CallbackList) -> Progress:
        """Trains to the end of an epoch, from wherever in it the run is."""
        stream, first_step = self.stream, self.step
        before = (epoch - 1) * stream.steps_per_epoch
        saved = time.perf_counter()
        with Progress(epoch, stream.steps_per_epoch, first_step - before, stream.images_per_step) as progress:
            for number in range(first_step - before, stream.steps_per_epoch):
                self.interruption.check()
                listeners.on_train_batch_begin(number)
                started = time.perf_counter()
                batches = stream.next(before + number)
                fetched = time.perf_counter()
                self.make_step(batches, epoch <= self.config.freeze_backbone)
                loss = float(self.make_step.loss_sum.numpy()) / (number + 1)
                self._require_sane(loss, checkpoints)
                progress.made_step(loss, self._rate(), fetched - started, time.perf_counter() - fetched)
                listeners.on_train_batch_end(number, {"loss": loss})
                if time.perf_counter() - saved > 60 * self.config.checkpoint_minutes:
                    checkpoints.save()
                    saved = time.perf_counter()
        return progress

    def _rate(self) -> float:
        return float(self.groups[0].optimizer.learning_rate.numpy())

    def _require_sane(self, loss: float, checkpoints: Checkpoints) -> None:
        """Raises UserError if the loss of the step just made is no number, or has exploded."""
        if loss < LARGEST_LOSS:
            return
        names = ", ".join(self.stream.file_names(self.step))
        raise UserError(
            f"the loss became {loss:.4g} in step {self.step}, on {names}; try a lower --learning-rate, or "
            f"--clip-norm 1. The last good checkpoint: {checkpoints.newest}"
        )

    def _finish_epoch(self, epoch: int, progress: Progress, output: RunReport | UnwrittenReport) -> EpochRow:
        """Evaluates the network and writes the epoch down; returns its row of the history."""
        if self._copy is not None:
            source = self.average.variables if self.average else self.model.weights
            self._copy.set_weights([np.asarray(weight) for weight in source])
        evaluation = evaluate(self.segment, self.data.held_out, self.interruption.check, self.workers)
        loss = float(self.make_step.loss_sum.numpy()) / self.stream.steps_per_epoch
        row = epoch_row(epoch, self.step, loss, self._rate(), progress, evaluation)
        is_best = row.val_mean_iou > float(self.best_mean_iou.numpy())
        output.add_epoch(row, evaluation, self.segment, self.kept_model if is_best else None)
        if is_best:
            self.best_mean_iou.assign(row.val_mean_iou)
            self.best_epoch.assign(epoch)
        self.finished_epochs.assign(epoch)
        self.make_step.loss_sum.assign(0.0)
        return row

    def _time_left(self, started: float, first_step: int) -> str:
        done = self.step - first_step
        if not done:
            return ""
        seconds = (time.perf_counter() - started) / done * (self.stream.steps - self.step)
        return f", about {math.ceil(seconds / 60)} min left"


def _epoch_summary(row: EpochRow) -> str:
    return (
        f"loss {row.loss:.4f}, held-out mean IoU {row.val_mean_iou:.1%}, "
        f"pixel accuracy {row.val_pixel_accuracy:.1%} ({row.images_per_second:.1f} images/s, "
        f"{row.waiting_share:.0%} waiting for data)"
    )
