"""Which samples are drawn around a pixel of a rare class, and around which."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from keras_fcn.datasets.balance.rare import PART, RarePositions


def near_rare(rare: RarePositions | None) -> Callable[[tf.Tensor, tf.Tensor], tf.Tensor | None]:
    """Returns a function from an image's index and a sample's seed to the position that its crop shows, -1 for any."""
    if rare is None or not len(rare.positions):
        return lambda index, seed: None
    positions, ranges = tf.constant(rare.positions), tf.constant(rare.ranges)

    def near(index: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        start, end = tf.unstack(ranges[index])
        which, number = tf.unstack(tf.random.stateless_uniform([2], tf.random.fold_in(seed, 2)))
        place = start + tf.cast(which * tf.cast(end - start, tf.float32), tf.int32)
        chosen = positions[tf.minimum(place, len(rare.positions) - 1)]
        return tf.where((end > start) & (number < PART), chosen, -1)

    return near
