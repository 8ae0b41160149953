"""The four metrics of the FCN paper, and IoU, precision and recall per class, from one confusion matrix."""

from __future__ import annotations

import dataclasses

import numpy as np

from keras_fcn.images.classes import VOID_LABEL

_AT_ONCE = 1 << 20
"""Pixels that are counted at once: they take 25 bytes each on the way, and a raster has hundreds of millions."""


def confusion_matrix(label: np.ndarray, prediction: np.ndarray, num_classes: int) -> np.ndarray:
    """Counts pixels by true class (rows) and predicted class (columns); void pixels are left out.

    Args:
        label: Ground truth, integers [...], class ids or 255.
        prediction: Class ids of the same shape.
        num_classes: Background included.

    Returns:
        int64 [num_classes, num_classes]. Matrices of several images may be added up.
    """
    matrix = np.zeros(num_classes**2, np.int64)
    label, prediction = label.reshape(-1), prediction.reshape(-1)
    for first in range(0, label.size, _AT_ONCE):
        some, predicted = label[first : first + _AT_ONCE], prediction[first : first + _AT_ONCE]
        valid = some != VOID_LABEL
        pairs = num_classes * some[valid].astype(np.int64) + predicted[valid]
        matrix += np.bincount(pairs, minlength=num_classes**2)
    return matrix.reshape(num_classes, num_classes)


@dataclasses.dataclass(frozen=True)
class SegmentationMetrics:
    """Metrics from a confusion matrix, each in 0-1 (Long, Shelhamer, Darrell, CVPR 2015, section 5).

    Attributes:
        pixel_accuracy: Fraction of the pixels whose class is right.
        mean_accuracy: Mean of `recall` over the classes in the ground truth.
        mean_iou: Mean of `iou` over the classes that have one.
        frequency_weighted_iou: Mean of `iou`, weighted by the fraction of ground truth pixels of each class.
        iou: Per class: intersection over union; NaN for a class in neither ground truth nor prediction, as in VOC's
            devkit (`VOCevalseg`).
        precision: Per class: fraction of the pixels predicted as it that are of it; NaN if it was never predicted.
        recall: Per class: fraction of its pixels that were predicted as it; NaN if it is not in the ground truth.
    """

    pixel_accuracy: float
    mean_accuracy: float
    mean_iou: float
    frequency_weighted_iou: float
    iou: tuple[float, ...]
    precision: tuple[float, ...]
    recall: tuple[float, ...]

    @property
    def dice(self) -> tuple[float, ...]:
        """Returns 2 IoU / (1 + IoU) of each class, which is its Dice coefficient, or F1 score; NaN as `iou` is."""
        return tuple(2 * iou / (1 + iou) for iou in self.iou)

    @classmethod
    def from_confusion_matrix(cls, matrix: np.ndarray) -> SegmentationMetrics:
        """Computes the metrics from [true class, predicted class] pixel counts; NaN where no pixel was counted."""
        hits, true, predicted = matrix.diagonal(), matrix.sum(axis=1), matrix.sum(axis=0)
        with np.errstate(invalid="ignore"):
            iou = hits / (true + predicted - hits)
            recall = hits / true
            total = np.float64(matrix.sum())
            return cls(
                pixel_accuracy=float(hits.sum() / total),
                mean_accuracy=_mean_of_numbers(recall),
                mean_iou=_mean_of_numbers(iou),
                frequency_weighted_iou=float(np.nansum(true * iou) / total),
                iou=tuple(iou.tolist()),
                precision=tuple((hits / predicted).tolist()),
                recall=tuple(recall.tolist()),
            )


@dataclasses.dataclass(frozen=True)
class TrimapMetrics:
    """Metrics of the pixels near true boundaries, each in 0-1.

    Attributes:
        width: Width of the band on either side of a boundary, in pixels.
        pixel_accuracy: Fraction of the band's pixels whose class is right.
        mean_iou: Mean of `iou` over the classes that have one.
        iou: Per class, as in `SegmentationMetrics`.
    """

    width: int
    pixel_accuracy: float
    mean_iou: float
    iou: tuple[float, ...]


def _mean_of_numbers(values: np.ndarray) -> float:
    numbers = values[~np.isnan(values)]
    return float(numbers.mean()) if numbers.size else float("nan")
