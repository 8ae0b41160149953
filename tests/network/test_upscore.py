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


@pytest.mark.parametrize(
    ("size", "stride", "options", "is_plain", "by_products"),
    [
        (16, 8, {}, True, True),
        (14, 7, {}, True, False),
        (12, 6, {}, True, False),
        (22, 11, {}, True, False),
        ((16, 17), 8, {}, True, False),
        ((17, 16), 8, {}, True, False),
        (16, (8, 10), {}, True, False),
        (20, (8, 10), {}, True, False),
        (16, 8, {"padding": "valid"}, False, False),
        (16, 8, {"data_format": "channels_first"}, False, False),
        (16, 8, {"output_padding": 1}, False, False),
        (16, 8, {"use_bias": True}, False, False),
        (16, 8, {"activation": "relu"}, False, False),
        (16, 8, {"activation": "linear"}, True, True),
        (16, 1, {"dilation_rate": 2}, False, False),
    ],
)
def test_what_is_computed_as_products(size, stride, options, is_plain, by_products):
    layer = Upscore(3, size, stride, **SAME | options)
    assert (layer.is_plain, layer.uses_products) == (is_plain, by_products)


@pytest.mark.parametrize("images", [1, 3])
def test_products_are_the_outputs_in_another_order(images):
    """As losses use them: each pixel by the place that it has in the image."""
    rng = np.random.default_rng(0)
    layer, reference = (kind(2, 16, 8, **SAME) for kind in (Upscore, keras.layers.Conv2DTranspose))
    inputs = rng.normal(size=(images, 2, 3, 5)).astype(np.float32)
    for each in (layer, reference):
        each.build(inputs.shape)
    kernel = rng.normal(size=layer.kernel.shape).astype(np.float32)
    layer.kernel.assign(kernel), reference.kernel.assign(kernel)
    expected, windows, quarters = reference(inputs).numpy(), layer.windows(tf.constant(inputs)), layer.quarters()
    assert (windows.shape, quarters.shape) == ((images, 4, 6, 20), (4, 20, 32))
    padded = np.pad(inputs, [(0, 0), (1, 1), (1, 1), (0, 0)])
    for half, (top, left) in enumerate(np.ndindex(2, 2)):
        for pixel, (row, column) in enumerate(np.ndindex(2, 3)):
            around = padded[:, row + top : row + top + 2, column + left : column + left + 2]
            np.testing.assert_array_equal(windows[:, half, pixel], around.reshape(images, -1))
    products = layer.products(windows, quarters)
    assert products.shape == (images, 4 * 6 * 4, 4, 2)
    for value in (0, 1):
        found = layer.in_their_order(tf.constant(expected[..., value]))
        np.testing.assert_allclose(products[..., value], found, atol=1e-4)
    blocks = layer.blocks(tf.constant(inputs))
    assert blocks.shape == (images, 2, 2, 2, 3, 4, 4, 2)
    for row, column in ((0, 0), (3, 9), (4, 3), (15, 23)):  # of the image, of halves and inputs
        (y, upper, dy), (x, left, dx) = ((place // 8, place // 4 % 2, place % 4) for place in (row, column))
        np.testing.assert_allclose(blocks[:, upper, left, y, x, dy, dx], expected[:, row, column], atol=1e-4)
    np.testing.assert_allclose(layer.joined(blocks), expected, atol=1e-4)
    np.testing.assert_allclose(layer.joined(blocks[..., :1]), expected[..., :1], atol=1e-4)
    np.testing.assert_allclose(layer.convolved(inputs, 2 * kernel), 2 * expected, atol=1e-4)
