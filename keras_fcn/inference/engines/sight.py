"""How far a network sees."""

from __future__ import annotations

import keras

from keras_fcn.network.cost.receptive_field import Windows, receptive_fields
from keras_fcn.network.cost.trace import trace_model

_SIZE = (64, 64)


def sight_of(model: keras.Model) -> float:
    """Returns the most pixels that a pixel's logits depend on to one side; infinity for the whole image.

    Args:
        model: A network of `build_fcn`.

    Raises:
        ValueError: If a custom backbone has a layer whose receptive field is not known.
    """
    trace = trace_model(model, _SIZE)
    fields = receptive_fields(trace)[list(trace.outputs.values())[-1]]
    return max(map(_to_one_side, fields))


def _to_one_side(windows: Windows) -> float:
    return max(
        max(position - first, last - position)
        for position, (first, last) in enumerate(zip(windows.first, windows.last))
    )
