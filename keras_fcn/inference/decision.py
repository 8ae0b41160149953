"""From logits and probabilities to classes."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from keras_fcn.errors import UserError, argument
from keras_fcn.images.classes import VOID_LABEL, ClassTable
from keras_fcn.inference.arrays import Array, chosen, highest, likeliest, softmax_at
from keras_fcn.inference.options import NO_THRESHOLDS, threshold_of

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

    @classmethod
    def of(cls, thresholds: Mapping[str, float], classes: ClassTable) -> Decision:
        """Returns the decision by thresholds of classes, by name.

        Raises:
            UserError: If a name is none of the classes, or the background.
        """
        names, background = classes.names, classes.background
        unknown = next((name for name in thresholds if name not in names), None)
        if unknown is not None:
            there = f"the classes are {', '.join(names)}"
            raise UserError(f"{argument('threshold')} names {unknown!r}, which is no class of the model; {there}")
        if background is not None and names[background] in thresholds:
            raise UserError(
                f"{argument('threshold')} names {names[background]}, which is what pixels are where no other class "
                "reaches its threshold; name other classes"
            )
        return cls(thresholds=tuple(map(thresholds.get, names)) if thresholds else ())

    def with_thresholds(self, texts: Iterable[str], classes: ClassTable) -> Decision:
        """Returns this decision with other thresholds, each written NAME=VALUE; without any for "none".

        Raises:
            UserError: If a name is none of the classes, or the background.
        """
        texts = [text for text in texts if text != NO_THRESHOLDS]
        return dataclasses.replace(Decision.of(dict(map(threshold_of, texts)), classes), unsure=self.unsure)

    def by_name(self, classes: ClassTable) -> dict[str, float]:
        """Returns the thresholds by the names of their classes."""
        return {name: value for name, value in zip(classes.names, self.thresholds) if value is not None}

    def described(self, classes: ClassTable) -> str:
        """Returns the thresholds human-readable; empty if there are none."""
        return ", ".join(f"{name}={value:g}" for name, value in self.by_name(classes).items())

    def __call__(self, probabilities: Array) -> Array:
        """Returns class ids, or 255 for void, uint8 [...], for probabilities float32 [..., C]."""
        ids = likeliest(self.scores(probabilities))
        if self.unsure == 0:
            return ids
        return chosen(highest(probabilities) >= self.unsure, ids, np.uint8(VOID_LABEL))

    def of_logits(self, logits: Array, temperature: float = 1.0, axis: int = -1) -> Array:
        """Returns class ids, uint8, for logits whose axis of classes may be another; what is not sure has a class."""
        if not self.thresholds:
            return likeliest(logits, axis)
        return likeliest(self.scores(softmax_at(temperature, logits, axis), axis), axis)

    def scores(self, probabilities: Array, axis: int = -1) -> Array:
        """Returns numbers as many as the probabilities, of which the class has the greatest.

        Without thresholds, they are the probabilities. A class that reaches its threshold has 2 p / threshold, at least
        2; one that does not has less than 0, unless all classes have thresholds.
        """
        if not self.thresholds:
            return probabilities
        axes = [1] * (len(probabilities.shape) - 1)
        axes.insert(axis % (len(axes) + 1), len(self.thresholds))
        least = np.array([_NEVER if value is None else value for value in self.thresholds], np.float32).reshape(axes)
        banned = np.array([0 if value is None else _NEVER for value in self.thresholds], np.float32).reshape(axes)
        others = probabilities if banned.all() else probabilities - banned
        return chosen(probabilities >= least, probabilities * (2 / least), others)


def threshold_note(name: str, own: Decision, used: Decision, unused: Sequence[str], classes: ClassTable) -> str:
    """Returns a line on thresholds that are kept in a model, used or replaced; empty if there are none.

    Args:
        name: The model's name.
        own: How the model itself decides.
        used: How its pixels are decided.
        unused: Of several models, the names of those that keep thresholds.
        classes: The classes.
    """
    if unused and not used.thresholds:
        return (
            f"thresholds kept in {', '.join(unused)} were chosen for one model, and do not decide by the mean of "
            "several; --threshold gives some for it"
        )
    if not (kept := own.described(classes)):
        return ""
    if used.thresholds == own.thresholds:
        return f"{name}: its own thresholds decide: {kept}; --threshold none is without"
    return f"{name}: its own thresholds ({kept}) are replaced by {used.described(classes) or 'none'}"
