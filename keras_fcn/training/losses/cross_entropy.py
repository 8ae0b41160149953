"""The cross-entropy of all pixels or the hardest, with class weights and label smoothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import tensorflow as tf

from keras_fcn.images.classes import VOID_LABEL

_SMALLEST_PROBABILITY = 1e-37
"""Below, float32 begins to lose digits."""


def summed_cross_entropy(
    labels: tf.Tensor,
    logits: tf.Tensor,
    class_weights: Sequence[float] | None = None,
    label_smoothing: float = 0.0,
    hardest: float = 1.0,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Sums the softmax cross-entropy over all pixels that are not void.

    Sum and count are returned separately, so that several replicas can divide by the count of all: a mean of replicas'
    means would weight pixels differently where void is spread unevenly.

    Args:
        labels: Integers [N, H, W], class ids or 255.
        logits: float32 [N, H, W, num_classes].
        class_weights: Weight of a pixel of each class; 1 if not given.
        label_smoothing: In 0 to 1. The fraction of the ground truth that is spread over all classes (Szegedy et al.:
            Rethinking the Inception Architecture, CVPR 2016, section 7); a pixel keeps the weight of its own class.
        hardest: In 0 to 1, not 0. The fraction of each image's pixels that count: those with the greatest loss before
            class weights. See `_hardest`.

    Returns:
        The weighted sum, and the sum of the weights, float32 scalars.
    """
    valid = tf.not_equal(labels, VOID_LABEL)
    ids = tf.cast(tf.where(valid, labels, tf.zeros_like(labels)), tf.int32)
    losses = _cross_entropy(ids, logits, label_smoothing)
    weights = tf.cast(valid if hardest == 1 else _hardest(losses, valid, hardest), losses.dtype)
    if class_weights is not None:
        weights *= tf.gather(tf.constant(class_weights, losses.dtype), ids)
    return tf.reduce_sum(losses * weights), tf.reduce_sum(weights)


def _cross_entropy(ids: tf.Tensor, logits: tf.Tensor, label_smoothing: float) -> tf.Tensor:
    if not label_smoothing:  # the special case is faster
        return _sparse_cross_entropy(ids, logits)
    num_classes, of_others = logits.shape[-1], label_smoothing / logits.shape[-1]
    targets = tf.one_hot(ids, num_classes, 1 - label_smoothing + of_others, of_others)
    return tf.nn.softmax_cross_entropy_with_logits(targets, logits)


@tf.custom_gradient
def _sparse_cross_entropy(ids: tf.Tensor, logits: tf.Tensor) -> tuple[tf.Tensor, Callable]:
    """Returns the result of `tf.nn.sparse_softmax_cross_entropy_with_logits`, on a CPU in half the time.

    TensorFlow's kernel passes over the logits six times, and without oneDNN. The probabilities, which oneDNN
    computes in one pass, suffice for loss and gradient if none of the true classes' is too small for float32.
    """
    probabilities = tf.nn.softmax(logits)
    of_true_class = tf.gather(probabilities, ids, batch_dims=3)
    losses = tf.cond(
        tf.reduce_min(of_true_class) > _SMALLEST_PROBABILITY,
        lambda: -tf.math.log(of_true_class),
        lambda: tf.nn.sparse_softmax_cross_entropy_with_logits(ids, logits),
    )

    def gradient(of_losses: tf.Tensor) -> tuple[None, tf.Tensor]:
        with tf.control_dependencies([losses]):  # else a graph computes it first, and holds it from then on
            targets = tf.one_hot(ids, logits.shape[-1])
        return None, (probabilities - targets) * of_losses[..., None]

    return losses, gradient


def _hardest(losses: tf.Tensor, valid: tf.Tensor, fraction: float) -> tf.Tensor:
    """Returns a mask of the fraction of each image's valid pixels whose losses are greatest.

    Hard examples are mined online (Shrivastava, Gupta, Girshick: OHEM, CVPR 2016) image by image, as in the
    bootstrapped cross-entropy of Pohlen et al. (Full-Resolution Residual Networks, CVPR 2017), so that the choice does
    not depend on which other images are on the same replica. The number of pixels is a fraction, as void and the crop
    size change the total.

    Args:
        losses: float32 [N, H, W], at least 0.
        valid: bool [N, H, W].
        fraction: In 0 to 1.

    Returns:
        bool [N, H, W]. The number is rounded, at least one pixel if any is valid; pixels with exactly the loss of the
        last one are marked, too.
    """
    flat = tf.reshape(tf.where(valid, losses, -1.0), [tf.shape(losses)[0], -1])
    count = tf.reduce_sum(tf.cast(valid, tf.float32), axis=[1, 2])
    last = tf.maximum(tf.cast(tf.round(fraction * count), tf.int32), 1) - 1
    easiest = tf.gather(tf.sort(flat, direction="DESCENDING"), last, batch_dims=1)
    return tf.logical_and(valid, losses >= easiest[:, None, None])
