"""The Lovász-softmax loss: the Jaccard index, extended from sets of pixels to probabilities."""

from __future__ import annotations

import tensorflow as tf

from keras_fcn.images.classes import VOID_LABEL


def summed_lovasz(labels: tf.Tensor, logits: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Sums over images the Lovász-softmax loss, in the mean over the classes in the image.

    Where all probabilities are 0 or 1 it is the mean of 1 - IoU over these classes (Berman, Rannen Triki, Blaschko: The
    Lovász-Softmax Loss, CVPR 2018; equation 9, and of section 3 the variant per image with the classes present).

    Args:
        labels: Integers [N, H, W], class ids or 255.
        logits: float32 [N, H, W, num_classes].

    Returns:
        The sum and the number of images in it, those with a valid pixel, float32 scalars.
    """
    images, num_classes = tf.shape(logits)[0], logits.shape[-1]
    labels = tf.cast(tf.reshape(labels, [images, -1]), tf.int32)
    probabilities = tf.reshape(tf.nn.softmax(logits), [images, -1, num_classes])
    slopes, intercepts = _tangents(labels, tf.stop_gradient(probabilities))
    classes = tf.reduce_sum(tf.cast(intercepts > 0, tf.float32), axis=1)
    losses = tf.reduce_sum(slopes * probabilities, axis=[1, 2]) + tf.reduce_sum(intercepts, axis=1)
    return tf.reduce_sum(losses / tf.maximum(classes, 1.0)), tf.reduce_sum(tf.cast(classes > 0, tf.float32))


def _tangents(labels: tf.Tensor, probabilities: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns each class's loss as a linear function of its probabilities, valid until the order of two errors changes.

    Sorting takes most of the time, so it is done class by class, and only for classes in the image; XLA compiles a loop
    of conditions, but no selection of rows.

    Args:
        labels: int32 [N, pixels].
        probabilities: float32 [N, pixels, num_classes].

    Returns:
        The slopes, float32 [N, pixels, num_classes], negative for pixels of the class, 0 for void and absent
        classes; and the intercepts, float32 [N, num_classes], greater than 0 for classes in the image.
    """
    images, num_classes = tf.shape(probabilities)[0], probabilities.shape[-1]

    def of_class(index: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        image, class_id = index // num_classes, index % num_classes
        of_image = labels[image]
        is_class = tf.equal(of_image, class_id)
        return tf.cond(
            tf.reduce_any(is_class),
            lambda: _tangent(is_class, of_image != VOID_LABEL, probabilities[image, :, class_id]),
            lambda: (tf.zeros(tf.shape(of_image)), 0.0),
        )

    slopes, intercepts = tf.map_fn(
        of_class, tf.range(images * num_classes), fn_output_signature=(tf.float32, tf.float32)
    )
    slopes = tf.transpose(tf.reshape(slopes, [images, num_classes, -1]), [0, 2, 1])
    return slopes, tf.reshape(intercepts, [images, num_classes])


def _tangent(is_class: tf.Tensor, valid: tf.Tensor, probability: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns slopes [pixels] and intercept of one class in one image, from arguments [pixels].

    Among the pixels down to this one in the order of errors let k be of the class, which has n, and m others. The
    Jaccard loss of these is 1 - (n - k) / (n + m). The pixel's contribution (algorithm 1 of the paper) is written out,
    because the difference of two numbers near 1 would lose most of a float32's digits.
    """
    error = tf.where(is_class, 1 - probability, probability)
    order = tf.argsort(error, direction="DESCENDING")  # void is nobody's pixel, wherever it stands
    own = tf.gather(tf.cast(is_class, tf.float32), order)
    others = tf.gather(tf.cast(tf.logical_and(valid, ~is_class), tf.float32), order)
    missed = tf.reduce_sum(own) - tf.cumsum(own)  # n - k; float32 counts 16 million pixels exactly
    union = tf.reduce_sum(own) + tf.cumsum(others)
    of_own, of_others = own / union, others * missed / union / tf.maximum(union - 1, 1.0)
    return tf.scatter_nd(order[:, None], of_others - of_own, tf.shape(order)), tf.reduce_sum(of_own)
