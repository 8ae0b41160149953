import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_fcn.network.fcn import build_fcn
from keras_fcn.network.upscore import Upscore


def pair(filters, size, stride, **options):
    """Returns our layer and Keras' own with the same random weights, and random inputs."""
    rng = np.random.default_rng(size + 7 * np.sum(stride))
    channels, height, width = rng.integers(1, 5, 3)
    inputs = rng.normal(size=(2, height, width, channels)).astype(np.float32)
    layers = [kind(filters, size, stride, **options) for kind in (Upscore, keras.layers.Conv2DTranspose)]
    for layer in layers:
        layer.build(inputs.shape)
    weights = [rng.normal(size=weight.shape) for weight in layers[0].weights]
    for layer in layers:
        layer.set_weights(weights)
    return layers, tf.constant(inputs)


def outputs_and_gradients(layer, inputs, factors):
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        outputs = layer(inputs)
        total = tf.reduce_sum(outputs * factors)
    return [outputs, *tape.gradient(total, [inputs, *layer.trainable_weights])]


SAME = {"padding": "same", "use_bias": False}


@pytest.mark.parametrize(
    ("filters", "size", "stride", "options", "by_products"),
    [
        (3, 64, 32, SAME, True),
        (2, 32, 16, SAME, True),
        (1, 16, 8, SAME, True),
        (21, 20, 10, SAME, True),
        # what is left to Keras
        (2, 4, 2, SAME, False),
        (2, 18, 9, SAME, False),
        (2, 17, 9, SAME, False),
        (2, 15, 8, SAME, False),
        (2, 16, (8, 9), SAME, False),
        (2, 16, 8, SAME | {"padding": "valid"}, False),
        (2, 16, 8, SAME | {"use_bias": True}, False),
        (2, 16, 8, SAME | {"activation": "relu"}, False),
        (2, 16, 8, SAME | {"output_padding": 1}, False),
    ],
)
def test_outputs_and_gradients_are_those_of_keras(filters, size, stride, options, by_products):
    layers, inputs = pair(filters, size, stride, **options)
    assert layers[0].uses_products is by_products
    factors = np.random.default_rng(0).normal(size=layers[1](inputs).shape).astype(np.float32)
    ours, expected = (outputs_and_gradients(layer, inputs, factors) for layer in layers)
    for found, right in zip(ours, expected, strict=True):
        assert found.shape == right.shape
        np.testing.assert_allclose(found, right, rtol=0, atol=1e-5 * np.abs(right).max())


def test_any_size_goes_through_one_graph():
    (layer, reference), _ = pair(2, 16, 8, padding="same", use_bias=False)
    channels = layer.kernel.shape[-1]
    graph = tf.function(layer, input_signature=[tf.TensorSpec([None, None, None, channels])])
    for shape in [(1, 1, 1), (2, 3, 5), (3, 7, 2)]:
        inputs = np.random.default_rng(0).normal(size=(*shape, channels)).astype(np.float32)
        np.testing.assert_allclose(graph(inputs), reference(inputs), rtol=1e-5, atol=1e-5)


def test_the_networks_large_strides_are_upsampled_by_it_and_its_config_is_that_of_keras():
    layer = build_fcn("fcn32s", num_classes=3).get_layer("upscore32")
    assert isinstance(layer, Upscore)
    config = layer.get_config()
    assert keras.layers.Conv2DTranspose.from_config(config).get_config() == config
