"""Images of which parts are taken, so that a crop of a large one costs what its own pixels cost."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from keras_fcn.images.classes import VOID_LABEL

PAD_COLOR = (124, 116, 104)
"""The mean colour of ImageNet's images, which is near zero after normalization."""


def pad_color(channels: int) -> tuple[int, ...]:
    """Returns `PAD_COLOR` for images of a number of channels; of others than three, its mean in each."""
    return PAD_COLOR if channels == 3 else (round(sum(PAD_COLOR) / 3),) * channels


Pair = tuple[tf.Tensor, tf.Tensor]
"""An image uint8 [H, W, channels] and its label uint8 [H, W]."""


class Source(NamedTuple):
    """An image with its label, in memory or not.

    Attributes:
        shape: Its height and width, int32 [2].
        part: Returns a part of both, from its first row and column and its height and width, int32 [2] each.
        is_large: Whether it is not to be taken whole, a bool scalar.
    """

    shape: tf.Tensor
    part: Callable[[tf.Tensor, tf.Tensor], Pair]
    is_large: tf.Tensor | bool = False


def whole(image: tf.Tensor, label: tf.Tensor) -> Source:
    """Returns an image uint8 [H, W, channels] and its label uint8 [H, W] that are in memory as a source."""

    def part(start: tf.Tensor, size: tf.Tensor) -> Pair:
        (top, left), (height, width) = tf.unstack(start), tf.unstack(size)
        rows, columns = slice(top, top + height), slice(left, left + width)
        return image[rows, columns], label[rows, columns]

    return Source(tf.shape(label), part)


def rotated(source: Source, degrees: float, seed: tf.Tensor) -> Source:
    """Returns an image and its label rotated about their centre by a random angle, of the same size.

    Images are resampled bilinearly, labels by nearest neighbour; uncovered corners are padding and void.

    Args:
        source: Both.
        degrees: The largest angle, in either direction.
        seed: Integers [2]; the same seed gives the same angle.
    """
    angle, centre = _angle(degrees, seed), tf.cast(source.shape - 1, tf.float32) / 2
    cos, sin = tf.cos(angle), tf.sin(angle)

    def origin(position: tf.Tensor) -> tf.Tensor:
        """Returns where a row and column [2] of the rotated image lies in the other."""
        y, x = tf.unstack(tf.cast(position, tf.float32) - centre)
        return tf.stack([sin * x + cos * y, cos * x - sin * y]) + centre

    def part(start: tf.Tensor, size: tf.Tensor) -> Pair:
        corners = [origin(start + (size - 1) * corner) for corner in ([0, 0], [0, 1], [1, 0], [1, 1])]
        reached = tf.cast(tf.floor(tf.reduce_min(corners, axis=0)), tf.int32) - 1  # with neighbours, that are mixed
        first = tf.clip_by_value(reached, 0, source.shape - 1)
        reached = tf.cast(tf.math.ceil(tf.reduce_max(corners, axis=0)), tf.int32) + 2
        image, label = source.part(first, tf.clip_by_value(reached, first + 1, source.shape) - first)
        y, x = tf.unstack(origin(start) - tf.cast(first, tf.float32))
        # An output pixel's position in the part: (a0 x + a1 y + a2, b0 x + b1 y + b2).
        matrix = tf.stack([cos, -sin, x, sin, cos, y, 0.0, 0.0])[None]
        padding = tf.constant(pad_color(image.shape[-1]), tf.float32)
        pixels = _moved(tf.cast(image, tf.float32) - padding, matrix, size, "BILINEAR", 0.0) + padding
        ids = _moved(label[..., None], matrix, size, "NEAREST", float(VOID_LABEL))[..., 0]
        return tf.cast(tf.clip_by_value(tf.round(pixels), 0, 255), tf.uint8), ids

    return Source(source.shape, part, source.is_large)


def _moved(pixels: tf.Tensor, matrix: tf.Tensor, size: tf.Tensor, interpolation: str, fill_value: float) -> tf.Tensor:
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=pixels[None], transforms=matrix, output_shape=size, interpolation=interpolation,
        fill_mode="CONSTANT", fill_value=fill_value,
    )[0]  # fmt: skip


def rotated_position(near: tf.Tensor, shape: tf.Tensor, degrees: float, seed: tf.Tensor) -> tf.Tensor:
    """Returns where `rotated` moves a position, inside the image; a negative one stays.

    Args:
        near: Row and column, int32 [2].
        shape: Height and width of the image.
        degrees: As for `rotated`.
        seed: As for `rotated`.
    """
    angle, centre = _angle(degrees, seed), tf.cast(shape - 1, tf.float32) / 2
    y, x = tf.unstack(tf.cast(near, tf.float32) - centre)
    moved = tf.stack([tf.cos(angle) * y - tf.sin(angle) * x, tf.sin(angle) * y + tf.cos(angle) * x]) + centre
    inside = tf.clip_by_value(tf.cast(tf.round(moved), tf.int32), 0, shape - 1)
    return tf.where(near[0] >= 0, inside, near)


def _angle(degrees: float, seed: tf.Tensor) -> tf.Tensor:
    return tf.random.stateless_uniform([], seed, -1, 1) * math.radians(degrees)
