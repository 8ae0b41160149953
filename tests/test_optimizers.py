import keras
import numpy as np
import pytest

from keras_fcn.config import TrainConfig
from keras_fcn.fcn import build_fcn
from keras_fcn.optimizers import build_optimizer, learning_rate_schedule


def test_the_rate_is_poly():
    schedule = learning_rate_schedule(TrainConfig(learning_rate=0.2), steps=50)
    rates = [float(schedule(step)) for step in range(51)]
    np.testing.assert_allclose(rates, 0.2 * (1 - np.arange(51) / 50) ** 0.9, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("backbone", ["resnet18_v2", "mobilenet_v2"])
def test_decay_pulls_on_convolution_kernels_only(backbone):
    """With gradients of zero, a step of SGD leaves everything as it was but what decays."""
    keras.utils.set_random_seed(0)
    model = build_fcn("fcn8s", backbone, num_classes=3)
    model.get_layer("score_pool3").kernel.assign(keras.ops.ones_like(model.get_layer("score_pool3").kernel))
    optimizer = build_optimizer(TrainConfig(learning_rate=0.1, weight_decay=0.01), model, steps=10**6)
    before = [np.asarray(variable) for variable in model.trainable_variables]
    optimizer.apply(
        [keras.ops.zeros_like(variable) for variable in model.trainable_variables], model.trainable_variables
    )
    for variable, old in zip(model.trainable_variables, before):
        decays = "kernel" in variable.name and not variable.path.split("/")[-2].startswith("upscore")
        np.testing.assert_allclose(np.asarray(variable), old * (0.999 if decays else 1), rtol=1e-5)


def test_momentum_is_the_tutorials():
    optimizer = build_optimizer(TrainConfig(), build_fcn("fcn32s", num_classes=2), steps=10)
    assert isinstance(optimizer, keras.optimizers.SGD)
    assert optimizer.momentum == 0.9
