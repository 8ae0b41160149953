"""The exponential moving average of a network's weights."""

from __future__ import annotations

import keras
import tensorflow as tf


class WeightAverage:
    """Averages weights over the steps: the exponential moving average, EMA (Polyak, Juditsky 1992).

    In the first steps the average follows faster, as the decay is at most (1 + n) / (10 + n) in step n, so that the
    initial weights do not count.

    Args:
        model: The network in training; create this in the scope of its strategy.
        decay: Weight of the old average in each step, 0-1.
        kept_in: A network of the same weights, in the same order, which then always has the averages; own variables if
            it is None.

    Attributes:
        variables: The averages, in the order of `model.weights`; statistics of batch normalization included.
    """

    def __init__(self, model: keras.Model, decay: float, kept_in: keras.Model | None = None) -> None:
        self._model, self._decay = model, decay
        if kept_in is not None:
            kept_in.set_weights(model.get_weights())
            self.variables = [weight.value for weight in kept_in.weights]
            return
        self.variables = [
            tf.Variable(tf.convert_to_tensor(weight), trainable=False, name="average") for weight in model.weights
        ]

    def update(self, step: tf.Tensor) -> None:
        """Updates the averages by the present weights.

        Args:
            step: Number of steps before this one, a scalar.
        """
        step = tf.cast(step, tf.float32)
        decay = tf.minimum(self._decay, (1.0 + step) / (10.0 + step))
        for average, weight in zip(self.variables, self._model.weights):
            value = tf.convert_to_tensor(weight.value)
            average.assign_add(tf.cast(1.0 - decay, average.dtype) * (value - average))  # in place, unlike `assign`
