"""The pixelwise loss."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from keras_fcn.labels import VOID_LABEL


def summed_cross_entropy(
    labels: tf.Tensor, logits: tf.Tensor, class_weights: Sequence[float] | None = None
) -> tuple[tf.Tensor, tf.Tensor]:
    """Sums the softmax cross-entropy over all pixels that are not void.

    Sum and count are returned apart, so that several replicas can divide by the count of all of them: a mean of
    replicas' means would weigh pixels differently where void is spread unevenly.

    Args:
        labels: Integers [N, H, W], class ids or 255.
        logits: float32 [N, H, W, num_classes].
        class_weights: How much a pixel of each class counts; 1 if not given.

    Returns:
        The sum and the number of pixels in it, both by weight, float32 scalars.
    """
    valid = tf.not_equal(labels, VOID_LABEL)
    ids = tf.cast(tf.where(valid, labels, tf.zeros_like(labels)), tf.int32)
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(ids, logits)
    weights = tf.cast(valid, losses.dtype)
    if class_weights is not None:
        weights *= tf.gather(tf.constant(class_weights, losses.dtype), ids)
    return tf.reduce_sum(losses * weights), tf.reduce_sum(weights)
