import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_fcn.network.backbones import build_backbone
from keras_fcn.network.fcn import build_fcn
from keras_fcn.training.step.batch_norm import (
    batch_norms,
    fuse_batch_norms,
    prepare_batch_norms,
    restore_statistics,
    synchronize_batch_norms,
)


@pytest.fixture(scope="module")
def folded():
    """A network whose batch normalization scales by 1 and knows no statistics, and images."""
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    backbone = build_backbone("resnet18_v1")
    for layer in batch_norms(backbone):
        channels = layer.gamma.shape[0]
        layer.set_weights([
            np.ones(channels), rng.normal(size=channels), np.zeros(channels), np.full(channels, 1 - layer.epsilon),
        ])  # fmt: skip
    batches = [rng.normal(size=(2, 64, 96, 3)).astype(np.float32) for _ in range(3)]
    before = backbone.predict(batches[0], verbose=0)
    restore_statistics(backbone, [keras.ops.convert_to_tensor(batch) for batch in batches])
    return backbone, batches, before


def test_restoring_statistics_leaves_the_function_as_it_was(folded):
    backbone, batches, before = folded
    after = backbone.predict(batches[0], verbose=0)
    for level, expected in before.items():
        np.testing.assert_allclose(after[level], expected, rtol=1e-3, atol=1e-3 * np.abs(expected).max())


def test_restored_statistics_are_those_of_what_the_layers_are_fed(folded):
    backbone, batches, _ = folded
    for name in ("bn1", "stage2_block1_shortcut_bn", "stage4_block2_bn2"):
        layer = backbone.get_layer(name)
        fed = keras.Model(backbone.input, layer.input).predict(np.concatenate(batches), verbose=0)
        np.testing.assert_allclose(layer.moving_mean, fed.mean(axis=(0, 1, 2)), rtol=1e-3, atol=1e-3 * fed.std())
        np.testing.assert_allclose(layer.moving_variance, fed.var(axis=(0, 1, 2)), rtol=2e-3)


def test_normalization_by_the_batch_then_gives_what_normalization_by_statistics_gives(folded):
    """So training starts from the network that was loaded; before, features of a batch were of another scale."""
    backbone, batches, _ = folded
    images = np.concatenate(batches)
    for level, expected in backbone.predict(images, verbose=0).items():
        found = np.asarray(backbone(images, training=True)[level])
        np.testing.assert_allclose(found, expected, rtol=0.02, atol=0.02 * np.abs(expected).max())


def test_all_batch_norms_are_synchronized():
    model = build_fcn("fcn8s", "mobilenet_v2", num_classes=2)
    synchronize_batch_norms(model)
    norms = list(batch_norms(model))
    assert len(norms) == 52
    assert all(layer.synchronized for layer in norms)


def one_layer(**options):
    """Returns a network of a single layer with weights of its own, and images."""
    keras.utils.set_random_seed(0)
    image = keras.Input((None, None, 3))
    layer = keras.layers.BatchNormalization(name="bn", momentum=0.75, epsilon=0.1, **options)
    network = keras.Model(image, layer(image))
    rng = np.random.default_rng(1)
    network.set_weights([rng.uniform(0.5, 1.5, weight.shape) for weight in network.get_weights()])
    return network, tf.constant(rng.normal([5, 0, -5], [1, 3, 0.1], (2, 5, 7, 3)), tf.float32)


def step(network, images):
    """Returns the outputs in training, the gradients of their weighted sum, and the statistics afterwards."""
    factors = np.random.default_rng(2).normal(size=images.shape).astype(np.float32)

    @tf.function
    def differentiate():
        with tf.GradientTape() as tape:
            tape.watch(images)
            outputs = network(images, training=True)
            total = tf.reduce_sum(tf.cast(outputs, tf.float32) * factors)
        return [outputs, *tape.gradient(total, [images, *network.trainable_weights])]

    return [np.asarray(tensor, np.float32) for tensor in differentiate()] + network.get_weights()


@pytest.mark.parametrize("options", [{}, {"scale": False, "center": False}, {"scale": False}, {"axis": 3}])
def test_fused_batch_norm_trains_as_that_of_keras(options):
    network, images = one_layer(**options)
    fused, _ = one_layer(**options)
    fuse_batch_norms(fused)
    for found, right in zip(step(fused, images), step(network, images), strict=True):
        np.testing.assert_allclose(found, right, rtol=1e-5, atol=1e-5 * max(np.abs(right).max(), 1))


def test_fused_batch_norm_keeps_the_mean_and_the_variance_of_the_batch():
    network, images = one_layer()
    fuse_batch_norms(network)
    before = [np.array(weight, np.float64) for weight in network.get_weights()[2:]]
    network(images, training=True)
    x = images.numpy().astype(np.float64)
    for old, found, batch in zip(before, network.get_weights()[2:], (x.mean((0, 1, 2)), x.var((0, 1, 2)))):
        np.testing.assert_allclose(found, 0.75 * old + 0.25 * batch, rtol=1e-5, atol=1e-6)


def test_fused_batch_norm_in_bfloat16_is_that_of_keras_but_for_rounding():
    network, images = one_layer(dtype="mixed_bfloat16")
    fused, _ = one_layer(dtype="mixed_bfloat16")
    fuse_batch_norms(fused)
    for found, right in zip(step(fused, images), step(network, images), strict=True):
        np.testing.assert_allclose(found, right, rtol=0.02, atol=0.02 * np.abs(right).max())


def test_fused_batch_norm_leaves_all_else_to_keras(tmp_path):
    network, images = one_layer()
    expected = network(images, training=False)
    fuse_batch_norms(network)
    np.testing.assert_array_equal(network(images, training=False), expected)
    network.get_layer("bn").trainable = False
    np.testing.assert_array_equal(network(images, training=True), expected)
    network.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras").get_layer("bn")
    assert loaded.get_config() == network.get_layer("bn").get_config()
    assert "call" not in vars(loaded)


@pytest.mark.parametrize(("momentum", "kept"), [(0.999, 0.9), (0.9, 0.9), (0.5, 0.5)])
@pytest.mark.parametrize("replicas", [1, 2])
def test_statistics_follow_within_some_steps(momentum, kept, replicas):
    """Those of keras.applications' MobileNetV2 keep 0.999: after a fine-tuning they were those of long ago."""
    image = keras.Input((None, None, 2))
    layer = keras.layers.BatchNormalization(momentum=momentum)
    model = keras.Model(image, layer(image))
    prepare_batch_norms(model, replicas)
    model(np.full((1, 2, 2, 2), 3.0, np.float32), training=True)
    np.testing.assert_allclose(layer.moving_mean, [3 * (1 - kept)] * 2, rtol=1e-5)
    np.testing.assert_allclose(layer.moving_variance, [kept] * 2, rtol=1e-5)
