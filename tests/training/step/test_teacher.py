"""The teacher labels what it is sure of, and has the average of the weights."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_fcn.images.classes import VOID_LABEL
from keras_fcn.pipeline.unlabelled import Unlabelled
from keras_fcn.training.step.teacher import Teacher
from keras_fcn.training.step.weight_average import WeightAverage


def small_network(seed):
    keras.utils.set_random_seed(seed)
    image = keras.Input((None, None, 3))
    hidden = keras.layers.BatchNormalization()(keras.layers.Conv2D(4, 3, padding="same")(image))
    return keras.Model(image, keras.layers.Conv2D(5, 1)(hidden / 50))


@pytest.mark.parametrize("threshold", [0.0, 0.4, 0.6])
def test_sure_pixels_get_the_likeliest_class_and_others_are_void(threshold):
    rng = np.random.default_rng(0)
    plain, strong = rng.integers(0, 256, (2, 3, 8, 12, 3), np.uint8)
    asked = rng.integers(0, 2, (3, 8, 12), np.uint8)
    known = np.where(asked, VOID_LABEL, rng.integers(0, 5, asked.shape)).astype(np.uint8)
    network = small_network(1)
    images, labels = Teacher(network, threshold).label(Unlabelled(*map(tf.constant, (plain, strong, known, asked))))
    logits = np.asarray(network(plain.astype(np.float32)), np.float64)
    probabilities = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    expected = np.where(probabilities.max(-1) >= threshold, probabilities.argmax(-1), VOID_LABEL)
    np.testing.assert_array_equal(labels, np.where(asked, expected, known))
    np.testing.assert_array_equal(images, strong)
    shares = [(expected == VOID_LABEL).mean(), (expected != VOID_LABEL).mean()]
    assert threshold == 0 or min(shares) > 0.01, shares


def test_the_average_is_kept_in_the_teachers_network():
    model, teacher, rng = small_network(2), small_network(3), np.random.default_rng(0)
    own, kept = WeightAverage(model, 0.9), WeightAverage(model, 0.9, teacher)
    for step in range(5):
        model.set_weights([rng.normal(size=weight.shape) for weight in model.get_weights()])
        for average in (own, kept):
            average.update(tf.constant(step, tf.int64))
    for mine, theirs in zip(own.variables, teacher.get_weights(), strict=True):
        np.testing.assert_array_equal(mine.numpy(), theirs)
    assert len(kept.variables) == len(model.weights)
