"""How far probabilities can be trusted: calibration, temperature, and curves of precision and recall."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np

from keras_fcn.images.classes import VOID_LABEL
from keras_fcn.inference.arrays import softmax_at

BINS = 15
"""Bins of confidence, of equal width, as in Guo et al., ICML 2017, section 2."""

STEPS = 1000
"""Thresholds at which precision and recall are computed: k / 1000."""

TENTHS = 10
"""The parts of the images, each without which thresholds are chosen to tell how much depends on chance."""

_SAMPLES = 200_000
"""Pixels that a temperature is fitted on, spread over all images."""

_LEAST, _MOST, _SECTIONS = 0.05, 20.0, 40
"""The range of temperatures, and how often it is narrowed to 0.618 of its logarithm."""


@dataclasses.dataclass(frozen=True, eq=False)
class Calibration:
    """How far a model's probabilities can be trusted.

    Attributes:
        ece: Expected calibration error, 0-1: over the pixels, the mean of |accuracy - confidence| of their bin.
        bins: Pixels, sum of confidence, and correct pixels of each bin, float64 [15, 3].
        temperature: The temperature by which logits have to be divided for the least negative log-likelihood.
        tempered_bins: The same as `bins` at that temperature, of the sampled pixels.
        precision: Of each class at the thresholds k / 1000, float64 [C, 1001]; NaN where it is never predicted.
        recall: The same; NaN for classes that are not in the ground truth.
        shown: Images and pixels of the ground truth that show each class, int64 [C, 2].
        spread: The lowest and the highest of the best thresholds without one tenth of the images each, float64 [C, 2];
            NaN for a class that a single tenth shows.
        checked_dice: The Dice of each class, each tenth of the images by the best threshold of the others, float64 [C].
    """

    ece: float
    bins: np.ndarray
    temperature: float
    tempered_bins: np.ndarray
    precision: np.ndarray
    recall: np.ndarray
    shown: np.ndarray
    spread: np.ndarray
    checked_dice: np.ndarray

    @property
    def tempered_ece(self) -> float:
        """Returns the expected calibration error that the temperature would leave, of the sampled pixels."""
        return expected_calibration_error(self.tempered_bins)

    @property
    def average_precision(self) -> np.ndarray:
        """Returns the sum of precision times gain in recall of each class, float64 [C]; NaN if it is not there."""
        gains = -np.diff(self.recall, axis=1, append=0)
        return (np.nan_to_num(self.precision) * gains).sum(axis=1)

    @property
    def dice(self) -> np.ndarray:
        """Returns 2 PR / (P + R) of each class at each threshold, float64 [C, 1001]; NaN for classes not there."""
        with np.errstate(invalid="ignore", divide="ignore"):
            dice = 2 * self.precision * self.recall / (self.precision + self.recall)
        return np.where(np.isnan(self.recall), np.nan, np.nan_to_num(dice))

    @property
    def best_dice(self) -> np.ndarray:
        """Returns the Dice of each class at its best threshold, float64 [C]; NaN if it is not there."""
        return np.nan_to_num(self.dice, nan=-1.0).max(axis=1) + 0 * self.recall[:, 0]

    @property
    def thresholds(self) -> np.ndarray:
        """Returns the threshold of each class, above 0, at which its Dice is highest, float64 [C]; NaN if not there.

        Its IoU, Dice / (2 - Dice), is highest there, too.
        """
        best = (1 + np.nan_to_num(self.dice[:, 1:], nan=-1.0).argmax(axis=1)) / STEPS
        return np.where(np.isnan(self.recall[:, 0]), np.nan, best)

    def to_json(self, names: tuple[str, ...]) -> dict[str, Any]:
        """Returns the values for metrics.json, those of classes by name; None instead of NaN."""

        def by_name(values: np.ndarray) -> dict[str, float | None]:
            return {name: None if math.isnan(value) else value for name, value in zip(names, values.tolist())}

        errors = (None if math.isnan(value) else value for value in (self.ece, self.tempered_ece))
        return {
            **dict(zip(("expected_calibration_error", "expected_calibration_error_at_temperature"), errors)),
            "temperature": self.temperature,
            "average_precision": by_name(self.average_precision),
            "threshold": by_name(self.thresholds),
            "dice_at_threshold": by_name(self.best_dice),
            "lowest_threshold": by_name(self.spread[:, 0]),
            "highest_threshold": by_name(self.spread[:, 1]),
            "dice_cross_validated": by_name(self.checked_dice),
        }


class Calibrator:
    """Counts probabilities image by image.

    Args:
        num_classes: Background included.
        num_images: Number of images, over which the pixels for the temperature are spread.
    """

    def __init__(self, num_classes: int, num_images: int) -> None:
        self._each = max(1, _SAMPLES // max(num_images, 1))
        self._bins = np.zeros((BINS, 3))
        self._counts = np.zeros((TENTHS, num_classes, STEPS + 1, 2), np.int64)  # by threshold, wrong and right
        self._shown = np.zeros((num_classes, 2), np.int64)
        self._number = 0
        self._logs: list[np.ndarray] = []
        self._labels: list[np.ndarray] = []

    def add(self, label: np.ndarray, probabilities: np.ndarray) -> None:
        """Adds an image.

        Args:
            label: Ground truth uint8 [H, W], class ids or 255.
            probabilities: float32 [H, W, C].
        """
        valid = label != VOID_LABEL
        truth, values = label[valid].astype(np.int64), probabilities[valid]
        self._bins += _binned(values, truth)
        pixels = np.bincount(truth, minlength=len(self._shown))
        self._shown += np.stack([pixels > 0, pixels], axis=1)
        for index, counts in enumerate(self._counts[self._number % TENTHS]):
            steps = np.minimum((values[:, index] * STEPS).astype(np.int64), STEPS)
            counts += np.bincount(2 * steps + (truth == index), minlength=counts.size).reshape(counts.shape)
        chosen = np.linspace(0, len(truth) - 1, min(self._each, len(truth))).astype(np.int64)
        self._logs.append(np.log(np.maximum(values[chosen], np.finfo(np.float32).tiny)))
        self._labels.append(truth[chosen])
        self._number += 1

    def result(self) -> Calibration:
        """Returns what was counted."""
        logs, labels = np.concatenate(self._logs), np.concatenate(self._labels)
        temperature = fitted_temperature(logs, labels)
        tempered = softmax_at(temperature, logs)
        counts = self._counts[: max(1, self._number), :, ::-1].cumsum(axis=2)[
            :, :, ::-1
        ]  # at each threshold, and above
        wrong, right = np.moveaxis(counts.sum(axis=0), 2, 0)
        with np.errstate(invalid="ignore"):
            precision, recall = right / (right + wrong), right / right[:, :1]
        return Calibration(
            expected_calibration_error(self._bins), self._bins, temperature,
            _binned(tempered, labels), precision, recall, self._shown,
            *_cross_validated(counts),
        )  # fmt: skip


def _cross_validated(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns `spread` and `checked_dice` of a `Calibration`.

    Args:
        counts: Of each tenth and class, the wrong and the right pixels at each threshold, int64 [T, C, 1001, 2].
    """
    total = counts.sum(axis=0)
    truth = total[:, 0, 1]
    best = np.full(counts.shape[:2], np.nan)
    hits = np.zeros((len(total), 2), np.int64)
    for tenth, own in enumerate(counts):
        others = total - own
        sums = others.sum(axis=2) + others[:, :1, 1]
        chosen = 1 + (2 * others[:, 1:, 1] / np.maximum(sums[:, 1:], 1)).argmax(axis=1)
        best[tenth] = np.where(others[:, 0, 1] > 0, chosen / STEPS, np.nan)
        hits += own[np.arange(len(own)), chosen]
    is_there = ~np.isnan(best).any(axis=0)
    spread = np.stack([best.min(axis=0), best.max(axis=0)], axis=1)
    dice = 2 * hits[:, 1] / np.maximum(hits.sum(axis=1) + truth, 1)
    return spread, np.where(is_there, dice, np.nan)


def _binned(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    confidence = probabilities.max(axis=1).astype(np.float64)
    bins = np.clip(np.ceil(confidence * BINS).astype(np.int64) - 1, 0, BINS - 1)
    right = probabilities.argmax(axis=1) == labels
    return np.stack([np.bincount(bins, weights, BINS) for weights in (None, confidence, right)], axis=1)


def expected_calibration_error(bins: np.ndarray) -> float:
    """Returns the mean over pixels of |accuracy - confidence| of their bin, 0-1; NaN without pixels.

    Args:
        bins: Pixels, sum of confidence, and correct pixels of each bin, float64 [bins, 3].
    """
    total = bins[:, 0].sum()
    return float(np.abs(bins[:, 2] - bins[:, 1]).sum() / total) if total else math.nan


def fitted_temperature(logs: np.ndarray, labels: np.ndarray) -> float:
    """Returns the temperature of the least negative log-likelihood, 0.05 to 20, by golden sections; 1 without pixels.

    Args:
        logs: Logits, or logarithms of probabilities, float32 [N, C].
        labels: Class ids, integers [N].
    """
    if not len(labels):
        return 1.0
    own = logs[np.arange(len(labels)), labels].astype(np.float64)

    def loss(log_temperature: float) -> float:
        scaled = logs / math.exp(log_temperature)
        highest = scaled.max(axis=1)
        sums = np.log(np.exp(scaled - highest[:, None]).sum(axis=1, dtype=np.float64)) + highest
        return float((sums - own / math.exp(log_temperature)).mean())

    ratio = (math.sqrt(5) - 1) / 2
    low, high = math.log(_LEAST), math.log(_MOST)
    left, right = high - ratio * (high - low), low + ratio * (high - low)
    at_left, at_right = loss(left), loss(right)
    for _ in range(_SECTIONS):
        if at_left <= at_right:
            high, right, at_right = right, left, at_left
            left = high - ratio * (high - low)
            at_left = loss(left)
        else:
            low, left, at_left = left, right, at_right
            right = low + ratio * (high - low)
            at_right = loss(right)
    return math.exp((low + high) / 2)
