"""From probabilities to classes."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

import numpy as np

from keras_fcn.errors import UserError, argument
from keras_fcn.images.classes import VOID_LABEL
from keras_fcn.inference.arrays import Array, chosen, highest, likeliest
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
        given = dict(map(threshold_of, texts))
        unknown = next((name for name in given if name not in names), None)
        if unknown is not None:
            there = f"the classes are {', '.join(names)}"
            raise UserError(f"{argument('threshold')} names {unknown!r}, which is no class of the model; {there}")
        return dataclasses.replace(self, thresholds=tuple(map(given.get, names))) if given else self

    def __call__(self, probabilities: Array) -> Array:
        """Returns class ids, or 255 for void, uint8 [...], for probabilities float32 [..., C]."""
        ids = self._by_thresholds(probabilities) if self.thresholds else likeliest(probabilities)
        if self.unsure == 0:
            return ids
        return chosen(highest(probabilities) >= self.unsure, ids, np.uint8(VOID_LABEL))

    def _by_thresholds(self, probabilities: Array) -> Array:
        least = np.array([_NEVER if value is None else value for value in self.thresholds], np.float32)
        factors = probabilities / least
        best = likeliest(chosen(factors >= 1, factors, np.float32(0)))
        banned = np.array([0 if value is None else _NEVER for value in self.thresholds], np.float32)
        others = likeliest(probabilities - banned if not banned.all() else probabilities)
        return chosen(highest(factors) >= 1, best, others)
