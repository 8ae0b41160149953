import dataclasses
import subprocess
import sys

import keras
import narrow
import numpy as np
import pytest
import tensorflow as tf
from conftest import ROOT

from keras_fcn import ClassTable, build_fcn, class_table
from keras_fcn.network.fcn import with_input_scale
from keras_fcn.network.parts import Parts
from keras_fcn.runs.names import NETWORKS

TABLE = ClassTable(("floor", "shirt", "shoe"), ((9, 9, 9), (255, 0, 1), (0, 0, 0)), void_color=(1, 2, 3))


@pytest.fixture(scope="module", params=list(NETWORKS))
def network(request):
    keras.utils.set_random_seed(0)
    return build_fcn(request.param, "resnet18_v2", num_classes=4)


def random_images(*shape):
    return np.random.default_rng(0).integers(0, 256, (*shape, 3)).astype(np.float32)


@pytest.mark.parametrize("size", [(33, 33), (97, 131), (375, 500), (1, 1), (64, 32)])
def test_logits_have_exactly_the_images_size(network, size):
    assert network.output_shape == (None, None, None, 4)
    assert np.asarray(network(random_images(1, *size))).shape == (1, *size, 4)


def test_every_class_of_upsampling_starts_bilinear_and_every_skip_at_zero(network):
    skips = [layer for layer in network.layers if layer.name.startswith("score_pool")]
    assert len(skips) == {"fcn32s": 0, "fcn16s": 1, "fcn8s": 2, "fcn4s": 3}[network.name.split("_")[0]]
    assert all((np.asarray(layer.kernel) == 0).all() for layer in skips)
    upsampling = [layer for layer in network.layers if isinstance(layer, keras.layers.Conv2DTranspose)]
    for layer in upsampling:
        stride = layer.strides[0]
        assert layer.kernel.shape == (2 * stride, 2 * stride, 4, 4)
        assert np.asarray(layer.kernel).sum() == pytest.approx(4 * stride**2)
    assert np.prod([layer.strides[0] for layer in upsampling]) == 32


def test_the_summary_reads_like_the_paper():
    names = [layer.name for layer in build_fcn("fcn8s", "resnet18_v2", num_classes=21).layers]
    assert names == [
        "image", "normalization", "pad", "resnet18_v2", "score_fr", "upscore2", "score_pool4", "fuse_pool4",
        "upscore_pool4", "score_pool3", "fuse_pool3", "upscore8", "logits",
    ]  # fmt: skip


def test_normalization_is_part_of_the_model():
    layer = build_fcn("fcn32s", "resnet18_v2", num_classes=2).get_layer("normalization")
    white = np.asarray(layer(np.full((1, 1, 1, 3), 255, np.float32)))[0, 0, 0]
    np.testing.assert_allclose(white, (1 - np.array([0.485, 0.456, 0.406])) / [0.229, 0.224, 0.225], rtol=1e-5)


def test_it_compiles_and_fits_in_a_notebook():
    keras.utils.set_random_seed(0)
    network = build_fcn("fcn16s", "mobilenet_v2", num_classes=3)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=255)
    network.compile(keras.optimizers.SGD(0.01), loss)
    labels = np.random.default_rng(1).choice([0, 1, 2, 255], (2, 40, 50))
    history = network.fit(random_images(2, 40, 50), labels, epochs=3, verbose=0).history["loss"]
    assert history[2] < history[0]


def test_class_tables_travel_with_the_model(tmp_path):
    network = build_fcn("fcn32s", "resnet18_v2", classes=TABLE)
    network.save(tmp_path / "model.keras")
    assert class_table(keras.models.load_model(tmp_path / "model.keras")) == TABLE


LOAD_ELSEWHERE = """
import sys
import {first}
import {second}
import keras, numpy as np
model = keras.models.load_model({path!r}, safe_mode=True)
np.save({out!r}, np.asarray(model(np.load({images!r}))))
print(keras.backend.backend(), "tensorflow" in sys.modules)
"""


@pytest.mark.parametrize(
    ("backend", "first", "second"),
    [("tensorflow", "keras", "keras_fcn"), ("tensorflow", "keras_fcn", "keras"), ("jax", "keras_fcn", "keras")],
)
def test_saved_models_load_in_another_process_and_on_another_backend(tmp_path, monkeypatch, backend, first, second):
    """No custom objects are passed, either package may be imported first, and JAX does without TensorFlow."""
    backbone = dataclasses.replace(narrow.narrow_v2(), name="narrow")
    network = build_fcn("fcn8s", backbone, num_classes=3)
    network.save(tmp_path / "model.keras")
    images = random_images(2, 33, 70)
    np.save(tmp_path / "images.npy", images)
    paths = {
        key: str(tmp_path / name) for key, name in [("path", "model.keras"), ("out", "o.npy"), ("images", "images.npy")]
    }
    monkeypatch.setenv("KERAS_BACKEND", backend)
    monkeypatch.setenv("XLA_FLAGS", "--xla_backend_optimization_level=0")  # compiles for JAX in half the time
    program = LOAD_ELSEWHERE.format(first=first, second=second, **paths)
    ran = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ran.stdout.split() == [backend, str(backend == "tensorflow")]
    np.testing.assert_allclose(np.load(tmp_path / "o.npy"), np.asarray(network(images)), atol=1e-4)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"model": "fcn2s"}, "model must be one of fcn32s, fcn16s, fcn8s, fcn4s, fcn, .*, lraspp. Received: 'fcn2s'"),
        ({"backbone": "vgg"}, "backbone must be one of .* Received: 'vgg'"),
        ({"context": "all"}, "context must be one of none, mean, pyramid, aspp. Received: 'all'"),
        ({"model": "lraspp", "context": True}, "context is for fcn32s, .*, fcn4s. Received: model='lraspp'"),
        ({"upscore_init": "zeros"}, "upscore_init must be one of bilinear, xavier. Received: 'zeros'"),
        ({"input_scale": 0}, "input_scale must be at least 0.0001. Received: 0"),
        ({"classes": TABLE, "num_classes": 4}, "classes has 3 classes, but num_classes=4"),
    ],
)
def test_wrong_arguments_say_what_was_received(arguments, message):
    with pytest.raises(ValueError, match=message):
        build_fcn(**arguments)


def test_a_foreign_model_has_no_class_table():
    image = keras.Input((None, None, 3))
    other = keras.Model(image, keras.layers.Conv2D(2, 1)(image), name="other")
    with pytest.raises(ValueError, match="model 'other' was not built by"):
        class_table(other)


@pytest.mark.parametrize("size", [(64, 96), (65, 97), (1, 1)])
def test_input_scale_resizes_images_and_logits(size):
    """The reference is NumPy's interpolation before and after the network without input scale."""
    plain, scaled = (build_fcn("fcn8s", "mobilenet_v2", num_classes=3, input_scale=scale) for scale in (1, 0.8))
    for name in ("score_fr", "score_pool3"):
        kernel = plain.get_layer(name).kernel
        kernel.assign(np.random.default_rng(0).normal(size=kernel.shape))
    scaled.set_weights(plain.get_weights())
    image = np.asarray(random_images(1, *size))
    seen = interpolated(image, [max(1, (8 * length + 5) // 10) for length in size])
    expected = interpolated(np.asarray(plain(seen, training=False)), size)
    found = np.asarray(scaled(image, training=False))
    np.testing.assert_allclose(found, expected, atol=1e-4 * max(1, np.abs(expected).max()))
    graph = tf.function(scaled, input_signature=[tf.TensorSpec([None, None, None, 3])])
    np.testing.assert_allclose(graph(image), found, atol=1e-5 * max(1, np.abs(expected).max()))


def interpolated(images, size):
    """Returns images resized bilinearly with half-pixel centres, along rows and then along columns."""
    for axis, length in zip((1, 2), size):
        positions = (np.arange(length) + 0.5) * images.shape[axis] / length - 0.5
        positions = np.clip(positions, 0, images.shape[axis] - 1)
        before = np.floor(positions).astype(int)
        after = np.minimum(before + 1, images.shape[axis] - 1)
        weight = (positions - before).reshape([-1 if a == axis else 1 for a in range(4)])
        images = images.take(before, axis) * (1 - weight) + images.take(after, axis) * weight
    return images.astype(np.float32)


def test_a_network_with_input_scale_is_saved_and_loaded(tmp_path):
    model = build_fcn("fcn32s", "mobilenet_v2", num_classes=3, input_scale=0.25)
    model.save(tmp_path / "model.keras")
    image = random_images(1, 50, 70)
    np.testing.assert_array_equal(keras.models.load_model(tmp_path / "model.keras")(image), model(image))


def test_a_wrapped_network_has_the_layers_and_weights_of_the_one_within():
    network = build_fcn("fcn16s", "mobilenet_v2", num_classes=3, auxiliary=True)
    scaled = with_input_scale(network, 0.5)
    assert scaled.name == network.name
    assert {layer.name for layer in scaled.layers} == {layer.name for layer in network.layers} | {"input_scale"}
    assert [id(weight) for weight in scaled.weights] == [id(weight) for weight in network.weights]
    assert [Parts(model).logits.input_scale for model in (network, scaled)] == [1.0, 0.5]
    assert with_input_scale(network, 1.0) is network
