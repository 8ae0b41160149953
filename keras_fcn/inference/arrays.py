"""Calculating where values are: tensors by TensorFlow, on its device; arrays by NumPy, where TensorFlow is not loaded.

What averages, tiles and decides is written once, with these. NumPy alone, for tensors too, would take five times as
long to resize probabilities, and copy them from a GPU.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

Array: TypeAlias = Any
"""A NumPy array or a tensor of TensorFlow's."""

Segment: TypeAlias = Callable[[Array], Array]
"""From images uint8 [N, H, W, 3] to class ids uint8 [N, H, W]."""

ProbabilityFunction: TypeAlias = Callable[[Array], Array]
"""From images uint8 [N, H, W, 3] to the probabilities of the classes, float32 [N, H, W, C]."""


def tensorflow_of(values: Array) -> Any:
    """Returns the module TensorFlow if the values are a tensor of it, and None if they are an array."""
    tf = sys.modules.get("tensorflow")
    return tf if tf is not None and tf.is_tensor(values) else None


def likeliest(values: Array, axis: int = -1) -> Array:
    """Returns the most probable class, uint8 [N, H, W], for logits or probabilities [N, H, W, C].

    Args:
        values: Logits or probabilities.
        axis: The axis of the classes, if it is not the last.
    """
    if tf := tensorflow_of(values):
        return tf.cast(tf.argmax(values, axis=axis, output_type=tf.int32), tf.uint8)
    return np.argmax(values, axis).astype(np.uint8)


def highest(values: Array) -> Array:
    """Returns the highest value along the last axis, [...] of [..., C]."""
    return tf.reduce_max(values, axis=-1) if (tf := tensorflow_of(values)) else np.max(values, axis=-1)


def chosen(condition: Array, values: Array, others: Array) -> Array:
    """Returns the values where a condition of the same kind holds, and the others elsewhere."""
    if tf := tensorflow_of(condition):
        return tf.where(condition, values, others)
    return np.where(condition, values, others)


def softmax_at(temperature: float, logits: Array, axis: int = -1) -> Array:
    """Returns probabilities float32 [..., C] of logits at a temperature (Guo et al., ICML 2017, section 4.2)."""
    divided = logits if temperature == 1 else logits / temperature
    if tf := tensorflow_of(logits):
        return tf.nn.softmax(divided, axis=axis)
    powers = np.exp(divided - divided.max(axis=axis, keepdims=True))
    return powers / powers.sum(axis=axis, keepdims=True)


def logarithm(values: Array, least: float) -> Array:
    """Returns the natural logarithms of values, or of `least` where they are lower."""
    return (
        tf.math.log(tf.maximum(values, least)) if (tf := tensorflow_of(values)) else np.log(np.maximum(values, least))
    )


def resized(values: Array, size: tuple[int, int]) -> Array:
    """Resizes bilinearly, with half-pixel centres and no smoothing, as `tf.image.resize` does, to the last bit.

    Args:
        values: [N, H, W, C].
        size: Height and width.

    Returns:
        float32 [N, *size, C].
    """
    if tf := tensorflow_of(values):
        return tf.image.resize(values, size)
    values = np.asarray(values, np.float32)
    return _resized_along(_resized_along(values, 2, size[1]), 1, size[0])


def _resized_along(values: np.ndarray, axis: int, length: int) -> np.ndarray:
    before = values.shape[axis]
    if before == length:
        return values
    half = np.float32(0.5)
    places = (np.arange(length, dtype=np.float32) + half) * np.float32(before / length) - half
    below = np.floor(places)
    first = np.clip(below.astype(np.int64), 0, before - 1)
    second = np.clip(below.astype(np.int64) + 1, 0, before - 1)
    result, start = values.take(second, axis), values.take(first, axis)
    result -= start
    result *= (places - below).reshape(-1, *(1,) * (values.ndim - 1 - axis))
    result += start
    return result


def rounded_bytes(values: Array) -> Array:
    """Returns values of 0 to 255 as uint8, halves to the even number."""
    return tf.cast(tf.round(values), tf.uint8) if (tf := tensorflow_of(values)) else np.rint(values).astype(np.uint8)
