"""Learning-rate schedules, optimizers, and the weights that each trains."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from pkgutil import resolve_name

import keras
import tensorflow as tf
from keras import ops

from keras_fcn.network.parts import Parts, flat_layers
from keras_fcn.runs.config import OptimizerOptions
from keras_fcn.runs.names import OPTIMIZERS, SCHEDULES, ScheduleName

POLY_POWER = 0.9
"""Chen et al.: DeepLab, TPAMI 2018, section 4.1.1."""


def poly(progress):
    """Returns (1 - p) ** 0.9."""
    return (1.0 - progress) ** POLY_POWER


def cosine(progress):
    """Returns (1 + cos(pi p)) / 2 (Loshchilov, Hutter: SGDR, ICLR 2017, equation 5)."""
    return (1.0 + ops.cos(math.pi * progress)) / 2.0


def constant(progress):
    """Returns 1."""
    return ops.ones_like(progress)


class Schedule(keras.optimizers.schedules.LearningRateSchedule):
    """A learning rate that rises linearly over a warm-up, then falls.

    After the warm-up it is the fraction of the peak that one of `SCHEDULES` returns for the progress, from 0 to 1 over
    the steps that are left.

    Args:
        kind: The name of the schedule: "poly", "cosine" or "constant".
        peak: The rate at the end of the warm-up.
        steps: Training steps of the whole run.
        warmup_steps: Steps in which the rate rises, less than `steps`.
        first_step: The step of the run at which the optimizer starts to count.
    """

    def __init__(self, kind: ScheduleName, peak: float, steps: int, warmup_steps: int = 0, first_step: int = 0) -> None:
        self.kind, self.peak, self.steps, self._shape = kind, peak, steps, resolve_name(SCHEDULES[kind])
        self.warmup_steps, self.first_step = warmup_steps, first_step

    def __call__(self, step):
        """Returns the rate, a float32 scalar, of a step counted from 0."""
        step = ops.cast(step, "float32") + self.first_step
        progress = ops.clip((step - self.warmup_steps) / max(self.steps - self.warmup_steps, 1), 0.0, 1.0)
        warm = ops.minimum((step + 1.0) / max(self.warmup_steps, 1), 1.0)
        return self.peak * warm * self._shape(progress)

    def get_config(self) -> dict:
        """Returns the arguments of the constructor."""
        names = ("kind", "peak", "steps", "warmup_steps", "first_step")
        return {name: getattr(self, name) for name in names}


class SGD(keras.optimizers.SGD):
    """Keras' SGD with momentum, in one pass over the weights and in place.

    Keras goes over them five times, and assigns a new tensor to the momentum in every step. Those take memory
    that others freed in the meantime, so that TensorFlow's pool, which returns none, has to grow: by a tenth of a
    training's memory in some twenty steps.
    """

    def update_step(self, gradient, variable, learning_rate):
        """Updates the momentum to `momentum * m - learning_rate * gradient`, and adds it to the variable."""
        tf.raw_ops.ResourceApplyKerasMomentum(
            var=variable.handle,
            accum=self.momentums[self._get_variable_index(variable)].value.handle,
            lr=tf.cast(learning_rate, variable.dtype),
            grad=gradient,
            momentum=tf.constant(self.momentum, variable.dtype),
        )


class AdamW(keras.optimizers.AdamW):
    """Keras' AdamW, in one pass over the weights instead of a dozen."""

    def update_step(self, gradient, variable, learning_rate):
        """Updates both moments, and the variable by them (Kingma, Ba: Adam, ICLR 2015, the end of section 2)."""
        index = self._get_variable_index(variable)
        step = tf.cast(self.iterations + 1, variable.dtype)
        beta1, beta2, epsilon = (tf.constant(x, variable.dtype) for x in (self.beta_1, self.beta_2, self.epsilon))
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=self._momentums[index].value.handle,
            v=self._velocities[index].value.handle,
            beta1_power=beta1**step,
            beta2_power=beta2**step,
            lr=tf.cast(learning_rate, variable.dtype),
            beta1=beta1,
            beta2=beta2,
            epsilon=epsilon,
            grad=gradient,
        )


@dataclasses.dataclass(frozen=True)
class ParameterGroup:
    """Variables, and the optimizer that trains them and no others."""

    optimizer: keras.optimizers.Optimizer
    variables: list[keras.Variable]


def build_parameter_groups(
    options: OptimizerOptions, model: keras.Model, epochs: int, steps_per_epoch: int
) -> tuple[ParameterGroup, ParameterGroup]:
    """Returns two groups: the head, and the backbone with a learning rate of its own.

    The backbone's optimizer counts its steps from when the backbone is no longer frozen, on the same schedule.

    Args:
        options: Optimizer, schedule, rates and weight decay.
        model: The network to train.
        epochs: Number of the run's epochs.
        steps_per_epoch: Training steps of an epoch.
    """
    steps, frozen_steps = epochs * steps_per_epoch, options.freeze_backbone * steps_per_epoch
    backbone = Parts(model).backbone.trainable_variables
    in_backbone = {id(variable) for variable in backbone}
    head = [variable for variable in model.trainable_variables if id(variable) not in in_backbone]
    decayed = {id(variable) for variable in _convolution_kernels(model)}

    def group(variables: list[keras.Variable], factor: float, first_step: int) -> ParameterGroup:
        schedule = Schedule(options.schedule, factor * options.peak_rate, steps, options.warmup_steps, first_step)
        entry = OPTIMIZERS[options.optimizer]
        optimizer = resolve_name(entry.function)(schedule, weight_decay=options.decay, **entry.arguments)
        optimizer.exclude_from_weight_decay([v for v in variables if id(v) not in decayed])
        optimizer.build(variables)
        return ParameterGroup(optimizer, variables)

    return group(head, 1.0, 0), group(backbone, options.backbone_rate, frozen_steps)


def _convolution_kernels(model: keras.Model) -> Iterator[keras.Variable]:
    """Yields the kernels that weight decay applies to.

    Those of transposed convolutions are not among them: they start bilinear, and decay would pull them to zero.
    """
    for layer in flat_layers(model):
        if isinstance(layer, (keras.layers.Conv2D, keras.layers.DepthwiseConv2D)):
            yield layer.kernel
