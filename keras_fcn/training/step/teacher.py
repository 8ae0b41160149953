"""The teacher, which labels images for the network in training."""

from __future__ import annotations

import math

import keras
import tensorflow as tf

from keras_fcn.pipeline.unlabelled import Unlabelled

DECAY = 0.99
"""Weight of the old average in each step where `--average` does not say it."""


class Teacher:
    """Labels images by a network whose weights are the moving average of those in training (Tarvainen, Valpola 2017).

    Args:
        network: That network; `WeightAverage` keeps its weights.
        threshold: The probability below which a pixel's label is void, 0-1 (FixMatch, Sohn et al. 2020).
    """

    def __init__(self, network: keras.Model, threshold: float) -> None:
        self.network = network
        self._least = math.log(threshold) if threshold else -math.inf

    def label(self, batch: Unlabelled) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the images for the network in training, uint8 [N, H, W, 3], and their labels, uint8 [N, H, W]."""
        logits = self.network(tf.cast(batch.plain, tf.float32), training=False)  # [N, H, W, num_classes]
        logits = tf.cast(tf.nest.flatten(logits)[0], tf.float32)
        sure = tf.reduce_max(logits, -1) - tf.reduce_logsumexp(logits, -1) >= self._least
        classes = tf.argmax(logits, -1, tf.int32)
        counts = tf.logical_and(sure, batch.asked > 0)
        return batch.strong, tf.where(counts, tf.cast(classes, tf.uint8), batch.labels)
