import numpy as np
import pytest
import tensorflow as tf

from keras_fcn.datasets.balance import class_weights, repeat_factors
from keras_fcn.training.losses.cross_entropy import summed_cross_entropy

#           sky  cat  dog  never
PIXELS = [
    [90, 10, 0, 0],
    [80, 0, 20, 0],
    [100, 0, 0, 0],
    [96, 4, 0, 0],
]  # fmt: skip


def test_class_weights_by_hand():
    sky, cat, dog = 366 / 400, 14 / 200, 20 / 100  # pixels of the class, of the images that show it
    weights = class_weights(np.array(PIXELS))
    np.testing.assert_allclose(weights, [dog / sky, dog / cat, 1, 1], rtol=1e-6)


def test_weights_are_a_tenth_to_ten():
    np.testing.assert_allclose(class_weights(np.array([[1000, 1000, 1]] * 4)), [1, 1, 10])
    np.testing.assert_allclose(class_weights(np.array([[1000, 10, 10]] * 4)), [0.1, 1, 1])


def test_weights_of_nothing_are_one():
    np.testing.assert_array_equal(class_weights(np.zeros((2, 3), int)), [1, 1, 1])


def test_images_of_rare_classes_are_repeated():
    """Of 100 images, one shows the dog and four the cat; a threshold of 0.16 repeats them 4 times and twice."""
    pixels = np.zeros((100, 3), int)
    pixels[:, 0] = 50
    pixels[:4, 1] = 5
    pixels[0, 2] = 5
    factors = repeat_factors(pixels, threshold=0.16)
    assert factors.tolist() == [4, 2, 2, 2] + [1] * 96


def test_weights_scale_sum_and_count_of_the_loss():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(1, 6, 5, 3)).astype(np.float32)
    labels = rng.choice(np.array([0, 1, 2, 255], np.uint8), (1, 6, 5))
    weights = (0.5, 2.0, 3.0)
    log_p = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
    expected = [(weights[k] * -p[k], weights[k]) for p, k in zip(log_p.reshape(-1, 3), labels.ravel()) if k != 255]
    total, count = summed_cross_entropy(tf.constant(labels), tf.constant(logits), weights)
    np.testing.assert_allclose([total, count], np.sum(expected, axis=0), rtol=1e-5)


@pytest.mark.parametrize("weights", [None, (1.0, 1.0, 1.0)])
def test_weights_of_one_change_nothing(weights):
    logits = tf.constant(np.random.default_rng(1).normal(size=(1, 2, 2, 3)).astype(np.float32))
    labels = tf.constant([[[0, 255], [2, 1]]], tf.uint8)
    total, count = summed_cross_entropy(labels, logits, weights)
    assert float(count) == 3
    assert float(total) == pytest.approx(float(summed_cross_entropy(labels, logits)[0]))
