import numpy as np
import tensorflow as tf

from keras_fcn.losses import summed_cross_entropy


def test_equals_the_definition_in_numpy_and_ignores_void():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(2, 5, 4, 3)).astype(np.float32) * 3
    labels = rng.choice(np.array([0, 1, 2, 255], np.uint8), (2, 5, 4))
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    expected = [-np.log(p[k]) for p, k in zip(probabilities.reshape(-1, 3), labels.ravel()) if k != 255]
    total, pixels = summed_cross_entropy(tf.constant(labels), tf.constant(logits))
    np.testing.assert_allclose(total, np.sum(expected), rtol=1e-5)
    assert float(pixels) == len(expected)


def test_void_pixels_have_no_gradient():
    logits = tf.Variable(np.random.default_rng(1).normal(size=(1, 2, 2, 3)).astype(np.float32))
    labels = tf.constant([[[0, 255], [2, 255]]], tf.uint8)
    with tf.GradientTape() as tape:
        total, _ = summed_cross_entropy(labels, logits)
    gradient = tape.gradient(total, logits).numpy()
    assert (gradient[0, :, 1] == 0).all()
    assert (gradient[0, :, 0] != 0).all()


def test_nothing_but_void_is_zero_of_zero():
    total, pixels = summed_cross_entropy(tf.fill([1, 2, 2], tf.constant(255, tf.uint8)), tf.ones([1, 2, 2, 3]))
    assert (float(total), float(pixels)) == (0, 0)
