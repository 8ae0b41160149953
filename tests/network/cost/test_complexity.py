"""Costs against networks worked out by hand, published values, and TensorFlow's graph of the gradients."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from keras_fcn import build_fcn
from keras_fcn.network.backbones import build_backbone
from keras_fcn.network.cost.complexity import summarize
from keras_fcn.runs.names import BACKBONES

DEEPER = {name for name in BACKBONES if any(depth in name for depth in ("34", "101", "152", "_b3", "_v2_s"))}
"""Networks with the same blocks as a shallower one, but more of them."""


def small():
    """Returns a small network; the comments are for an image of 5x7."""
    image = keras.Input((None, None, 3))
    x = layers.Conv2D(4, 3, 2, "same", name="strided")(image)  # 3x4x4, 112 parameters, 3*4 * 3*3*3*4 = 1296 MACs
    y = layers.DepthwiseConv2D(3, padding="same", use_bias=False, name="depthwise")(x)  # 3x4x4, 36, 3*4 * 3*3*4 = 432
    z = layers.Conv2D(4, 1, groups=2, name="grouped")(y)  # 3x4x4, 12, 3*4 * 2*4 = 96
    x = layers.Add(name="add")([x, layers.BatchNormalization(name="bn")(z)])  # 3x4x4, 16, 8 of them statistics
    x = layers.Conv2DTranspose(2, 4, 2, "same", use_bias=False, name="up")(x)  # 6x8x2, 128, 3*4 * 4*4*2*4 = 1536
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    return keras.Model(image, layers.Dense(5, name="scores")(x), name="small")  # 5, 15, 2*5 = 10


def test_a_network_worked_by_hand():
    summary = summarize(small(), (5, 7))
    figures = {layer.name: (layer.shape, layer.parameters, layer.macs) for layer in summary.layers}
    assert figures == {
        "strided": ((3, 4, 4), 112, 1296),
        "depthwise": ((3, 4, 4), 36, 432),
        "grouped": ((3, 4, 4), 12, 96),
        "bn": ((3, 4, 4), 16, 0),
        "add": ((3, 4, 4), 0, 0),
        "up": ((6, 8, 2), 128, 1536),
        "pool": ((2,), 0, 0),
        "scores": ((5,), 15, 10),
    }
    assert summary.macs == 1296 + 432 + 96 + 1536 + 10
    assert (summary.trainable_parameters, summary.other_parameters) == (311, 8)
    assert summary.weight_bytes == 4 * 319
    (feature,) = summary.features.values()
    assert (feature.stride, feature.shape, feature.receptive_field) == (("-", "-"), (5,), None)


def test_peak_memory_by_hand():
    # In numbers of float32: image 105; strided, depthwise, grouped, bn, add 48 each; up 96.
    # strided: 105 + 48 = 153, then the image is freed. depthwise: 96. grouped: 144, as strided's waits for add.
    # bn: 144. add: 144. up: 48 + 96 = 144. So it is the first layer.
    summary = summarize(small(), (5, 7))
    assert (summary.peak_bytes, summary.peak_layer) == (4 * 153, "strided")
    # With a small image, the residual connection dominates: an image of one channel has 35 elements.
    image = keras.Input((None, None, 1))
    x = layers.Conv2D(4, 1, name="first")(image)  # 35 + 140 = 175
    y = layers.Conv2D(2, 1, name="second")(x)  # 140 + 70 = 210
    y = layers.Conv2D(4, 1, name="third")(y)  # 140 + 70 + 140 = 350, as first's waits
    model = keras.Model(image, layers.Add(name="add")([x, y]))  # 140 * 3 = 420
    summary = summarize(model, (5, 7))
    assert (summary.peak_bytes, summary.peak_layer) == (4 * 420, "add")


def test_outputs_live_to_the_end():
    image = keras.Input((None, None, 1))
    early = layers.Conv2D(10, 1, name="early")(image)
    late = layers.Conv2D(2, 1, name="late")(layers.Conv2D(1, 1, name="middle")(image))
    # middle: 1 + 1, early: 1 + 1 + 10, late: 1 + 2 + 10; early before middle would end in the same.
    assert summarize(keras.Model(image, [early, late]), (1, 1)).peak_bytes == 4 * 13


@pytest.mark.parametrize(
    ("build", "size", "convolutions", "classifier", "published"),
    [
        # torchvision's table of weights: 1.814 and 15.47 GMAC; the papers of MobileNetV2 (table 4) and EfficientNetV2.
        (lambda: build_backbone("resnet18_v1"), (224, 224), 1_813_561_344, 512 * 1000, 1.814e9),
        (lambda: application("VGG16"), (224, 224), 15_346_630_656, 25088 * 4096 + 4096**2 + 4096 * 1000, 15.47e9),
        (lambda: application("MobileNetV2"), (224, 224), 299_494_272, 1280 * 1000, 0.30e9),
        (lambda: application("EfficientNetV2B0"), (224, 224), None, 1280 * 1000, 0.72e9),
    ],
)
def test_published_multiply_accumulates(build, size, convolutions, classifier, published):
    macs = summarize(build(), size).macs
    assert convolutions in (macs, None)
    assert macs + classifier == pytest.approx(published, rel=0.004)


def application(name):
    return getattr(keras.applications, name)(include_top=False, weights=None, input_shape=(224, 224, 3))


def test_fcn_32s_over_resnet_18_needs_what_was_measured():
    summary = summarize(build_fcn("fcn32s", "resnet18_v2", num_classes=21), (320, 480))
    by_name = {layer.name: layer.macs for layer in summary.layers}
    assert by_name["upscore32"] == 10 * 15 * 64 * 64 * 21 * 21
    assert summary.macs - by_name["upscore32"] == pytest.approx(5.6e9, rel=0.01)
    assert summary.macs == 5_824_281_600


@pytest.mark.parametrize("backbone", [name for name in BACKBONES if name not in DEEPER])
def test_every_backbone_can_be_summarized_at_odd_sizes(backbone):
    network = build_fcn("fcn8s", backbone, num_classes=4)
    summary = summarize(network, (97, 131))
    assert sum(layer.parameters for layer in summary.layers) == network.count_params()
    trainable = sum(weight.value.numpy().size for weight in network.trainable_weights)
    assert summary.trainable_parameters == trainable
    assert summary.other_parameters == network.count_params() - trainable
    assert list(summary.features) == ["P3", "P4", "P5", "logits"]
    features = network.get_layer(backbone).output
    for (name, feature), stride in zip(summary.features.items(), (8, 16, 32, 1)):
        assert feature.stride == (str(stride), str(stride))
        channels = 4 if name == "logits" else features[name].shape[-1]
        assert feature.shape == ((97, 131, 4) if stride == 1 else (128 // stride, 160 // stride, channels))
    assert 0 < summary.peak_bytes < summary.kept_bytes
    if backbone == "vgg16":  # Long, Shelhamer, Darrell, table 1: receptive field 404, 134 M parameters
        assert summary.features["P5"].receptive_field == (404, 404)
        assert network.count_params() == pytest.approx(134e6, rel=0.005)


def kept_by_tensorflow(model, size):
    """Returns the bytes of activations that TensorFlow's gradient operations take per image."""
    return taken_by_gradients(model, (2, *size, 3)) - taken_by_gradients(model, (1, *size, 3))


def taken_by_gradients(model, shape):

    def step(image):
        return tf.gradients(model(image, training=True), [weight.value for weight in model.trainable_weights])

    graph = tf.function(step).get_concrete_function(tf.TensorSpec(shape)).graph
    waiting, needed = [tensor.op for tensor in graph.outputs], set()
    while waiting:  # skips gradients of frozen weights, which are also in the graph
        operation = waiting.pop()
        if operation not in needed:
            needed.add(operation)
            waiting += [tensor.op for tensor in operation.inputs]
    taken = {
        tensor.ref(): tensor.shape.num_elements() * tensor.dtype.size
        for operation in needed
        if operation.name.startswith("gradients") and operation.type not in ("Shape", "ShapeN", "ZerosLike")
        for tensor in operation.inputs
        if not tensor.op.name.startswith("gradients") and tensor.shape.num_elements() is not None
    }
    return sum(taken.values())


def gated():
    image = keras.Input((None, None, 3))
    x = layers.Conv2D(8, 3, 2, "same", activation="silu")(layers.Rescaling(1 / 255)(image))
    x = layers.ReLU(6)(layers.BatchNormalization()(layers.DepthwiseConv2D(3)(x)))
    x = layers.Activation("silu")(layers.BatchNormalization()(x))
    gate = layers.Conv2D(8, 1, activation="sigmoid")(layers.AveragePooling2D(2, 1, "same")(x))
    x = layers.MaxPooling2D(2)(layers.Multiply()([x, gate]))
    return keras.Model(image, layers.Conv2D(4, 1, activation="relu")(x))


def frozen():
    """Returns a network whose first layer needs no gradient, and whose last, frozen kernel keeps no input."""
    image = keras.Input((None, None, 3))
    x = layers.ReLU()(layers.Conv2D(8, 3, trainable=False)(image))
    x = layers.Conv2D(4, 3)(x)
    x = layers.BatchNormalization(trainable=False)(layers.Conv2D(6, 3, trainable=False)(x))
    return keras.Model(image, layers.ReLU()(x))


@pytest.mark.parametrize(
    "build",
    [
        lambda: build_fcn("fcn8s", "resnet18_v2", num_classes=5),
        gated,
        frozen,
    ],
)
def test_memory_for_training_is_what_tensorflows_gradients_take(build):
    model = build()
    one = summarize(model, (64, 96), batch_size=1).kept_bytes
    assert one == kept_by_tensorflow(model, (64, 96))
    assert summarize(model, (64, 96), batch_size=3).kept_bytes == 3 * one


def test_dropout_keeps_a_mask():
    image = keras.Input((None, None, 3))
    x = layers.Conv2D(10, 1)(image)
    with_dropout = keras.Model(image, layers.Dropout(0.5)(x))
    difference = summarize(with_dropout, (4, 5), 2).kept_bytes - summarize(keras.Model(image, x), (4, 5), 2).kept_bytes
    assert difference == 2 * 4 * 5 * 10


def test_nested_and_shared_layers_count_once_in_parameters_and_each_time_in_work():
    shared = layers.Conv2D(3, 3, padding="same", use_bias=False)
    part = keras.Sequential([keras.Input((None, None, 3)), shared], name="part")
    image = keras.Input((None, None, 3))
    inner = keras.Model(image, part(part(image)), name="inner")
    outer = keras.Model(image, inner(image))
    outer.compile("sgd", "mse")
    summary = summarize(outer, (4, 5))
    assert [(layer.path, layer.parameters, layer.macs) for layer in summary.layers] == [
        (("inner", "part"), 81, 4 * 5 * 81),
        (("inner", "part"), 0, 4 * 5 * 81),
    ]
    (feature,) = summary.features.values()
    assert feature.receptive_field == (5, 5)
    assert summary.peak_bytes == 2 * 4 * 5 * 3 * 4


def test_the_model_is_left_as_it_was(tmp_path):
    part = keras.Sequential([keras.Input((None, None, 3)), layers.Conv2D(3, 3, 2, name="inside")], name="part")
    image = keras.Input((None, None, 3))
    model = keras.Model(image, layers.Conv2D(2, 1, name="scores")(part(image)))
    images = np.random.default_rng(0).normal(size=(2, 9, 8, 3)).astype(np.float32)
    config, output, values = model.to_json(), model.get_layer("scores").output, np.asarray(model(images))
    summarize(model, (64, 65))
    assert model.to_json() == config
    assert model.get_layer("scores").output is output
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.to_json() == config
    np.testing.assert_array_equal(np.asarray(loaded(images)), values)


def test_mixed_precision_halves_the_tensors():
    def build(dtype):
        image = keras.Input((None, None, 3), dtype=dtype)
        return summarize(keras.Model(image, layers.Conv2D(4, 1, dtype=f"mixed_{dtype}")(image)), (4, 5)).peak_bytes

    assert build("bfloat16") == 2 * 4 * 5 * (3 + 4)


def test_other_models_are_refused():
    class Own(keras.Model):
        def call(self, inputs):
            return inputs

    for model in (Own(name="own"), keras.Sequential([keras.Input((8,)), layers.Dense(2)], name="own")):
        with pytest.raises(ValueError, match=r"'own' is not a functional model of one image \[N, H, W, C\]"):
            summarize(model, (8, 8))
