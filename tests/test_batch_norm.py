import keras
import numpy as np
import pytest

from keras_fcn.backbones import build_backbone
from keras_fcn.batch_norm import batch_norms, restore_statistics, synchronize_batch_norms
from keras_fcn.fcn import build_fcn


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
