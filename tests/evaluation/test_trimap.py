import numpy as np
import pytest

from keras_fcn.evaluation.trimap import trimap


def test_a_boundary_by_hand():
    """A pixel is in the band of 1 if one of its eight neighbours has another label; void is another label, too."""
    v = 255
    label = np.array([[0, 0, 0, 1, 1, 1], [0, 0, 0, 1, 1, 1], [0, 0, 0, 1, 1, v]], np.uint8)
    assert trimap(label, 1).tolist() == [[v, v, 0, 1, v, v], [v, v, 0, 1, 1, 1], [v, v, 0, 1, 1, v]]
    assert trimap(label, 2).tolist() == [[v, 0, 0, 1, 1, 1], [v, 0, 0, 1, 1, 1], [v, 0, 0, 1, 1, v]]


def test_an_image_of_one_label_has_no_boundary():
    assert (trimap(np.full((5, 9), 3, np.uint8), 2) == 255).all()
    assert trimap(np.zeros((1, 1), np.uint8), 1).tolist() == [[255]]


@pytest.mark.parametrize("width", [1, 2, 3, 10])
def test_random_labels_against_a_loop_over_windows(width):
    rng = np.random.default_rng(width)
    for _ in range(60):
        coarse = rng.choice([0, 1, 2, 255], rng.integers(1, 4, 2), p=[0.5, 0.2, 0.2, 0.1])
        label = np.kron(coarse, np.ones(rng.integers(1, 8, 2), int)).astype(np.uint8)
        expected = np.full(label.shape, 255)
        for y, x in np.ndindex(*label.shape):
            window = label[max(y - width, 0) : y + width + 1, max(x - width, 0) : x + width + 1]
            if (window != label[y, x]).any():
                expected[y, x] = label[y, x]
        received = trimap(label, width)
        assert received.dtype == np.uint8
        np.testing.assert_array_equal(received, expected)
