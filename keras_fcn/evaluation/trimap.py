"""The band of pixels around the boundaries of the ground truth, for metrics of outlines."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from keras_fcn.images.classes import VOID_LABEL


def trimap(label: np.ndarray, width: int) -> np.ndarray:
    """Returns a label with only the pixels near true boundaries; all others are void.

    Kohli, Ladický, Torr (IJCV 2009) and Krähenbühl, Koltun (NIPS 2011, section 5) count errors in such a band, called
    a trimap; Chen et al. (DeepLab, TPAMI 2018) take its mean IoU. Boundaries are where neighbouring pixels have other
    labels, void's outlines included, as there; the image's border is none. (The "Boundary IoU" of Cheng et al., CVPR
    2021, is another metric: it also looks at the boundaries of the prediction.)

    Args:
        label: Ground truth uint8 [H, W], class ids and 255 for void.
        width: Width of the band on either side of a boundary, in pixels, at least 1. A pixel belongs to the band if
            another label is at most this many rows and columns away.

    Returns:
        uint8 [H, W], the label within the band and 255 elsewhere.
    """
    values = tf.cast(label, tf.float32)[None, ..., None]

    def highest(values: tf.Tensor) -> tf.Tensor:
        """Returns the highest value in the window around each pixel, float32 [1, H, W, 1]: down, then across."""
        size = 2 * width + 1
        return tf.nn.max_pool2d(tf.nn.max_pool2d(values, (size, 1), 1, "SAME"), (1, size), 1, "SAME")

    is_near = highest(values) != -highest(-values)  # two labels in the window
    return np.where(is_near[0, ..., 0], label, VOID_LABEL).astype(np.uint8)
