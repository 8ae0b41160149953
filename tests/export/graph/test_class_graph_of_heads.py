"""Networks whose scores are enlarged without weights have the same classes in the graph for other programs."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from export.formats.graph.class_graph import class_graph
from keras_fcn import Predictor, build_fcn
from keras_fcn.network.layers import Enlarge

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (2, 65, 97, 3), np.uint8)


def mixed(head):
    """Returns a network whose classes vary from pixel to pixel: scores have a mean of 0 over an image."""
    model = build_fcn(head, "mobilenet_v3_large", num_classes=3, output_stride=16)
    for name in ("score_fr", "score_low") if head == "lraspp" else ("score_fr",):
        layer = model.get_layer(name)
        kernel = RNG.normal(size=layer.kernel.shape)
        feature = np.asarray(keras.Model(model.input, layer.input)(IMAGES))
        layer.set_weights([kernel, -(feature.mean((0, 1, 2)) @ kernel[0, 0])])
    return model


@pytest.mark.parametrize(
    "head", ["lraspp", *(pytest.param(head, marks=pytest.mark.slow) for head in ("fcn", "deeplabv3"))]
)
def test_the_graph_gives_the_live_models_classes(head):
    model = mixed(head)
    expected = Predictor(model).segment(IMAGES).numpy()
    assert len(np.unique(expected)) > 1
    for classes_first in (False, True):
        found = class_graph(model, None, classes_first)(tf.constant(IMAGES))["classes"].numpy()
        assert np.mean(found == expected) > 0.999


@pytest.mark.parametrize("stride", [1, 2, 3, 8])
def test_features_are_enlarged_as_tensorflow_resizes_images(stride):
    enlarge = tf.function(Enlarge(stride), input_signature=[tf.TensorSpec([None, None, None, 2])])
    for height, width in ((1, 1), (2, 5)):
        features = RNG.normal(size=(2, height, width, 2)).astype(np.float32)
        expected = tf.image.resize(features, (height * stride, width * stride))
        np.testing.assert_allclose(enlarge(features), expected, rtol=0, atol=1e-6)
        assert Enlarge(stride).compute_output_shape((2, height, None, 2)) == (2, height * stride, None, 2)
