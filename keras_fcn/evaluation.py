"""Metrics of a model over whole images."""

from __future__ import annotations

import textwrap
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from keras_fcn.datasets import Pairs
from keras_fcn.errors import UserError
from keras_fcn.labels import ClassTable
from keras_fcn.metrics import SegmentationMetrics, confusion_matrix
from keras_fcn.pipeline import evaluation_dataset, explain_failure
from keras_fcn.text_table import display_width, left_justified
from keras_fcn.workers import Workers


def evaluate(
    segment: Callable[[tf.Tensor], tf.Tensor],
    pairs: Pairs,
    after_image: Callable[[], None] = lambda: None,
    workers: Workers | None = None,
) -> dict:
    """Measures a model on every pair, each at its own size. Of a prediction nothing is kept but its counts.

    Args:
        segment: Takes images uint8 [N, H, W, 3], returns class ids uint8 [N, H, W].
        pairs: What to measure on.
        after_image: Is called after each image.
        workers: Share the pairs out among themselves; `after_image` is called equally often in each.

    Returns:
        `SegmentationMetrics.to_dict` of the sum of the images' confusion matrices; "images", how many they were;
        "confusion_matrix", that sum (rows are true classes); "image_mean_iou", the mean IoU of each image alone by its
        name in `Pairs.names`, None where it has no valid pixel.

    Raises:
        UserError: If a pair cannot be read.
    """
    names, workers = pairs.classes.names, workers or Workers()
    share = pairs.share(workers.index, workers.count)
    total = np.zeros([len(names)] * 2, np.int64)
    ious = np.zeros(len(pairs))
    with explain_failure(share):
        for number, (images, labels) in enumerate(evaluation_dataset(share) if len(share) else ()):
            matrix = confusion_matrix(labels.numpy(), np.asarray(segment(images)), len(names))
            ious[workers.index + number * workers.count] = SegmentationMetrics.from_confusion_matrix(matrix).mean_iou
            total += matrix
            if number < len(pairs) // workers.count:
                after_image()
    total, ious = workers.total(total), workers.total(ious)
    return {
        **SegmentationMetrics.from_confusion_matrix(total).to_dict(names),
        "images": len(pairs),
        "confusion_matrix": total.tolist(),
        "image_mean_iou": {name: None if np.isnan(iou) else iou for name, iou in zip(pairs.names, ious.tolist())},
    }


def require_same_classes(model: ClassTable, data: ClassTable) -> None:
    """Raises UserError if a model's class names are not those of the data it is to be measured on."""
    if model.names != data.names:
        index = next(
            (i for i, pair in enumerate(zip(model.names, data.names)) if pair[0] != pair[1]),
            min(model.num_classes, data.num_classes),
        )
        names = [table.names[index] if index < table.num_classes else "missing" for table in (model, data)]
        raise UserError(
            f"the model has {model.num_classes} classes, the data {data.num_classes}: class {index} is "
            f"{names[0]!r} in the model and {names[1]!r} in the data; use data with the model's classes"
        )


def format_metrics(figures: dict) -> str:
    """Returns what `evaluate` returned as a table in plain text, in percent."""
    measured = {name: value for name, value in figures["iou"].items() if value is not None}
    titles = {
        "mean_iou": "mean IoU",
        "pixel_accuracy": "pixel accuracy",
        "mean_accuracy": "mean accuracy",
        "frequency_weighted_iou": "frequency-weighted IoU",
    }
    width = max(display_width(text) for text in (*measured, *titles.values())) + 2
    rows = [f"{'class':<{width}}{'IoU':>6}", "-" * (width + 6)]
    rows += [f"{left_justified(name, width)}{100 * value:6.1f}" for name, value in measured.items()]
    rows += ["-" * (width + 6)]
    rows += [f"{title:<{width}}{_percent(figures[key])}" for key, title in titles.items()]
    rows += [f"Percent, over {figures['images']} whole images; void pixels count nowhere."]
    absent = [name for name in figures["iou"] if name not in measured]
    if absent:
        rows += ["Neither in the truth nor predicted, so in no mean:"]
        rows += textwrap.wrap(", ".join(absent), 78, initial_indent="  ", subsequent_indent="  ")
    return "\n".join(rows)


def _percent(value: float | None) -> str:
    return f"{'-':>6}" if value is None else f"{100 * value:6.1f}"
