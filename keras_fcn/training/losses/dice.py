"""The soft dice loss: the overlap of each class as a whole, so that small objects count as much as large ones."""

from __future__ import annotations

import tensorflow as tf

from keras_fcn.images.classes import VOID_LABEL


def summed_dice(labels: tf.Tensor, logits: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Sums over images one minus the soft dice coefficient, in the mean over the classes in the image.

    The coefficient of a class is 2 sum(p g) / (sum(p^2) + sum(g^2)) over an image's valid pixels, with probabilities p
    and ground truth g of 0 or 1 (Milletari, Navab, Ahmadi: V-Net, 3DV 2016, section 3). As in Sudre et al. (Generalised
    Dice Overlap, DLMIA 2017) it is taken over several classes; here they count alike. It needs no smoothing constant,
    as a class in the image has at least one pixel.

    Args:
        labels: Integers [N, H, W], class ids or 255.
        logits: float32 [N, H, W, num_classes].

    Returns:
        The sum and the number of images in it, those with a valid pixel, float32 scalars.
    """
    images, num_classes = tf.shape(logits)[0], logits.shape[-1]
    labels = tf.cast(tf.reshape(labels, [images, -1]), tf.int32)
    targets = tf.one_hot(labels, num_classes)  # no class for void
    probabilities = tf.reshape(tf.nn.softmax(logits), [images, -1, num_classes])
    valid = tf.cast(tf.not_equal(labels, VOID_LABEL), tf.float32)

    def over_pixels(values: tf.Tensor) -> tf.Tensor:  # on CPUs a product is faster than the sum over a middle axis
        return tf.matmul(valid[:, None], values)[:, 0]

    pixels = over_pixels(targets)
    overlap = 2 * over_pixels(probabilities * targets) / tf.maximum(over_pixels(probabilities**2) + pixels, 1.0)
    present = tf.cast(pixels > 0, tf.float32)
    classes = tf.reduce_sum(present, axis=1)
    losses = tf.reduce_sum(present * (1 - overlap), axis=1) / tf.maximum(classes, 1.0)
    return tf.reduce_sum(losses), tf.reduce_sum(tf.cast(classes > 0, tf.float32))
