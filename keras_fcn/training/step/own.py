"""Parts of one's own, in place of those that the settings name."""

from __future__ import annotations

import dataclasses
from typing import Any

import tensorflow as tf

from keras_fcn.errors import UserError, argument
from keras_fcn.network.backbones import Backbone
from keras_fcn.pipeline.augmentation import Augment
from keras_fcn.training.losses import Term


@dataclasses.dataclass(frozen=True)
class OwnParts:
    """Parts of one's own, handed in from Python.

    Attributes:
        backbone: Replaces the one that the settings name.
        loss: Names and functions whose sum is minimized, instead of the losses that the settings name.
        augment: Changes each image before the augmentation of the settings, which cuts the crop.
    """

    backbone: Backbone | None = None
    loss: tuple[str | Term, ...] = ()
    augment: Augment | None = None

    @property
    def names(self) -> dict[str, str]:
        """Returns a name of each part that is given, by the argument of `train`."""
        parts = {"loss": self.loss, "augment": (self.augment,) if self.augment else ()}
        names = {name: " ".join(map(name_of, part)) for name, part in parts.items() if part}
        return names | ({"backbone": self.backbone.name} if self.backbone else {})


def name_of(part: object) -> str:
    """Returns the name of a part: its own, or that of its function or class."""
    return part if isinstance(part, str) else getattr(part, "__name__", type(part).__name__)


def require_sum_and_number(term: Term, num_classes: int) -> None:
    """Raises UserError if a loss of one's own does not return two scalars for an image of four pixels."""
    parts: Any = term(tf.zeros([1, 2, 2], tf.int32), tf.zeros([1, 2, 2, num_classes]))
    try:
        shapes = [tuple(part.shape) for part in parts]
    except TypeError:  # a tensor, say
        shapes = []
    if shapes != [(), ()]:
        wanted = "must return a sum and the number of its summands, two scalars"
        raise UserError(f"{argument('loss')} {wanted}. Received of {name_of(term)}: {parts}".replace("\n", " "))
