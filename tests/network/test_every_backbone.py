"""Requirements of every backbone: one list of checks for each network."""

import dataclasses
import functools
import types

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras.src.applications import vgg16 as vgg16_of_keras

from keras_fcn.inference.models import load_model
from keras_fcn.network.backbones import build_backbone
from keras_fcn.network.backbones.vgg import build_vgg16, vgg16
from keras_fcn.network.fcn import build_fcn
from keras_fcn.network.parts import Parts
from keras_fcn.runs.names import BACKBONES
from keras_fcn.training.inputs.initial_weights import load_backbone_weights
from keras_fcn.training.step.batch_norm import batch_norms

DEEP = ("resnet101", "resnet152", "resnet34_v2", "efficientnet_v2_b3", "efficientnet_v2_s", "vgg16",
        "efficientnet_lite1", "efficientnet_lite2", "mobilenet_v3_large")  # fmt: skip
"""Deeper versions of tested networks, one of 134 million weights, and one that others test, too: `make test-slow`."""

EVERY = [pytest.param(name, marks=[pytest.mark.slow] if name.startswith(DEEP) else [], id=name) for name in BACKBONES]
LEVELS = ("P2", "P3", "P4", "P5")
IMAGE = np.random.default_rng(0).integers(0, 256, (2, 65, 97, 3)).astype(np.float32)


@pytest.fixture(scope="module", params=EVERY)
def network(request):
    """Returns FCN-4s over the backbone; tests leave its weights unchanged."""
    keras.backend.clear_session()
    keras.utils.set_random_seed(0)
    return build_fcn("fcn4s", request.param, num_classes=3)


@pytest.fixture
def backbone(network):
    return Parts(network).backbone


def test_features_have_strides_4_8_16_and_32(network, backbone):
    features = backbone(Parts(network).normalize(IMAGE))
    assert tuple(features) == LEVELS
    assert [tuple(features[level].shape[:3]) for level in LEVELS] == [(2, 24, 32), (2, 12, 16), (2, 6, 8), (2, 3, 4)]
    shapes = backbone.compute_output_shape((2, 96, 128, 3))
    assert {level: tuple(shape) for level, shape in shapes.items()} == {
        level: tuple(features[level].shape) for level in LEVELS
    }
    assert network(IMAGE[:1, :1, :33]).shape == (1, 1, 33, 3)


def test_depthwise_convolutions_are_known_by_its_name(request, network):
    entry = BACKBONES[request.node.callspec.params["network"]]
    assert Parts(network).has_depthwise == entry.depthwise


def test_every_weight_gets_a_gradient(network, backbone):
    """From all features that depend on it: the last layers from P5 alone."""
    with tf.GradientTape() as tape:
        features = backbone(Parts(network).normalize(IMAGE), training=True)
        loss = tf.add_n([tf.reduce_mean(tf.square(features[level] - 1.0)) for level in LEVELS])
    for variable, gradient in zip(
        backbone.trainable_variables, tape.gradient(loss, backbone.trainable_variables), strict=True
    ):
        assert gradient is not None, variable.path
        assert np.isfinite(gradient).all(), variable.path


def test_statistics_follow_the_batch_unless_frozen(network, backbone):
    before = backbone.get_weights()
    images = Parts(network).normalize(IMAGE)
    backbone.trainable = False
    backbone(images, training=True)
    for weight, expected in zip(backbone.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, expected)
    backbone.trainable = True
    backbone(images, training=True)
    norms = list(batch_norms(backbone))
    assert all(layer.momentum == 0.9 for layer in norms)
    moved = [np.any(np.asarray(layer.moving_mean)) for layer in norms]
    assert all(moved)
    backbone.set_weights(before)


def test_a_saved_network_does_the_same(network, tmp_path):
    network.save(tmp_path / "network.keras")
    again = load_model(tmp_path / "network.keras")
    np.testing.assert_array_equal(np.asarray(again(IMAGE)), np.asarray(network(IMAGE)))


def test_weights_go_through_a_file(network, backbone, tmp_path):
    expected = backbone(Parts(network).normalize(IMAGE))
    backbone.save_weights(tmp_path / "backbone.weights.h5")
    (tmp_path / "backbone.weights.h5").rename(tmp_path / "recognized by its content")
    other = build_backbone(backbone.name)  # of the other networks, without P2
    load_backbone_weights(other, str(tmp_path / "recognized by its content"))
    found = other(Parts(network).normalize(IMAGE))
    for level in LEVELS[1:]:
        np.testing.assert_array_equal(np.asarray(found[level]), np.asarray(expected[level]))


APPLICATIONS = {
    "resnet50_v1": ("ResNet50", "resnet"),
    "resnet50_v2": ("ResNet50V2", "resnet_v2"),
    "mobilenet_v2": ("MobileNetV2", "mobilenet_v2"),
    "efficientnet_v2_b0": ("EfficientNetV2B0", "efficientnet_v2"),
    "efficientnet_v2_s": ("EfficientNetV2S", "efficientnet_v2"),
}
"""Constructors in `keras.applications`, and modules of their preprocessing."""


def published(monkeypatch, constructor, **options):
    """Returns a model of `keras.applications`, and replaces the published ImageNet weights by its own."""
    rng, make = np.random.default_rng(0), getattr(keras.applications, constructor)
    model = make(weights=None, **options)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            gamma, beta, mean, variance = (rng.uniform(0.2, 0.8, weight.shape) for weight in layer.weights)
            # The scale keeps activations of deep networks from growing until rounding errors show.
            layer.set_weights([gamma, beta, mean, 2 * variance])

    def downloaded(*arguments, weights="imagenet", **keywords):
        other = make(*arguments, weights=None, **keywords)
        if weights == "imagenet":
            other.set_weights([weight for weight in model.get_weights() if weight.shape != (1, 1, 1, 3)])
        return other

    monkeypatch.setattr(keras.applications, constructor, downloaded)
    return model


@pytest.mark.parametrize("name", [parameter for parameter in EVERY if parameter.values[0] in APPLICATIONS])
def test_imagenet_weights_give_the_features_of_keras_applications(name, monkeypatch):
    """The reference takes images of its own `preprocess_input`, ours the images themselves."""
    constructor, module = APPLICATIONS[name]
    original = published(monkeypatch, constructor, include_top=False)
    image = IMAGE[:, :64, :96]
    preprocessed = getattr(keras.applications, module).preprocess_input(image.copy())
    network = build_fcn("fcn32s", name, num_classes=2, weights="imagenet")
    parts = Parts(network)
    ours = parts.features(image)
    names = [parts.backbone.output[level]._keras_history.operation.name for level in LEVELS[1:]]
    stages = keras.Model(original.input, [original.get_layer(stage).output for stage in names])
    theirs = stages.predict(preprocessed, verbose=0)
    for level, expected in zip(LEVELS[1:], theirs):
        np.testing.assert_allclose(ours[level], expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())


def test_vgg16s_fully_connected_layers_are_convolutions(monkeypatch):
    """Over an image of 224x224, fc7 in the middle is what the classifier computes; around it, zeros are padded in.

    Both are of an eighth of the width: weights of 134 million take gigabytes that oneDNN keeps for good.
    """

    def narrow(layer):
        return lambda size, *arguments, **options: layer(size // 8, *arguments, **options)

    layers = types.SimpleNamespace(**vars(vgg16_of_keras.layers))
    layers.Conv2D, layers.Dense = narrow(layers.Conv2D), narrow(layers.Dense)
    monkeypatch.setattr(vgg16_of_keras, "layers", layers)
    original = published(monkeypatch, "VGG16")
    image = np.random.default_rng(1).integers(0, 256, (1, 224, 224, 3)).astype(np.float32)
    layers = [original.get_layer(name).output for name in ("block3_pool", "block4_pool", "fc2")]
    pool3, pool4, fc7 = keras.Model(original.input, layers)(keras.applications.vgg16.preprocess_input(image.copy()))
    backbone = dataclasses.replace(vgg16(), build=functools.partial(build_vgg16, width=8), name="vgg16")
    network = build_fcn("fcn32s", backbone, num_classes=2, weights="imagenet")
    features = Parts(network).features(image)
    np.testing.assert_allclose(features["P3"], pool3, rtol=1e-3, atol=1e-4 * np.max(pool3))
    np.testing.assert_allclose(features["P4"], pool4, rtol=1e-3, atol=1e-4 * np.max(pool4))
    assert features["P5"].shape == (1, 7, 7, 512)
    np.testing.assert_allclose(features["P5"][:, 3, 3], fc7, rtol=1e-3, atol=1e-4 * np.max(fc7))
