"""From probabilities to classes."""

from __future__ import annotations

import dataclasses

import tensorflow as tf

from keras_fcn.images.classes import VOID_LABEL
from keras_fcn.inference.graphs import likeliest


@dataclasses.dataclass(frozen=True)
class Decision:
    """The most probable class of a pixel, or void where even that is not sure enough.

    Attributes:
        unsure: The least probability, 0-1, of the most probable class.
    """

    unsure: float = 0.0

    @property
    def is_plain(self) -> bool:
        """True if every pixel gets its most probable class."""
        return self.unsure == 0

    def __call__(self, probabilities: tf.Tensor) -> tf.Tensor:
        """Returns class ids, or 255 for void, uint8 [...], for probabilities float32 [..., C]."""
        ids = likeliest(probabilities)
        if self.is_plain:
            return ids
        is_sure = tf.reduce_max(probabilities, axis=-1) >= self.unsure
        return tf.where(is_sure, ids, tf.constant(VOID_LABEL, tf.uint8))
