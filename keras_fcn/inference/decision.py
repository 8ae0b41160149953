"""From probabilities to classes."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

import tensorflow as tf

from keras_fcn.errors import UserError, argument
from keras_fcn.images.classes import VOID_LABEL
from keras_fcn.inference.graphs import likeliest
from keras_fcn.inference.options import threshold_of

_NEVER = 2.0


@dataclasses.dataclass(frozen=True)
class Decision:
    """How the probabilities of a pixel become its class.

    It is the most probable class. With thresholds, it is the class that reaches its own, of several the one that
    exceeds it by the greatest factor; where none does, the most probable class of those without threshold. Void is
    where even the most probable class is not sure enough.

    Attributes:
        unsure: The least probability, 0-1, of the most probable class.
        thresholds: The threshold of each class, 0-1; None for a class without. Empty for none at all.
    """

    unsure: float = 0.0
    thresholds: tuple[float | None, ...] = ()

    @property
    def is_plain(self) -> bool:
        """True if every pixel gets its most probable class."""
        return self.unsure == 0 and not self.thresholds

    def with_thresholds(self, texts: Iterable[str], names: tuple[str, ...]) -> Decision:
        """Returns this decision with thresholds, each written NAME=VALUE.

        Raises:
            UserError: If a name is none of the classes.
        """
        chosen = dict(map(threshold_of, texts))
        unknown = next((name for name in chosen if name not in names), None)
        if unknown is not None:
            there = f"the classes are {', '.join(names)}"
            raise UserError(f"{argument('threshold')} names {unknown!r}, which is no class of the model; {there}")
        return dataclasses.replace(self, thresholds=tuple(map(chosen.get, names))) if chosen else self

    def __call__(self, probabilities: tf.Tensor) -> tf.Tensor:
        """Returns class ids, or 255 for void, uint8 [...], for probabilities float32 [..., C]."""
        ids = self._by_thresholds(probabilities) if self.thresholds else likeliest(probabilities)
        if self.unsure == 0:
            return ids
        is_sure = tf.reduce_max(probabilities, axis=-1) >= self.unsure
        return tf.where(is_sure, ids, tf.constant(VOID_LABEL, tf.uint8))

    def _by_thresholds(self, probabilities: tf.Tensor) -> tf.Tensor:
        least = tf.constant([_NEVER if value is None else value for value in self.thresholds])
        reached = probabilities >= least
        best = likeliest(tf.where(reached, probabilities / least, 0.0))
        is_free = tf.constant([value is None for value in self.thresholds])
        is_any = any(value is None for value in self.thresholds)
        others = likeliest(tf.where(is_free, probabilities, -1.0) if is_any else probabilities)
        return tf.where(tf.reduce_any(reached, axis=-1), best, others)
