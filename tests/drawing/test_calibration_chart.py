"""The points of the calibration chart: where they lie, worked by hand."""

import numpy as np

from keras_fcn.drawing.calibration import Curve, Reliability


def test_points_are_of_bins_that_do_not_tell_by_chance():
    bins = np.array([[0, 0, 0], [2, 0.6, 2], [100, 55, 40], [400, 380, 390]], float)
    confidence, accuracy = Reliability(bins, 0.1).points
    assert (confidence.tolist(), accuracy.tolist()) == ([0.55, 0.95], [0.4, 0.975])
    few = Reliability(bins[:2], 0.1).points
    assert [values.tolist() for values in few] == [[0.3], [1.0]]
    assert [len(values) for values in Reliability(np.zeros((3, 3)), np.nan).points] == [0, 0]


def test_the_best_threshold_is_a_point_of_the_curve():
    recall, precision = np.linspace(1, 0, 5), np.linspace(0.2, 1, 5)
    assert Curve(precision, recall, 0.5, 0.75).best == (0.25, precision[3])
