import keras
import numpy as np
import pytest
from numpy_resnet import convolve

from keras_fcn.network.backbones import build_backbone
from keras_fcn.network.backbones.efficientnet_lite import build_efficientnet_lite
from keras_fcn.network.backbones.resnets import basic_block_v1, basic_block_v2, bottleneck_block_v1

EPSILON = 1e-5


def batch_norm(x, layer):
    gamma, beta, mean, variance = (np.asarray(weight) for weight in layer.weights)
    return (x - mean) / np.sqrt(variance + EPSILON) * gamma + beta


def batch_norm_relu(x, layer):
    return np.maximum(batch_norm(x, layer), 0)


@pytest.mark.parametrize(("filters", "stride"), [(4, 1), (6, 1), (6, 2)])
def test_a_residual_block_is_he_et_al_figure_4e(filters, stride):
    image = keras.Input((8, 10, 4))
    model = keras.Model(image, basic_block_v2(image, filters, stride, "block"))
    rng = np.random.default_rng(0)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.set_weights([rng.uniform(0.5, 1.5, weight.shape) for weight in layer.weights])
    x = rng.normal(size=(8, 10, 4)).astype(np.float32)
    kernel = {layer.name: np.asarray(layer.kernel) for layer in model.layers if hasattr(layer, "kernel")}

    activated = batch_norm_relu(x, model.get_layer("block_bn1"))
    shortcut = convolve(activated, kernel["block_shortcut"], stride) if "block_shortcut" in kernel else x
    y = convolve(activated, kernel["block_conv1"], stride)
    y = convolve(batch_norm_relu(y, model.get_layer("block_bn2")), kernel["block_conv2"], 1)

    output, first_activation = model.predict(x[None], verbose=0)
    np.testing.assert_allclose(output[0], shortcut + y, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(first_activation[0], activated, rtol=1e-4, atol=1e-5)
    assert ("block_shortcut" in kernel) == (filters != 4 or stride != 1)


@pytest.mark.parametrize(("filters", "stride"), [(4, 1), (6, 1), (6, 2)])
def test_a_post_activation_block_is_he_et_als_first(filters, stride):
    image = keras.Input((8, 10, 4))
    model = keras.Model(image, basic_block_v1(image, filters, stride, "block"))
    rng = np.random.default_rng(0)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.set_weights([rng.uniform(0.5, 1.5, weight.shape) for weight in layer.weights])
    x = rng.normal(size=(8, 10, 4)).astype(np.float32)
    kernel = {layer.name: np.asarray(layer.kernel) for layer in model.layers if hasattr(layer, "kernel")}

    shortcut = x
    if "block_shortcut" in kernel:
        shortcut = batch_norm(convolve(x, kernel["block_shortcut"], stride), model.get_layer("block_shortcut_bn"))
    y = batch_norm_relu(convolve(x, kernel["block_conv1"], stride), model.get_layer("block_bn1"))
    y = batch_norm(convolve(y, kernel["block_conv2"], 1), model.get_layer("block_bn2"))

    np.testing.assert_allclose(model.predict(x[None], verbose=0)[0], np.maximum(shortcut + y, 0), rtol=1e-4, atol=1e-4)
    assert ("block_shortcut" in kernel) == (filters != 4 or stride != 1)


@pytest.mark.parametrize(("filters", "stride"), [(1, 1), (2, 1), (2, 2)])
def test_a_bottleneck_block_has_its_stride_in_the_3x3_convolution(filters, stride):
    image = keras.Input((8, 10, 4))
    model = keras.Model(image, bottleneck_block_v1(image, filters, stride, "block"))
    rng = np.random.default_rng(0)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.set_weights([rng.uniform(0.5, 1.5, weight.shape) for weight in layer.weights])
    x = rng.normal(size=(8, 10, 4)).astype(np.float32)
    kernel = {layer.name: np.asarray(layer.kernel) for layer in model.layers if hasattr(layer, "kernel")}

    shortcut = x
    if "block_shortcut" in kernel:
        shortcut = batch_norm(convolve(x, kernel["block_shortcut"], stride), model.get_layer("block_shortcut_bn"))
    y = batch_norm_relu(convolve(x, kernel["block_conv1"], 1), model.get_layer("block_bn1"))
    y = batch_norm_relu(convolve(y, kernel["block_conv2"], stride), model.get_layer("block_bn2"))
    y = batch_norm(convolve(y, kernel["block_conv3"], 1), model.get_layer("block_bn3"))

    np.testing.assert_allclose(model.predict(x[None], verbose=0)[0], np.maximum(shortcut + y, 0), rtol=1e-4, atol=1e-4)
    assert ("block_shortcut" in kernel) == (filters != 1 or stride != 1)
    assert [kernel[f"block_conv{number}"].shape[0] for number in (1, 2, 3)] == [1, 3, 1]


@pytest.mark.parametrize(("name", "blocks"), [("resnet18_v2", (2, 2, 2, 2)), ("resnet34_v2", (3, 4, 6, 3))])
def test_weights_are_as_many_as_the_architecture_says(name, blocks):
    """Counted by the paper's table, not by the code: ResNet-18's well-known 11.2 million without its classifier."""
    expected = 2 * 3 + 7 * 7 * 3 * 64 + 4 * 64  # statistics of the image, conv1, bn1
    channels = 64
    for count, filters in zip(blocks, (64, 128, 256, 512)):
        for _ in range(count):
            expected += 4 * channels + 9 * channels * filters + 4 * filters + 9 * filters * filters
            expected += channels * filters if channels != filters else 0
            channels = filters
    expected += 4 * 512
    assert build_backbone(name).count_params() == expected


@pytest.mark.parametrize(
    ("name", "blocks", "published"),
    [("resnet18_v1", (2, 2, 2, 2), 11_689_512), ("resnet34_v1", (3, 4, 6, 3), 21_797_672)],
)
def test_weights_of_v1_are_as_many_as_torchvision_has(name, blocks, published):
    """By the paper's table, and by the number that torchvision publishes, which counts a classifier of 1,000."""
    trained, statistics = 7 * 7 * 3 * 64 + 2 * 64, 2 * 64  # conv1, bn1
    channels = 64
    for count, filters in zip(blocks, (64, 128, 256, 512)):
        for _ in range(count):
            norms = 3 if channels != filters else 2
            trained += 9 * channels * filters + 9 * filters * filters + norms * 2 * filters
            trained += channels * filters if channels != filters else 0
            statistics += norms * 2 * filters
            channels = filters
    assert trained == published - 1000 * (512 + 1)
    model = build_backbone(name)
    assert sum(int(np.prod(variable.shape)) for variable in model.trainable_variables) == trained
    assert model.count_params() == trained + statistics


@pytest.mark.parametrize(
    ("name", "published"), [("resnet50_v1b", 25_557_032), ("resnet101_v1b", 44_549_160), ("resnet152_v1b", 60_192_808)]
)
def test_bottleneck_nets_have_as_many_weights_as_torchvisions(name, published):
    """As torchvision publishes them, with a classifier of 1,000 classes."""
    trained = sum(int(np.prod(variable.shape)) for variable in build_backbone(name).trainable_variables)
    assert trained == published - 1000 * (2048 + 1)


def test_vgg16_has_as_many_weights_as_its_paper_says():
    """138 million (table 2, D) with a classifier of 1,000 classes."""
    assert build_backbone("vgg16").count_params() == 138_357_544 - 1000 * (4096 + 1)


def test_unknown_names_and_weights_are_refused():
    with pytest.raises(ValueError, match=r"backbone must be one of resnet18_v2, .*Received: 'vgg'"):
        build_backbone("vgg")
    with pytest.raises(ValueError, match="no ImageNet weights are published for resnet18_v2; they are for resnet50_v2"):
        build_backbone("resnet18_v2", "imagenet")


def test_a_block_of_efficientnet_lite_with_a_stride_has_no_shortcut_whatever_its_channels():
    """At a tenth of the width, stages have as many channels as the one before."""
    image = keras.Input((None, None, 3))
    network = keras.Model(image, build_efficientnet_lite(image, 0.1, 0.1))
    sizes = [tuple(feature.shape[1:3]) for feature in network(np.zeros((1, 64, 96, 3)))]
    assert sizes == [(16, 24), (8, 12), (4, 6), (2, 3)]
