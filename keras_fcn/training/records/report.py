"""What a run writes down while it trains: history, event files, pictures, and its best model."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf

from keras_fcn.datasets import Pairs
from keras_fcn.drawing.charts import draw_curves
from keras_fcn.drawing.panels import draw_predictions, side_by_side
from keras_fcn.errors import UserError
from keras_fcn.evaluation.pictures import draw_evaluation, predicted_samples
from keras_fcn.inference.predictor import Segment, load_model, segmenter
from keras_fcn.runs.folder import RunFolder
from keras_fcn.system.files import replaced_file, write_json
from keras_fcn.system.memory import return_free_memory
from keras_fcn.system.text import reason_of
from keras_fcn.training.records.tensorboard import TensorBoardLog

PICTURED_IMAGES = 5


class RunReport:
    """Writes a run's files, each whole or not at all.

    Args:
        run: Where to.
        held_out: What the run is measured on.
        finished_epochs: How many epochs are over; what was written of later ones is dropped.
        step: How many steps were made.
    """

    def __init__(self, run: RunFolder, held_out: Pairs, finished_epochs: int, step: int) -> None:
        self._run, self._held_out = run, held_out
        self._history = run.read_history()[:finished_epochs]
        self._log = TensorBoardLog(run.tensorboard, first_step=step + 1 if step else 0)
        count = min(PICTURED_IMAGES, len(held_out))
        self._pictured = np.linspace(0, len(held_out) - 1, count).astype(int)  # always the same ones

    def add_epoch(
        self, row: dict[str, float], figures: dict, segment: Segment, best: keras.Model | None
    ) -> dict[str, float]:
        """Writes down an epoch.

        Args:
            row: The columns of the history that training knows.
            figures: What `evaluate` returned.
            segment: The network that was measured.
            best: The network, to be kept if no epoch before had a better one.

        Returns:
            The whole row.

        Raises:
            UserError: If a file cannot be written, as on a full disk.
        """
        row = {**row, **_held_out_columns(figures)}
        self._history.append(row)
        try:
            self._run.write_history(self._history)
            self._write_events(row, segment)
            if best is not None:
                return_free_memory()  # Keras puts a file of weights together in memory
                with replaced_file(self._run.best_model) as temporary:
                    best.save(temporary)
                write_json(self._run.metrics, figures)
        except (OSError, UserError, tf.errors.OpError) as error:
            raise UserError(
                f"{self._run.root}: epoch {row['epoch']} cannot be written down ({reason_of(error)}); make room and "
                f"go on with --resume {self._run.root}"
            ) from None
        return row

    def _write_events(self, row: dict[str, float], segment: Segment) -> None:
        step = int(row["step"])
        self._log.scalars({name: value for name, value in row.items() if name not in ("epoch", "step")}, step)
        classes = self._held_out.classes
        for number, sample in enumerate(predicted_samples(segment, self._held_out, self._pictured)):
            self._log.image(f"held-out/{number} photograph, prediction, truth", side_by_side(*sample, classes), step)

    def draw_curves(self) -> None:
        """Draws the history so far."""
        if self._history:
            draw_curves(self._run.curves, self._history, self._held_out.classes)

    def draw_pictures(self) -> None:
        """Draws what the best model makes of a few held-out images, of those it does worst on, and of each class."""
        run, pairs = self._run, self._held_out
        segment = segmenter(load_model(run.best_model))
        draw_predictions(run.predictions, predicted_samples(segment, pairs, self._pictured), pairs.classes)
        draw_evaluation(run.root, segment, pairs, run.read_metrics(), PICTURED_IMAGES)


class UnwrittenReport:
    """What `RunReport` is for workers beside the chief, who alone writes."""

    def add_epoch(self, row: dict[str, float], figures: dict, *_) -> dict[str, float]:
        """Returns the whole row."""
        return {**row, **_held_out_columns(figures)}

    def draw_curves(self) -> None:
        """Draws nothing."""

    def draw_pictures(self) -> None:
        """Draws nothing."""


def _held_out_columns(figures: dict) -> dict[str, float]:
    """Returns the held-out columns of the history.

    Where there was no valid pixel to measure on, the metrics are 0; the IoU of a class neither in the truth nor
    predicted is NaN.
    """
    names = ("pixel_accuracy", "mean_accuracy", "mean_iou", "frequency_weighted_iou")
    columns = {f"val_{name}": figures[name] or 0.0 for name in names}
    ious = {name: float("nan") if value is None else value for name, value in figures["iou"].items()}
    return {**columns, **{f"val_iou/{name}": value for name, value in ious.items()}}
