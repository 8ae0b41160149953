"""What contexts add to the scores, against NumPy; that tiles and saved files know it."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_fcn import build_fcn
from keras_fcn.inference.models import load_model
from keras_fcn.network.context.aspp import aspp_scores
from keras_fcn.network.context.pyramid import RegionMeans
from keras_fcn.network.cost.complexity import summarize
from keras_fcn.network.parts import Parts
from keras_fcn.runs.names import CONTEXTS


def region_means(values, size):
    """Returns the means of [H, W, C] over regions by a loop, from floor(i L / n) to before ceil((i + 1) L / n)."""
    height, width, channels = values.shape
    means = np.empty((size, size, channels))
    for row in range(size):
        for column in range(size):
            rows = slice(row * height // size, -(-(row + 1) * height // size))
            columns = slice(column * width // size, -(-(column + 1) * width // size))
            means[row, column] = values[rows, columns].mean((0, 1))
    return means


def enlarged(values, height, width):
    """Returns [h, w, C] at [height, width, C], bilinearly with half-pixel centres, as in `cv2.resize`."""
    for axis, length in ((0, height), (1, width)):
        last = values.shape[axis] - 1
        at = np.clip((np.arange(length) + 0.5) * (last + 1) / length - 0.5, 0, last)
        before = np.floor(at).astype(int)
        part = (at - before).reshape((-1, 1, 1) if axis == 0 else (1, -1, 1))
        values = values.take(before, axis) * (1 - part) + values.take(np.minimum(before + 1, last), axis) * part
    return values


def test_regions_are_those_of_pytorch():
    """Of 7 positions in 3 regions, `AdaptiveAvgPool2d` takes 0-2, 2-4, 4-6; of 2 in 3: 0, 0-1, 1."""
    line = np.array([1, 2, 4, 8, 16, 32, 64.0], np.float32)
    means = RegionMeans(3).means(line[None, :, None, None])
    np.testing.assert_allclose(np.ravel(means[0, :, 0, 0]), [7 / 3, 28 / 3, 112 / 3], rtol=1e-6)
    means = RegionMeans(3).means(line[None, None, :2, None])
    np.testing.assert_allclose(np.ravel(means[0, 0, :, 0]), [1, 1.5, 2], rtol=1e-6)


@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (5, 7), (12, 6), (10, 15), (13, 1)])
def test_means_of_regions_and_their_enlargement_in_a_graph_of_any_size(shape):
    values = np.random.default_rng(0).normal(size=(2, *shape, 3)).astype(np.float32)
    for size in (1, 2, 3, 6):
        layer = RegionMeans(size)
        means = np.stack([region_means(image, size) for image in values])
        np.testing.assert_allclose(layer.means(values), means, atol=1e-6)
        graph = tf.function(layer, input_signature=[tf.TensorSpec([None, None, None, 3])])
        np.testing.assert_allclose(graph(values), [enlarged(image, *shape) for image in means], atol=1e-6)


@pytest.mark.parametrize("context", CONTEXTS)
def test_a_network_starts_as_it_would_without(context):
    model = build_fcn("fcn32s", "resnet18_v2", num_classes=3, context=context)
    image = np.random.default_rng(0).integers(0, 256, (1, 64, 96, 3)).astype(np.float32)
    ends = [model.get_layer(name).output for name in ("score_fr", "fuse_context")]
    without, fused = keras.Model(model.input, ends)(image)
    np.testing.assert_array_equal(without, fused)
    seen = summarize(model, (64, 96)).features["logits"].receptive_field
    assert (seen is None) == (context != "aspp")


@pytest.mark.parametrize(("context", "sizes"), [("mean", [1]), (True, [1]), ("pyramid", [1, 2, 3, 6])])
def test_the_means_of_regions_are_scored_enlarged_and_added(context, sizes):
    """As in the papers: pooled before they are scored."""
    model = build_fcn("fcn16s", "resnet18_v2", num_classes=3, context=context)
    image = np.random.default_rng(0).integers(0, 256, (2, 70, 150, 3)).astype(np.float32)
    kernels = {}
    for size in sizes:
        kernel = model.get_layer(f"score_context{size if size > 1 else ''}").kernel
        kernels[size] = np.random.default_rng(size).normal(size=kernel.shape).astype(np.float32)
        kernel.assign(kernels[size])
    model.get_layer("score_context").bias.assign([1.0, 2.0, 3.0])
    ends = [model.get_layer(name).output for name in ("score_fr", "fuse_context")]
    without, fused = keras.Model(model.input, ends)(image)
    for feature, added in zip(np.asarray(Parts(model).features(image)["P5"]), np.asarray(fused - without)):
        height, width, _ = feature.shape
        each = [enlarged(region_means(feature, size) @ kernel[0, 0], height, width) for size, kernel in kernels.items()]
        np.testing.assert_allclose(added, sum(each, start=np.array([1, 2, 3])), atol=1e-4 * np.abs(added).max())


@pytest.mark.parametrize(("stride", "rates"), [(32, [3, 6, 9]), (16, [6, 12, 18]), (8, [12, 24, 36])])
def test_rates_of_the_atrous_pyramid_follow_the_stride(stride, rates):
    """So it sees as far at every stride: 288 pixels to each side."""
    feature = keras.Input((None, None, 8))
    (scores,) = aspp_scores(feature, 3, stride)
    found = [layer.dilation_rate for layer in keras.Model(feature, scores).layers if "aspp" in layer.name
             and isinstance(layer, keras.layers.Conv2D)]  # fmt: skip
    assert found == [(1, 1), *((rate, rate) for rate in rates)]


@pytest.mark.parametrize("context", CONTEXTS)
def test_a_network_with_context_is_saved_and_loaded(context, tmp_path):
    model = build_fcn("fcn4s", "resnet18_v2", num_classes=2, context=context)
    for layer in model.layers:
        if layer.name.startswith("score_"):
            layer.kernel.assign(np.random.default_rng(0).normal(size=layer.kernel.shape))
    model.save(tmp_path / "model.keras")
    image = np.random.default_rng(0).integers(0, 256, (1, 50, 70, 3)).astype(np.float32)
    np.testing.assert_array_equal(load_model(tmp_path / "model.keras")(image), model(image))
