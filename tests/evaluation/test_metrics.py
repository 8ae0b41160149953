import math
import tracemalloc

import numpy as np
import pytest

from keras_fcn.evaluation.metrics import SegmentationMetrics, confusion_matrix
from keras_fcn.evaluation.results import Evaluation

#   label        prediction
#   0 0 1 1      0 1 1 1
#   2 2 void 1   2 0 2   3
LABEL = np.array([[0, 0, 1, 1], [2, 2, 255, 1]], np.uint8)
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
    matrix = confusion_matrix(LABEL, PREDICTION, 5)
    assert matrix.dtype == np.int64
    assert matrix.tolist() == MATRIX


def test_metrics_by_hand():
    metrics = SegmentationMetrics.from_confusion_matrix(np.array(MATRIX))
    # Pixels: 2 of class 0, 3 of class 1, 2 of class 2.
    iou = [1 / 3, 2 / 4, 1 / 2, 0.0]
    assert metrics.iou[:4] == pytest.approx(iou)
    assert math.isnan(metrics.iou[4])
    assert metrics.dice[:4] == pytest.approx([2 / 4, 4 / 6, 2 / 3, 0.0])  # 2 hits / (true + predicted)
    assert metrics.precision[:4] == pytest.approx([1 / 2, 2 / 3, 1 / 1, 0 / 1])
    assert metrics.recall[:3] == pytest.approx([1 / 2, 2 / 3, 1 / 2])
    assert np.isnan([metrics.precision[4], metrics.recall[3], metrics.recall[4]]).all()
    assert metrics.pixel_accuracy == pytest.approx(4 / 7)
    assert metrics.mean_accuracy == pytest.approx((1 / 2 + 2 / 3 + 1 / 2) / 3)
    assert metrics.mean_iou == pytest.approx(sum(iou) / 4)
    assert metrics.frequency_weighted_iou == pytest.approx((2 * iou[0] + 3 * iou[1] + 2 * iou[2]) / 7)


def test_matrices_add_up():
    rng = np.random.default_rng(0)
    label, prediction = rng.integers(0, 6, (2, 4, 30, 20))
    parts = sum(confusion_matrix(one, other, 6) for one, other in zip(label, prediction))
    np.testing.assert_array_equal(confusion_matrix(label, prediction, 6), parts)
    assert parts.sum() == label.size


def in_json(matrix, names):
    """The metrics alone."""
    others = ("images", "confusion_matrix", "image_mean_iou")
    return {key: value for key, value in Evaluation(names, 1, matrix, {}).to_json().items() if key not in others}


def test_absent_classes_are_none_in_json_and_in_no_mean():
    results = in_json(np.diag([5, 0, 5]), ("sky", "tree", "road"))
    assert results == {
        "pixel_accuracy": 1.0,
        "mean_accuracy": 1.0,
        "mean_iou": 1.0,
        "frequency_weighted_iou": 1.0,
        **{key: {"sky": 1.0, "tree": None, "road": 1.0} for key in ("iou", "precision", "recall")},
    }


def test_a_calibration_is_in_json_under_its_classes():
    class Known:
        def to_json(self, names):
            return {"ece": dict.fromkeys(names, 0.5)}

    evaluation = Evaluation(("sky", "road"), 1, np.eye(2, dtype=int), {}, calibration=Known())
    assert evaluation["calibration"] == {"ece": {"sky": 0.5, "road": 0.5}}
    assert evaluation.trimap is None


def test_nothing_but_void_has_no_metrics():
    matrix = confusion_matrix(np.full((3, 3), 255, np.uint8), np.zeros((3, 3), np.uint8), 2)
    with np.errstate(invalid="raise"):  # which is nothing to warn of
        results = in_json(matrix, ("a", "b"))
    for name in ("iou", "precision", "recall"):
        assert set(results.pop(name).values()) == {None}
    assert set(results.values()) == {None}


def metrics_by_loops(images, num_classes):
    """Every metric of pixels counted one by one, in Python's integers, as the FCN paper defines them.

    The IoU is VOC's devkit's: accuracies(j) = gtjresj / (gtj + resj - gtjresj), of pixels that are not void.
    """
    counts = [[0] * num_classes for _ in range(num_classes)]
    for label, prediction in images:
        for true, predicted in zip(label.ravel().tolist(), prediction.ravel().tolist()):
            if true < 255:
                counts[true][predicted] += 1
    total = sum(map(sum, counts))
    iou, precision, recall, weighted = [], [], [], 0.0
    for j in range(num_classes):
        gtj, resj, gtjresj = sum(counts[j]), sum(row[j] for row in counts), counts[j][j]
        iou.append(gtjresj / (gtj + resj - gtjresj) if gtj + resj else None)
        precision.append(gtjresj / resj if resj else None)
        recall.append(gtjresj / gtj if gtj else None)
        weighted += gtj * (iou[-1] or 0)
    known = [[value for value in values if value is not None] for values in (iou, recall)]
    return counts, {
        "pixel_accuracy": sum(counts[j][j] for j in range(num_classes)) / total if total else None,
        "mean_accuracy": sum(known[1]) / len(known[1]) if known[1] else None,
        "mean_iou": sum(known[0]) / len(known[0]) if known[0] else None,
        "frequency_weighted_iou": weighted / total if total else None,
        "iou": dict(enumerate(iou)),
        "precision": dict(enumerate(precision)),
        "recall": dict(enumerate(recall)),
    }


def test_thousands_of_random_cases_equal_the_definitions():
    """With void, with absent classes, with classes that are only predicted, and with nothing but void."""
    rng = np.random.default_rng(0)
    for case in range(3000):
        num_classes = int(rng.integers(1, 7))
        present = rng.permutation(num_classes)[: rng.integers(1, num_classes + 1)]
        images = []
        for _ in range(rng.integers(1, 4)):
            shape = tuple(rng.integers(1, 6, 2))
            label = rng.choice(present, shape).astype(np.uint8)
            label[rng.random(shape) < (0, 0.3, 1)[case % 3]] = 255
            images.append((label, rng.integers(0, num_classes, shape).astype(np.uint8)))
        matrix = sum(confusion_matrix(*image, num_classes) for image in images)
        counts, expected = metrics_by_loops(images, num_classes)
        assert matrix.tolist() == counts
        received = in_json(matrix, tuple(range(num_classes)))
        assert set(received) == set(expected)
        for name, value in expected.items():
            assert received[name] == pytest.approx(value, abs=1e-12), (case, name)


def test_it_is_the_arithmetic_of_voc_devkit():
    """VOCevalseg, line by line: sumim = 1 + gtim + resim * num; histc(sumim(locs), 1 : num * num)."""
    rng = np.random.default_rng(1)
    num, confcounts = 21, np.zeros((21, 21))
    total = np.zeros((21, 21), np.int64)
    for _ in range(5):
        gtim, resim = rng.integers(0, 21, (30, 40)), rng.integers(0, 21, (30, 40))
        gtim[rng.random(gtim.shape) < 0.1] = 255
        total += confusion_matrix(gtim.astype(np.uint8), resim.astype(np.uint8), num)
        locs = gtim < 255
        sumim = 1 + gtim + resim * num
        histogram, _ = np.histogram(sumim[locs], np.arange(1, num * num + 2))
        confcounts += histogram.reshape((num, num), order="F")  # MATLAB fills columns first
    accuracies = np.zeros(num)
    for j in range(num):
        gtj, resj, gtjresj = confcounts[j].sum(), confcounts[:, j].sum(), confcounts[j, j]
        accuracies[j] = 100 * gtjresj / (gtj + resj - gtjresj)
    metrics = SegmentationMetrics.from_confusion_matrix(total)
    np.testing.assert_allclose(100 * np.array(metrics.iou), accuracies)
    assert 100 * metrics.mean_iou == pytest.approx(accuracies.mean())


def test_a_raster_is_counted_in_little_memory():
    """Four pixels in nine million, in the corners; less than half of what an int64 for each would take."""
    label, prediction = np.zeros((3000, 3000), np.uint8), np.zeros((3000, 3000), np.uint8)
    label[0, 0], label[-1, 0], prediction[0, -1], label[-1, -1] = 1, 255, 1, 1
    prediction[-1, -1] = 1
    tracemalloc.start()
    matrix = confusion_matrix(label, prediction, 2)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert matrix.tolist() == [[9_000_000 - 4, 1], [1, 1]]
    assert peak < 4 * label.size
