"""What depends on weights only is computed before images come; weights are variables, held once for all signatures."""

from collections import Counter

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from export.formats.graph.folding import folded

RNG = np.random.default_rng(0)
IMAGES = tf.constant(RNG.integers(0, 256, (2, 9, 12, 3), np.uint8))


def norm(x, **options):
    """Returns x through batch normalization with parameters that change it."""
    layer = layers.BatchNormalization(**options)
    x = layer(x)
    layer.set_weights([RNG.uniform(0.5, 2, weight.shape) for weight in layer.get_weights()])
    return x


def chain(x):
    """Returns features behind every kind of convolution and normalization that is folded."""
    x = norm(layers.Rescaling((0.01, 0.02, 0.03), (-1.0, 0.5, 1.0))(x), scale=False)
    x = layers.ReLU()(norm(layers.Conv2D(64, 3, 2, "same", use_bias=False)(x)))
    x = layers.Activation("swish")(norm(layers.DepthwiseConv2D(5, padding="same", use_bias=False)(x)))
    return norm(layers.Conv2D(72, 1, use_bias=False)(x), center=False)


def shared(x):
    """Returns a convolution normalized here and not there, one whose result is taken twice, and a scaled mean."""
    first, second = layers.Conv2D(3, 3, padding="same"), layers.Conv2D(8, 3, padding="same", use_bias=False)
    x = first(layers.Rescaling(0.01)(x))
    plain, normalized = second(x), norm(second(layers.ReLU()(x)))
    twice = layers.Conv2D(8, 1, use_bias=False)(x)
    mean = layers.Rescaling((2.0, 3.0, 4.0), (1.0, 0.0, 2.0))(layers.GlobalAveragePooling2D()(x))  # [N, C]
    scaled = layers.Multiply()([x, layers.Reshape((1, 1, 3))(mean)])
    return layers.Concatenate()([plain, normalized, twice, norm(twice), scaled])


def inference(network):
    """Returns the images, the live result, the function to fold, and its operations when it is folded."""
    image = keras.Input((None, None, 3))
    model = keras.Model(image, network(image))
    traced = tf.function(
        lambda images: model(tf.cast(images, tf.float32), training=False),
        input_signature=[tf.TensorSpec([None, None, None, 3], tf.uint8)],
    )
    function, variables = folded(traced.get_concrete_function())
    graph = function.get_concrete_function().graph.as_graph_def()
    return model, np.asarray(model(tf.cast(IMAGES, tf.float32), training=False)), function, variables, graph.node


@pytest.mark.parametrize("network", [chain, shared])
def test_the_results_are_the_live_models(network):
    _, expected, function, _, _ = inference(network)
    found = function(IMAGES).numpy()
    assert expected.std() > 0.1
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_normalization_becomes_part_of_convolutions_and_few_channels_are_convolved():
    """Both pairs that scale and shift the image are a convolution each; swish multiplies twice."""
    *_, nodes = inference(chain)
    counts = Counter(node.op for node in nodes)
    assert {op: counts[op] for op in ("Conv2D", "DepthwiseConv2dNative", "BiasAdd", "AddV2", "Mul", "Rsqrt")} == {
        "Conv2D": 4, "DepthwiseConv2dNative": 1, "BiasAdd": 2, "AddV2": 3, "Mul": 2, "Rsqrt": 0,
    }  # fmt: skip
    assert not any("_gradient_op_type" in node.attr for node in nodes)


def test_large_weights_are_variables_and_read_once():
    model, *_, variables, nodes = inference(chain)
    assert [variable.shape.as_list() for variable in variables] == [[1, 1, 64, 72]]
    assert sum(node.op == "ReadVariableOp" for node in nodes) == 1
    constants = sum(tf.make_ndarray(node.attr["value"].tensor).nbytes for node in nodes if node.op == "Const")
    assert constants < 4 * (model.count_params() - 64 * 72) + 512
