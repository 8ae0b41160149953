"""Metrics of a model over whole images."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
import tensorflow as tf

from keras_fcn.datasets import Pairs
from keras_fcn.errors import UserError
from keras_fcn.evaluation.metrics import SegmentationMetrics, confusion_matrix
from keras_fcn.evaluation.trimap import trimap
from keras_fcn.images.classes import ClassTable
from keras_fcn.pipeline.batches import evaluation_dataset, explain_failure


class Workers(Protocol):
    """The processes that share out the pairs; `training.distributed.workers` has those of a cluster.

    Attributes:
        count: How many there are.
        index: Which one this is, from 0.
    """

    count: int
    index: int

    def total(self, values: np.ndarray) -> np.ndarray:
        """Returns the sum over all workers of arrays of one shape and dtype."""


class _Alone:
    """This process, which measures all pairs."""

    count, index = 1, 0

    def total(self, values: np.ndarray) -> np.ndarray:
        return values


def evaluate(
    segment: Callable[[tf.Tensor], tf.Tensor],
    pairs: Pairs,
    after_image: Callable[[], object] = lambda: None,
    workers: Workers | None = None,
    trimap_width: int = 0,
) -> dict:
    """Measures a model on every pair, each at its own size. Of a prediction nothing is kept but its counts.

    Args:
        segment: Takes images uint8 [N, H, W, 3], returns class ids uint8 [N, H, W].
        pairs: What to measure on.
        after_image: Is called after each image.
        workers: Share the pairs out among themselves; `after_image` is called equally often in each.
        trimap_width: To measure in the band of so many pixels around true boundaries, too; 0 for not.

    Returns:
        `SegmentationMetrics.to_dict` of the sum of the images' confusion matrices; "images", how many they were;
        "confusion_matrix", that sum (rows are true classes); "image_mean_iou", the mean IoU of each image alone by its
        name in `Pairs.names`, None where it has no valid pixel; with a trimap, "trimap": its "width", and the
        "pixel_accuracy", "mean_iou" and "iou" in it.

    Raises:
        UserError: If a pair cannot be read.
    """
    names = pairs.classes.names
    workers = workers or _Alone()
    share = pairs.share(workers.index, workers.count)
    total, near = np.zeros((2, len(names), len(names)), np.int64)
    ious = np.zeros(len(pairs))
    with explain_failure(share):
        for number, (images, labels) in enumerate(evaluation_dataset(share) if len(share) else ()):
            truth, prediction = labels.numpy(), np.asarray(segment(images))
            matrix = confusion_matrix(truth, prediction, len(names))
            ious[workers.index + number * workers.count] = SegmentationMetrics.from_confusion_matrix(matrix).mean_iou
            total += matrix
            if trimap_width:
                near += confusion_matrix(trimap(truth[0], trimap_width), prediction[0], len(names))
            if number < len(pairs) // workers.count:
                after_image()
    total, near, ious = workers.total(total), workers.total(near), workers.total(ious)
    return {
        **SegmentationMetrics.from_confusion_matrix(total).to_dict(names),
        "images": len(pairs),
        "confusion_matrix": total.tolist(),
        "image_mean_iou": {name: None if np.isnan(iou) else iou for name, iou in zip(pairs.names, ious.tolist())},
        **({"trimap": _in_trimap(near, trimap_width, names)} if trimap_width else {}),
    }


def _in_trimap(matrix: np.ndarray, width: int, names: tuple[str, ...]) -> dict:
    figures = SegmentationMetrics.from_confusion_matrix(matrix).to_dict(names)
    return {"width": width, **{name: figures[name] for name in ("pixel_accuracy", "mean_iou", "iou")}}


def worst_images(figures: dict, count: int) -> list[tuple[str, float]]:
    """Returns name and mean IoU of the images with the lowest, the lowest first, of what `evaluate` returned."""
    measured = [(name, iou) for name, iou in figures["image_mean_iou"].items() if iou is not None]
    return sorted(measured, key=lambda item: item[1])[:count]


def require_same_classes(model: ClassTable, data: ClassTable, name: str = "the model") -> None:
    """Raises UserError if a model's class names are not those of the data it is to be measured on.

    Args:
        model: Its classes.
        data: Those of the data.
        name: What the model is called in the complaint.
    """
    if model.names != data.names:
        index = next(
            (i for i, pair in enumerate(zip(model.names, data.names)) if pair[0] != pair[1]),
            min(model.num_classes, data.num_classes),
        )
        names = [table.names[index] if index < table.num_classes else "missing" for table in (model, data)]
        raise UserError(
            f"{name} has {model.num_classes} classes, the data {data.num_classes}: class {index} is "
            f"{names[0]!r} in the model and {names[1]!r} in the data; use data with the model's classes"
        )
