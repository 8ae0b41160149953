"""Evaluating a model on whole images."""

from __future__ import annotations

import collections
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol

import numpy as np

from keras_fcn.datasets import Pairs
from keras_fcn.errors import UserError, argument
from keras_fcn.evaluation.calibration import Calibrator
from keras_fcn.evaluation.metrics import SegmentationMetrics, TrimapMetrics, confusion_matrix
from keras_fcn.evaluation.results import Evaluation
from keras_fcn.evaluation.trimap import trimap
from keras_fcn.images.classes import ClassTable
from keras_fcn.images.photos import read_image
from keras_fcn.inference.arrays import Array
from keras_fcn.inference.large import within_memory
from keras_fcn.inference.predictor import Predictor


class Workers(Protocol):
    """The processes that the pairs are sharded over; `training.distributed.workers` has those of a cluster.

    Attributes:
        count: Number of processes.
        index: Index of this process, from 0.
    """

    count: int
    index: int

    def total(self, values: np.ndarray) -> np.ndarray:
        """Returns the sum over all workers of arrays of one shape and dtype."""


class _Alone:
    """This process, which evaluates all pairs."""

    count, index = 1, 0

    def total(self, values: np.ndarray) -> np.ndarray:
        return values


def evaluate(
    segment: Callable[[Array], Array],
    pairs: Pairs,
    after_image: Callable[[], object] = lambda: None,
    workers: Workers | None = None,
    trimap_width: int = 0,
    calibrated: Predictor | None = None,
) -> Evaluation:
    """Evaluates a model on every pair, each at its own size. Only the counts of a prediction are kept.

    Args:
        segment: Takes images uint8 [N, H, W, 3], returns class ids uint8 [N, H, W].
        pairs: Images and their ground truth.
        after_image: Called after each image.
        workers: The processes that the pairs are sharded over; `after_image` is called equally often in each.
        trimap_width: Pixels on either side of true boundaries for the trimap metrics; 0 for none.
        calibrated: The predictor that segments, if its probabilities are to be counted, too: by this process alone.

    Returns:
        The metrics, from the sum of the images' confusion matrices.

    Raises:
        UserError: If a pair cannot be read.
    """
    names = pairs.classes.names
    workers = workers or _Alone()
    shard = pairs.shard(workers.index, workers.count)
    total, near = np.zeros((2, len(names), len(names)), np.int64)
    ious = np.zeros(len(pairs))
    calibrator = Calibrator(len(names), len(pairs)) if calibrated else None
    for number, (images, label) in enumerate(_samples(shard)):
        height, width = images.shape[1:3]
        with within_memory(f"an image of {height}x{width} pixels", "evaluate.py --tile 512 512 takes less"):
            prediction = _counted(calibrated, calibrator, images, label) if calibrated else segment(images)
            prediction = np.asarray(prediction)
        matrix = confusion_matrix(label, prediction, len(names))
        ious[workers.index + number * workers.count] = SegmentationMetrics.from_confusion_matrix(matrix).mean_iou
        total += matrix
        if trimap_width:
            near += confusion_matrix(trimap(label[0], trimap_width), prediction[0], len(names))
        if number < len(pairs) // workers.count:
            after_image()
    total, near, ious = workers.total(total), workers.total(near), workers.total(ious)
    return Evaluation(
        class_names=names,
        num_images=len(pairs),
        confusion_matrix=total,
        image_mean_iou=dict(zip(pairs.names, ious.tolist())),
        trimap=_trimap_metrics(near, trimap_width) if trimap_width else None,
        calibration=calibrator.result() if calibrator else None,
    )


def _samples(pairs: Pairs) -> Iterator[tuple[Array, np.ndarray]]:
    """Yields images uint8 [1, H, W, 3] and labels uint8 [1, H, W]: of `tf.data`, or of Pillow without TensorFlow.

    Both decode to the same bytes.

    Raises:
        UserError: If a pair cannot be read.
    """
    if sys.modules.get("tensorflow") is None:
        yield from _read_ahead(pairs)
    elif len(pairs):
        from keras_fcn.pipeline.batches import evaluation_dataset, explain_failure

        with explain_failure(pairs):
            for images, labels in evaluation_dataset(pairs):
                yield images, labels.numpy()


def _read_ahead(pairs: Pairs) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    def read(index: int) -> tuple[np.ndarray, np.ndarray]:
        return read_image(pairs.images[index], pairs.channels)[None], pairs.read_label(pairs.labels[index])[None]

    waiting: collections.deque[Future] = collections.deque()
    with ThreadPoolExecutor(2) as threads:
        for index in range(len(pairs)):
            waiting.append(threads.submit(read, index))
            if len(waiting) > 2:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _counted(predictor: Predictor, calibrator: Calibrator | None, images: Array, label: np.ndarray) -> Array:
    """Returns the class ids of an image, uint8 [1, H, W], after counting its probabilities."""
    assert calibrator is not None
    limits, score = predictor.limits, predictor.score
    if limits is not None and images.shape[1] * images.shape[2] > limits.most_pixels:
        score = limits.tiled(score).probabilities
    probabilities = score(images)
    calibrator.add(label[0], np.asarray(probabilities)[0])
    return predictor.decide(probabilities)


def _trimap_metrics(matrix: np.ndarray, width: int) -> TrimapMetrics:
    metrics = SegmentationMetrics.from_confusion_matrix(matrix)
    return TrimapMetrics(width, metrics.pixel_accuracy, metrics.mean_iou, metrics.iou)


def require_same_classes(
    model: ClassTable, data: ClassTable, name: str = "the model", takes_wanted: bool = False
) -> None:
    """Raises UserError if a model and the data to evaluate it on have different class names.

    Args:
        model: The model's classes.
        data: The data's classes.
        name: The model's name in the error message.
        takes_wanted: Whether the data's classes can be made others where this is called.
    """
    if model.names != data.names:
        index = next(
            (i for i, pair in enumerate(zip(model.names, data.names)) if pair[0] != pair[1]),
            min(model.num_classes, data.num_classes),
        )
        options = ", ".join(argument(option) for option in ("merge", "ignore_classes", "drop"))
        made = f", or make them so: {options}" if takes_wanted else ""
        names = [table.names[index] if index < table.num_classes else "missing" for table in (model, data)]
        raise UserError(
            f"{name} has {model.num_classes} classes, the data {data.num_classes}: class {index} is "
            f"{names[0]!r} in the model and {names[1]!r} in the data; use data with the model's classes{made}"
        )
