"""Writes the files of a run in training: history, event files, drawings, and its best model."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf

from keras_fcn.datasets import Pairs
from keras_fcn.drawing.charts import draw_curves
from keras_fcn.drawing.panels import draw_predictions, side_by_side
from keras_fcn.errors import UserError, argument
from keras_fcn.evaluation.pictures import draw_evaluation, predicted_samples
from keras_fcn.evaluation.results import Evaluation
from keras_fcn.evaluation.watch import Watch
from keras_fcn.inference.arrays import Segment
from keras_fcn.inference.engines.keras_model import large_image_segmenter
from keras_fcn.inference.models import load_model
from keras_fcn.runs.folder import RunFolder
from keras_fcn.runs.history import EpochRow
from keras_fcn.system.files import replaced_file, write_json
from keras_fcn.system.machine import return_free_memory
from keras_fcn.system.text import reason_of
from keras_fcn.training.records.progress import Progress
from keras_fcn.training.records.tensorboard import TensorBoardLog

SHOWN_IMAGES = 5


def epoch_row(
    epoch: int, step: int, loss: float, learning_rate: float, progress: Progress, evaluation: Evaluation, watch: Watch,
    tile: int,
) -> EpochRow:  # fmt: skip
    """Returns an epoch's row of the history; its metrics are 0 where no pixel was valid."""
    metrics = evaluation.metrics
    return EpochRow(
        epoch=epoch,
        step=step,
        loss=loss,
        learning_rate=learning_rate,
        seconds=round(progress.seconds, 2),
        images_per_second=round(progress.images / progress.seconds, 2),
        waiting_share=round(progress.waiting_share, 4),
        val_pixel_accuracy=float(np.nan_to_num(metrics.pixel_accuracy)),
        val_mean_accuracy=float(np.nan_to_num(metrics.mean_accuracy)),
        val_mean_iou=float(np.nan_to_num(metrics.mean_iou)),
        val_frequency_weighted_iou=float(np.nan_to_num(metrics.frequency_weighted_iou)),
        val_iou=dict(zip(evaluation.class_names, metrics.iou)),
        val_watched=watch.value(metrics),
        val_tile=tile,
    )


class RunWriter:
    """Writes a run's files, each atomically.

    Args:
        run: The folder of the run.
        validation: The validation data.
        watch: What makes a model the best.
        finished_epochs: Number of finished epochs; rows of later ones are dropped.
        step: Number of steps so far.
    """

    def __init__(self, run: RunFolder, validation: Pairs, watch: Watch, finished_epochs: int, step: int) -> None:
        self._run, self._validation, self._watch = run, validation, watch
        self._history = [row for row in run.read_history() if row.epoch <= finished_epochs]
        self._kept = _kept(run, watch)
        self._log = TensorBoardLog(run.tensorboard, first_step=step + 1 if step else 0)
        count = min(SHOWN_IMAGES, len(validation))
        self._shown = np.linspace(0, len(validation) - 1, count).astype(int)  # always the same ones

    def add_epoch(self, row: EpochRow, evaluation: Evaluation, segment: Segment, best: keras.Model | None) -> None:
        """Writes an epoch.

        Args:
            row: Its row of the history.
            evaluation: The network's evaluation on the validation images.
            segment: The network that was evaluated.
            best: The network to save, if it is better than that of every epoch before. A better one is kept that an
                earlier session left, whose later checkpoints are lost.

        Raises:
            UserError: If a file cannot be written, as on a full disk.
        """
        self._run.require_exists()
        self._history.append(row)
        try:
            self._run.write_history(self._history)
            self._write_events(row, segment)
            if best is not None and row.val_watched >= self._kept:
                return_free_memory()  # Keras builds a file of weights in memory
                with replaced_file(self._run.best_model, lasting=True) as temporary:
                    best.save(temporary)
                write_json(self._run.metrics, evaluation.to_json())
                by = {"by": self._watch.what, "why": self._watch.why}
                write_json(self._run.best_note, {"epoch": row.epoch, **by, "value": row.val_watched})
        except (OSError, UserError, tf.errors.OpError) as error:
            reason = error.marked.rpartition("; ")[0] if isinstance(error, UserError) else reason_of(error)
            raise UserError(
                f"{self._run.root}: epoch {row.epoch} cannot be written ({reason}); make it writable or free disk "
                f"space and resume with {argument('resume', self._run.root)}"
            ) from None

    def _write_events(self, row: EpochRow, segment: Segment) -> None:
        curves = {name: value for name, value in row.to_json().items() if name not in ("epoch", "step", "val_tile")}
        self._log.scalars(curves, row.step)
        classes = self._validation.classes
        for number, sample in enumerate(predicted_samples(segment, self._validation, self._shown)):
            self._log.image(
                f"validation/{number} image, prediction, ground truth", side_by_side(*sample, classes), row.step
            )

    def draw_curves(self) -> None:
        """Draws the history so far, unless the run's folder was removed."""
        if self._history and self._run.root.is_dir():
            draw_curves(self._run.curves, self._history, self._validation.classes)

    def draw_predictions(self) -> None:
        """Draws the best model's predictions of some validation images and of the worst, and its confusion matrix."""
        run, pairs = self._run, self._validation
        segment = large_image_segmenter(load_model(run.best_model))
        draw_predictions(run.predictions, predicted_samples(segment, pairs, self._shown), pairs.classes)
        draw_evaluation(run.root, segment, pairs, Evaluation.read(run.metrics), SHOWN_IMAGES)


def _kept(run: RunFolder, watch: Watch) -> float:
    """Returns what is watched, of a run's best model; -1 if there is none or it is not known."""
    try:
        return watch.value(Evaluation.read(run.metrics).metrics)
    except UserError:
        return -1.0


class NullWriter:
    """Replaces `RunWriter` in workers other than the chief, which alone writes."""

    def add_epoch(self, *_) -> None:
        """Writes nothing."""

    def draw_curves(self) -> None:
        """Draws nothing."""

    def draw_predictions(self) -> None:
        """Draws nothing."""
