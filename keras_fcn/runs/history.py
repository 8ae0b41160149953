"""The rows of a run's history."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping

_CLASS_IOU = "val_iou/"
"""Columns that hold the IoU of one class begin with this; its name follows."""


@dataclasses.dataclass(frozen=True)
class EpochRow:
    """The results of an epoch; metrics are those of the validation images, in 0-1.

    Attributes:
        epoch: From 1.
        step: Steps since the beginning of the run.
        loss: Mean over the epoch's steps.
        learning_rate: At the end of the epoch.
        seconds: Time of its steps.
        images_per_second: Of training.
        waiting_share: Fraction of the time of the steps that was spent waiting for data.
        val_pixel_accuracy: 0, as the metrics below, if there was no valid pixel.
        val_mean_accuracy: As in `SegmentationMetrics`.
        val_mean_iou: As there.
        val_frequency_weighted_iou: As there.
        val_iou: By class; NaN for a class neither in the ground truth nor predicted.
        val_watched: The metric that makes a model the best; `val_mean_iou` in early runs.
        val_tile: Side in pixels of the tiles in which large validation images were predicted; 0 if all were as a whole.
    """

    epoch: int
    step: int
    loss: float
    learning_rate: float
    seconds: float
    images_per_second: float
    waiting_share: float
    val_pixel_accuracy: float
    val_mean_accuracy: float
    val_mean_iou: float
    val_frequency_weighted_iou: float
    val_iou: Mapping[str, float]
    val_watched: float = math.nan
    val_tile: int = 0

    def __post_init__(self) -> None:
        if math.isnan(self.val_watched):
            object.__setattr__(self, "val_watched", self.val_mean_iou)

    def to_json(self) -> dict[str, float]:
        """Returns the row by the columns of history.csv; the IoU of each class has its own."""
        columns = dataclasses.asdict(self)
        return columns | {f"{_CLASS_IOU}{name}": iou for name, iou in columns.pop("val_iou").items()}

    @classmethod
    def from_json(cls, columns: Mapping[str, str | float]) -> EpochRow:
        """Returns the row whose `to_json` has these columns, with numbers or with their text."""
        values = {"waiting_share": math.nan, "val_tile": 0.0}  # early runs have no such columns
        values |= {name: float(value) for name, value in columns.items()}
        ious = {name: values.pop(name) for name in columns if name.startswith(_CLASS_IOU)}
        return cls(
            epoch=int(values.pop("epoch")),
            step=int(values.pop("step")),
            val_tile=int(values.pop("val_tile")),
            val_iou={name.removeprefix(_CLASS_IOU): iou for name, iou in ious.items()},
            **values,
        )
