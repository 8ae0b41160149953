"""Training: the step on all devices, the epochs around it, and what a run leaves behind."""

from __future__ import annotations

import dataclasses
import math
import sys
import time
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from keras_fcn.augmentation import Augmentation
from keras_fcn.balance import class_weights, repeat_factors
from keras_fcn.batch_norm import restore_statistics, synchronize_batch_norms
from keras_fcn.charts import draw_curves
from keras_fcn.config import TrainConfig
from keras_fcn.datasets import Pairs, inspect_pairs, open_pairs
from keras_fcn.errors import UserError
from keras_fcn.evaluation import evaluate
from keras_fcn.fcn import build_fcn, normalize
from keras_fcn.files import replaced_file, write_json
from keras_fcn.image_files import read_image
from keras_fcn.inference import load_model, segmenter
from keras_fcn.optimizers import build_parameter_groups
from keras_fcn.pipeline import explain_failure, training_dataset
from keras_fcn.run_folder import RunFolder, require_absent
from keras_fcn.tensorboard_log import TensorBoardLog
from keras_fcn.training_step import TrainingStep
from keras_fcn.visualization import draw_predictions, side_by_side
from keras_fcn.weights import LoadedWeights, load_backbone_weights, load_matching_layers

LARGEST_DEFAULT_CROP = (320, 480)
KEPT_CHECKPOINTS = 2
SECONDS_BETWEEN_CHECKPOINTS = 600
"""Within an epoch; one is written after every epoch, too."""
PICTURED_IMAGES = 5
STATISTICS_CROPS = 64
"""Training crops from which statistics are restored that folded weights lack."""


def train(
    config: TrainConfig,
    run_dir: str | Path | None = None,
    resume: str | Path | None = None,
    report: Callable[[str], None] = print,
) -> RunFolder:
    """Trains a network and keeps everything about it in a run folder.

    Args:
        config: The settings.
        run_dir: The new folder of the run; runs/<time>-<model>-<backbone> if None.
        resume: The folder of a run to go on with, instead of `run_dir`.
        report: Is told, line by line, what happens.

    Returns:
        The run's folder; its metrics.json holds the figures of best.keras.

    Raises:
        UserError: If the data, the settings or the folder are not fit to train on.
        KeyboardInterrupt: After Ctrl-C, when a checkpoint has been written; its text says how to go on.
    """
    run_dir, resume = (None if path is None else Path(path) for path in (run_dir, resume))
    if run_dir is not None:
        require_absent(run_dir)
    data = _open_data(config, report)
    keras.utils.set_random_seed(config.seed)
    training = Training(config, data)
    report(training.describe())
    if resume is None:
        run = RunFolder.create(run_dir, config)
        run.write_images(data.pairs.images, data.held_out.images)
    else:
        run = RunFolder(resume)
        training.restore(run, report)
    report(f"Run      {run.root}")
    training.run(run, report)
    return run


@dataclasses.dataclass(frozen=True)
class TrainingData:
    """What a run trains and measures on.

    Attributes:
        pairs: What to train on; with `--balance sampling`, images of rare classes several times.
        held_out: What to measure on.
        crop_size: Height and width of the training crops, in pixels.
        class_weights: With `--balance weights`, how much a pixel of each class counts in the loss.
    """

    pairs: Pairs
    held_out: Pairs
    crop_size: tuple[int, int]
    class_weights: tuple[float, ...] | None = None


def _open_data(config: TrainConfig, report: Callable[[str], None]) -> TrainingData:
    """Opens the data and decodes all of it once, so that nothing is trained on a file that is not understood."""
    pairs = open_pairs(config.data, config.split, config.layout)
    held_out = open_pairs(config.data, config.val_split, config.layout)
    report(
        f"Data     {config.data}: {pairs.layout}, {pairs.classes.num_classes} classes, {len(pairs)} training and "
        f"{len(held_out)} held-out images; checking every file ..."
    )
    inspections = [inspect_pairs(pairs), inspect_pairs(held_out)]
    for inspection in inspections:
        inspection.require_sound()
    left_out = len({str(finding) for inspection in inspections for finding in inspection.findings})
    if left_out:
        report(f"         {left_out} files are left out: python -m keras_fcn.check {config.data} says which and why")
    pixels = inspections[0].pixels[:, : pairs.classes.num_classes]
    return TrainingData(
        pairs.repeated(repeat_factors(pixels)) if config.balance == "sampling" else pairs,
        held_out,
        config.crop_size or default_crop_size(inspections[0].sizes),
        tuple(class_weights(pixels).tolist()) if config.balance == "weights" else None,
    )


def default_crop_size(sizes: np.ndarray) -> tuple[int, int]:
    """Returns 320 x 480, or the largest height and width in `sizes` [N, 2] rounded up to 32s where that is less."""
    height, width = (min(-(-int(size) // 32) * 32, most) for size, most in zip(sizes.max(axis=0), LARGEST_DEFAULT_CROP))
    return height, width


class Training:
    """A network in training, on all GPUs of this machine or its CPU.

    Args:
        config: The settings.
        data: What to train and measure on.

    Raises:
        UserError: If there are more devices than images in a batch, or the weights to start from do not fit.
    """

    def __init__(self, config: TrainConfig, data: TrainingData) -> None:
        self.config, self.data, self.pairs, self.held_out = config, data, data.pairs, data.held_out
        self.augmentation = Augmentation(data.crop_size, config.scale, config.flip, config.rotate, config.color_jitter)
        devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
        if config.batch_size < len(devices):
            raise UserError(
                f"--batch-size must be at least {len(devices)}, one per device. Received: {config.batch_size}"
            )
        self.strategy = tf.distribute.MirroredStrategy([device.name for device in devices])
        self.steps_per_epoch = math.ceil(len(self.pairs) / config.batch_size)
        with self.strategy.scope():
            self.model = build_fcn(
                config.model, config.backbone, classes=self.pairs.classes, upscore_init=config.upscore_init
            )
            self.loaded = self._load_weights()
            if len(devices) > 1:
                synchronize_batch_norms(self.model)
            self.groups = build_parameter_groups(config, self.model, self.steps_per_epoch)
            self.make_step = TrainingStep(
                self.strategy, self.model, self.groups, config.backbone, config.freeze_batch_norm, data.class_weights
            )
        self.finished_epochs = tf.Variable(0, name="finished_epochs")
        self.best_mean_iou = tf.Variable(-1.0, name="best_mean_iou")
        self.checkpoint = tf.train.Checkpoint(
            model=self.model,
            optimizers=[group.optimizer for group in self.groups],
            step=self.make_step.step,
            loss_sum=self.make_step.loss_sum,
            finished_epochs=self.finished_epochs,
            best_mean_iou=self.best_mean_iou,
        )
        self.segment = segmenter(self.model)

    def describe(self) -> str:
        """Returns what is trained on what, for people."""
        config, (height, width) = self.config, self.augmentation.crop_size
        devices = ", ".join(device.rpartition("device:")[2] for device in self.strategy.extended.worker_devices)
        rate = f"{config.optimizer} at {config.peak_rate:g}, {config.schedule}"
        if config.backbone_rate != 1:
            rate += f", the backbone at {config.backbone_rate * config.peak_rate:g}"
        if config.freeze_backbone:
            rate += f"; the backbone is frozen for {config.freeze_backbone} epochs"
        return (
            f"Network  {config.model} over {config.backbone}, {self.model.count_params() / 1e6:.1f} million weights\n"
            f"Steps    {config.epochs} epochs of {self.steps_per_epoch}, each of {config.batch_size} crops "
            f"of {height}x{width} pixels, on {devices}\n"
            f"Rate     {rate}\n"
            f"Weights  {self.loaded.description}"
        )

    @property
    def step(self) -> int:
        """Training steps made so far, over all epochs."""
        return int(self.make_step.step.numpy())

    def _load_weights(self) -> LoadedWeights:
        if self.config.init_from is not None:
            return load_matching_layers(self.model, self.config.backbone, self.config.init_from)
        backbone = self.model.get_layer(self.config.backbone)
        loaded = load_backbone_weights(backbone, self.config.weights)
        if loaded.is_folded:
            crops = training_dataset(self.pairs, self.augmentation, 1, self.config.seed).take(STATISTICS_CROPS)
            restore_statistics(backbone, (normalize(self.model, image) for image, _ in crops))
        return loaded

    def restore(self, run: RunFolder, report: Callable[[str], None]) -> None:
        """Takes over weights, optimizer and position from a run's newest checkpoint that is whole.

        Raises:
            UserError: If there is none, or they belong to another network.
        """
        paths = run.checkpoint_paths()
        if not paths:
            raise UserError(
                f"{run.checkpoints}: holds no checkpoint to go on from; start again with --config {run.config}"
            )
        for path in paths:
            try:
                self.checkpoint.restore(str(path)).assert_existing_objects_matched()
            except (AssertionError, ValueError, IndexError, RuntimeError, tf.errors.OpError):
                report(f"Warning  {path}: cannot be restored; trying the checkpoint before it")
                continue
            return
        network = f"{self.config.model} over {self.config.backbone}"
        raise UserError(
            f"{paths[0]}: is damaged or not a checkpoint of {network}, which {run.config} asks for; "
            "none before it is better"
        )

    def run(self, run: RunFolder, report: Callable[[str], None]) -> None:
        """Trains the epochs that are left, and leaves the run's files behind."""
        manager = tf.train.CheckpointManager(self.checkpoint, str(run.checkpoints), KEPT_CHECKPOINTS)
        log = TensorBoardLog(run.tensorboard)
        history = run.read_history()[: int(self.finished_epochs.numpy())]
        started, first_step = time.perf_counter(), self.step
        try:
            batches = self._batches()
            for epoch in range(len(history) + 1, self.config.epochs + 1):
                report(f"\nEpoch {epoch}/{self.config.epochs}{self._time_left(started, first_step)}")
                row = self._train_epoch(batches, epoch, manager)
                figures = evaluate(self.segment, self.held_out)
                history.append({**row, **_validation_columns(figures)})
                self._keep(run, log, history, figures)
                self.finished_epochs.assign(epoch)
                self.make_step.loss_sum.assign(0.0)
                manager.save()
                report(_epoch_summary(history[-1]))
        except KeyboardInterrupt as interrupt:  # or `cli.Terminated`, which is one
            manager.save()
            raise type(interrupt)(f"go on with python train.py --resume {run.root}") from None
        finally:
            if history:
                draw_curves(run.curves, history, self.pairs.classes)
        self._draw_predictions(run)

    def _batches(self):
        """Returns the iterator over the batches from the present step on, dealt out to the devices."""
        batches = training_dataset(
            self.pairs, self.augmentation, self.config.batch_size, self.config.seed, self.step * self.config.batch_size
        )
        options = tf.data.Options()
        options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
        return iter(self.strategy.experimental_distribute_dataset(batches.with_options(options)))

    def _train_epoch(self, batches, epoch: int, manager: tf.train.CheckpointManager) -> dict[str, float]:
        """Trains to the end of an epoch, from wherever in it the run is; returns its row of the history."""
        before = (epoch - 1) * self.steps_per_epoch
        bar = keras.utils.Progbar(
            self.steps_per_epoch, verbose=1 if sys.stdout.isatty() else 0, stateful_metrics=["loss", "learning_rate"]
        )
        started, first_step = time.perf_counter(), self.step
        saved = started
        for done in range(first_step - before + 1, self.steps_per_epoch + 1):
            with explain_failure(self.pairs):
                self.make_step(batches, epoch <= self.config.freeze_backbone)
            loss = float(self.make_step.loss_sum.numpy()) / done
            if not math.isfinite(loss):
                raise UserError(f"the loss became {loss} in step {before + done}; try a lower --learning-rate")
            rate = float(self.groups[0].optimizer.learning_rate.numpy())
            bar.update(done, [("loss", loss), ("learning_rate", rate)], finalize=done == self.steps_per_epoch)
            if time.perf_counter() - saved > SECONDS_BETWEEN_CHECKPOINTS:
                manager.save()
                saved = time.perf_counter()
        seconds = time.perf_counter() - started
        images = (self.step - first_step) * self.config.batch_size
        return {
            "epoch": epoch,
            "step": self.step,
            "loss": float(self.make_step.loss_sum.numpy()) / self.steps_per_epoch,
            "learning_rate": float(self.groups[0].optimizer.learning_rate.numpy()),
            "seconds": round(seconds, 2),
            "images_per_second": round(images / seconds, 2),
        }

    def _keep(self, run: RunFolder, log: TensorBoardLog, history: list[dict], figures: dict) -> None:
        """Writes down an epoch: its row, its pictures, and the model and its metrics if none was better."""
        run.write_history(history)
        log.scalars({name: value for name, value in history[-1].items() if name not in ("epoch", "step")}, self.step)
        for index, sample in enumerate(self._samples(self.segment)):
            log.image(
                f"held-out/{index} photograph, prediction, truth", side_by_side(*sample, self.pairs.classes), self.step
            )
        mean_iou = history[-1]["val_mean_iou"]
        if mean_iou > float(self.best_mean_iou.numpy()):
            self.best_mean_iou.assign(mean_iou)
            with replaced_file(run.best_model) as temporary:
                self.model.save(temporary)
            write_json(run.metrics, figures)

    def _draw_predictions(self, run: RunFolder) -> None:
        draw_predictions(run.predictions, self._samples(segmenter(load_model(run.best_model))), self.pairs.classes)

    def _samples(self, segment: Callable) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Returns image, prediction and truth of a few held-out pairs, always the same ones."""
        count = min(PICTURED_IMAGES, len(self.held_out))
        samples = []
        for index in np.linspace(0, len(self.held_out) - 1, count).astype(int):
            image = read_image(self.held_out.images[index])
            truth = self.held_out.read_label(self.held_out.labels[index])
            samples.append((image, segment(tf.constant(image[None]))[0].numpy(), truth))
        return samples

    def _time_left(self, started: float, first_step: int) -> str:
        done, total = self.step - first_step, self.config.epochs * self.steps_per_epoch
        if not done:
            return ""
        seconds = (time.perf_counter() - started) / done * (total - self.step)
        return f", about {math.ceil(seconds / 60)} min left"


def _validation_columns(figures: dict) -> dict[str, float]:
    """Returns the held-out columns of the history; 0 where there was no valid pixel to measure on."""
    names = ("pixel_accuracy", "mean_accuracy", "mean_iou", "frequency_weighted_iou")
    return {f"val_{name}": figures[name] or 0.0 for name in names}


def _epoch_summary(row: dict[str, float]) -> str:
    return (
        f"loss {row['loss']:.4f}, held-out mean IoU {row['val_mean_iou']:.1%}, "
        f"pixel accuracy {row['val_pixel_accuracy']:.1%} ({row['images_per_second']:.1f} images/s)"
    )
