"""The training loss: a sum of losses, each exact on any number of replicas."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from pkgutil import resolve_name
from typing import TypeAlias

import keras
import tensorflow as tf

from keras_fcn.runs.names import LOSSES

Term: TypeAlias = Callable[[tf.Tensor, tf.Tensor], tuple[tf.Tensor, tf.Tensor]]
"""From labels, int32 [N, H, W], class ids or 255, and logits, float32 [N, H, W, num_classes], to a sum over pixels or
images and their number, both without void, float32 scalars."""


@keras.saving.register_keras_serializable("keras_fcn")
class SegmentationLoss(keras.losses.Loss):
    """The sum of one or more losses of the pixels that are not void; for `model.compile`, too.

    In `model.fit` it is the loss of the batch on one device; on several, Keras averages those of the devices, which
    differs where void is spread unevenly. `TrainingStep` sums `parts` instead.

    Args:
        terms: Names of losses, "cross_entropy", the mean over pixels, "dice" or "lovasz", the mean over images; or
            functions of one's own (`Term`).
        label_smoothing: Fraction of the ground truth that the cross-entropy spreads over all classes, in 0 to 1.
        ohem: Fraction of each image's pixels that the cross-entropy counts, those of the greatest loss.
        class_weights: Weight of a pixel of each class in the cross-entropy; 1 if not given.
        name: Its name in Keras.

    Raises:
        ValueError: If a term is unknown or there is none, or a number is out of its range.

    Examples:
        >>> model.compile("sgd", SegmentationLoss(["cross_entropy", "dice"], label_smoothing=0.1))
    """

    def __init__(
        self,
        terms: Sequence[str | Term] = ("cross_entropy",),
        label_smoothing: float = 0.0,
        ohem: float = 1.0,
        class_weights: Sequence[float] | None = None,
        name: str = "segmentation_loss",
    ) -> None:
        super().__init__(name=name)
        if not terms or not all(callable(term) or term in LOSSES for term in terms):
            raise ValueError(f"terms must be some of {', '.join(LOSSES)}, or functions. Received: terms={terms!r}")
        if not 0 <= label_smoothing < 1:
            raise ValueError(f"label_smoothing must be at least 0 and less than 1. Received: {label_smoothing}")
        if not 0 < ohem <= 1:
            raise ValueError(f"ohem must be greater than 0 and at most 1. Received: {ohem}")
        self.terms, self.label_smoothing, self.ohem = tuple(terms), label_smoothing, ohem
        self.class_weights = None if class_weights is None else tuple(class_weights)
        self._functions = [self._function(term) for term in self.terms]

    def parts(self, labels: tf.Tensor, logits: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the parts that replicas sum: the loss is `total(sums, normalizers)` of their totals.

        Args:
            labels: Integers [N, H, W], class ids or 255.
            logits: Floats [N, H, W, num_classes].

        Returns:
            The sum of each term over these pixels or images, and their number, both float32 [terms].
        """
        labels, logits = tf.cast(labels, tf.int32), tf.cast(logits, tf.float32)
        sums, normalizers = zip(*(function(labels, logits) for function in self._functions))
        return tf.stack(sums), tf.stack(normalizers)

    def _function(self, term: str | Term) -> Term:
        if callable(term):
            return tf.function(term)  # which may ask tensors in an `if`; ours do not, and are traced as they are
        function = resolve_name(LOSSES[term])
        if term != "cross_entropy":
            return function
        return functools.partial(
            function, class_weights=self.class_weights, label_smoothing=self.label_smoothing, hardest=self.ohem
        )

    @staticmethod
    def rates(normalizers: tf.Tensor) -> tf.Tensor:
        """Returns the weight of each sum in the loss, float32 [terms]."""
        return 1 / tf.maximum(normalizers, 1.0)

    @classmethod
    def total(cls, sums: tf.Tensor, normalizers: tf.Tensor) -> tf.Tensor:
        """Returns the loss, a scalar, linear in the sums: with the normalizers of all replicas, this replica's part."""
        return tf.reduce_sum(sums * cls.rates(normalizers))

    def call(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        """Returns the loss of labels [N, H, W], which Keras makes floats, and logits [N, H, W, num_classes]."""
        return self.total(*self.parts(tf.cast(y_true, tf.int32), y_pred))

    def get_config(self) -> dict:
        """Returns the arguments of the constructor."""
        return {
            "name": self.name,
            "terms": self.terms,
            "label_smoothing": self.label_smoothing,
            "ohem": self.ohem,
            "class_weights": self.class_weights,
        }
