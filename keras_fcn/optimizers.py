"""The optimizer of a training run and its schedule."""

from __future__ import annotations

from collections.abc import Iterator

import keras

from keras_fcn.config import TrainConfig


def learning_rate_schedule(config: TrainConfig, steps: int) -> keras.optimizers.schedules.LearningRateSchedule:
    """Returns the "poly" schedule: the rate falls from its start to 0 as (1 - step / steps) ** 0.9."""
    return keras.optimizers.schedules.PolynomialDecay(config.learning_rate, steps, 0.0, power=0.9)


def build_optimizer(config: TrainConfig, model: keras.Model, steps: int) -> keras.optimizers.Optimizer:
    """Returns SGD with momentum 0.9, whose weight decay spares all but the kernels of convolutions.

    Args:
        config: Learning rate and weight decay.
        model: The network to train.
        steps: Training steps of the whole run.
    """
    optimizer = keras.optimizers.SGD(
        learning_rate_schedule(config, steps), momentum=0.9, weight_decay=config.weight_decay
    )
    decayed = {id(variable) for variable in _convolution_kernels(model)}
    optimizer.exclude_from_weight_decay([v for v in model.trainable_variables if id(v) not in decayed])
    return optimizer


def flat_layers(model: keras.Model) -> Iterator[keras.layers.Layer]:
    """Yields the layers of a model, those of models nested in it included."""
    for layer in model.layers:
        yield from flat_layers(layer) if isinstance(layer, keras.Model) else (layer,)


def _convolution_kernels(model: keras.Model) -> Iterator[keras.Variable]:
    """Yields the kernels that weight decay pulls on.

    Not those of transposed convolutions: they start bilinear, mostly zero, and decay would pull the rest there, too.
    """
    for layer in flat_layers(model):
        if isinstance(layer, (keras.layers.Conv2D, keras.layers.DepthwiseConv2D)):
            yield layer.kernel
