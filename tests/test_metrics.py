import math

import numpy as np
import pytest

from keras_fcn.metrics import SegmentationMetrics, confusion_matrix

#   truth        prediction
#   0 0 1 1      0 1 1 1
#   2 2 void 1   2 0 2   3
TRUTH = np.array([[0, 0, 1, 1], [2, 2, 255, 1]], np.uint8)
PREDICTION = np.array([[0, 1, 1, 1], [2, 0, 2, 3]], np.uint8)
MATRIX = [
    # predicted 0, 1, 2, 3, 4
    [1, 1, 0, 0, 0],
    [0, 2, 0, 1, 0],
    [1, 0, 1, 0, 0],
    [0, 0, 0, 0, 0],  # class 3 is predicted once, never true: IoU 0
    [0, 0, 0, 0, 0],  # class 4 is in neither: no IoU
]


def test_confusion_matrix_by_hand():
    matrix = confusion_matrix(TRUTH, PREDICTION, 5)
    assert matrix.dtype == np.int64
    assert matrix.tolist() == MATRIX


def test_metrics_by_hand():
    metrics = SegmentationMetrics.from_confusion_matrix(np.array(MATRIX))
    # Pixels: 2 of class 0, 3 of class 1, 2 of class 2.
    iou = [1 / 3, 2 / 4, 1 / 2, 0.0]
    assert metrics.iou[:4] == pytest.approx(iou)
    assert math.isnan(metrics.iou[4])
    assert metrics.pixel_accuracy == pytest.approx(4 / 7)
    assert metrics.mean_accuracy == pytest.approx((1 / 2 + 2 / 3 + 1 / 2) / 3)
    assert metrics.mean_iou == pytest.approx(sum(iou) / 4)
    assert metrics.frequency_weighted_iou == pytest.approx((2 * iou[0] + 3 * iou[1] + 2 * iou[2]) / 7)


def test_matrices_add_up():
    rng = np.random.default_rng(0)
    truth, prediction = rng.integers(0, 6, (2, 4, 30, 20))
    parts = sum(confusion_matrix(one, other, 6) for one, other in zip(truth, prediction))
    np.testing.assert_array_equal(confusion_matrix(truth, prediction, 6), parts)
    assert parts.sum() == truth.size


def test_absent_classes_are_none_in_json_and_in_no_mean():
    figures = SegmentationMetrics.from_confusion_matrix(np.diag([5, 0, 5])).to_dict(("sky", "tree", "road"))
    assert figures == {
        "pixel_accuracy": 1.0,
        "mean_accuracy": 1.0,
        "mean_iou": 1.0,
        "frequency_weighted_iou": 1.0,
        "iou": {"sky": 1.0, "tree": None, "road": 1.0},
    }


def test_nothing_but_void_has_no_figures():
    matrix = confusion_matrix(np.full((3, 3), 255, np.uint8), np.zeros((3, 3), np.uint8), 2)
    figures = SegmentationMetrics.from_confusion_matrix(matrix).to_dict(("a", "b"))
    assert set(figures.pop("iou").values()) | set(figures.values()) == {None}
