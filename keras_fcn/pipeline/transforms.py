"""Pure functions of image and label with explicit seeds."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TypeAlias

import tensorflow as tf

from keras_fcn.images.classes import VOID_LABEL
from keras_fcn.pipeline.source import Pair, Source, pad_color

LUMA = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in the luma of a colour (ITU-R BT.601)."""

Crop: TypeAlias = Callable[[tuple[int, int]], Pair]
"""Cuts a crop of a size."""

Size: TypeAlias = "tuple[int, int] | tf.Tensor"
"""Height and width in pixels."""


def pad_to_size(image: tf.Tensor, label: tf.Tensor, size: Size) -> tuple[tf.Tensor, tf.Tensor]:
    """Pads an image with `PAD_COLOR` and its label with void, below and on the right, to a minimum size.

    Args:
        image: uint8 [H, W, channels].
        label: uint8 [H, W].
        size: The minimum height and width of the result, in pixels.

    Returns:
        uint8 [max(H, height), max(W, width), channels] and the label likewise.
    """
    missing = tf.maximum(tf.convert_to_tensor(size) - tf.shape(label), 0)

    def pad() -> tuple[tf.Tensor, tf.Tensor]:
        void = tf.constant([VOID_LABEL], tf.uint8)
        padded = _extended(image, missing, tf.constant(pad_color(image.shape[-1]), tf.uint8))
        return padded, _extended(label[..., None], missing, void)[..., 0]

    return tf.cond(tf.reduce_any(missing > 0), pad, lambda: (image, label))


def _extended(pixels: tf.Tensor, missing: tf.Tensor, color: tf.Tensor) -> tf.Tensor:
    """Adds `missing` = [rows, columns] of one colour below and on the right of pixels uint8 [H, W, channels]."""
    # Whole rows are concatenated: tf.pad takes 50 times as long for bytes, and tf.tile 10 times for RGB pixels.
    height, width, channels = tf.unstack(tf.shape(pixels))
    right = tf.tile(tf.tile(color, [missing[1]])[None], [height, 1])
    below = tf.tile(tf.tile(color, [width + missing[1]])[None], [missing[0], 1])
    pixels = tf.concat([tf.reshape(pixels, [height, width * channels]), right], axis=1)
    return tf.reshape(tf.concat([pixels, below], axis=0), [height + missing[0], width + missing[1], channels])


def random_crop(source: Source, size: Size, seed: tf.Tensor, near: tf.Tensor | None = None) -> Pair:
    """Crops image and label to the same random window; pads them if they are smaller than the window.

    Args:
        source: Both.
        size: Height and width of the window, in pixels.
        seed: Integers [2]; the same seed gives the same window.
        near: Row and column that the window has to hold, int32 [2]; none if it is None, or negative.

    Returns:
        uint8 [height, width, channels] and [height, width].
    """
    taken = tf.minimum(source.shape, size)
    low, high = tf.constant([0, 0]), source.shape - taken
    if near is not None:
        is_near = near[0] >= 0
        low, high = (
            tf.where(is_near, tf.maximum(near - taken + 1, 0), low),
            tf.where(is_near, tf.minimum(near, high), high),
        )
    positions = tf.cast(high - low + 1, tf.float32)
    start = low + tf.cast(tf.random.stateless_uniform([2], seed) * positions, tf.int32)
    image, label = pad_to_size(*source.part(start, taken), size)
    # The reshape moves no data: it gives the graph a static shape where `size` is static.
    return tf.reshape(image, tf.stack([*tf.unstack(size), image.shape[-1]])), tf.reshape(label, size)


def random_scaled_crop(
    source: Source, size: tuple[int, int], scale: tuple[float, float], seed: tf.Tensor, near: tf.Tensor | None = None
) -> Pair:
    """Crops a random window of random size and resizes it to `size`: image bilinearly, label by nearest neighbour.

    Equals scaling the whole image by a random factor in `scale` and then cropping, but resizes only the window. The
    factor's logarithm is uniformly distributed.

    Args:
        source: Image and label.
        size: Height and width of the result, in pixels.
        scale: The smallest and the largest factor, greater than 0.
        seed: Integers [2]; the same seed gives the same crop.
        near: As for `random_crop`.

    Returns:
        uint8 [height, width, channels] and [height, width].
    """
    scale_seed, crop_seed = tf.unstack(tf.random.split(seed, 2))
    low, high = math.log(scale[0]), math.log(scale[1])
    factor = tf.exp(low + (high - low) * tf.random.stateless_uniform([], scale_seed))
    window = tf.maximum(tf.cast(tf.round(tf.constant(size, tf.float32) / factor), tf.int32), 1)
    image, label = random_crop(source, window, crop_seed, near)
    image = tf.cast(tf.round(tf.image.resize(image, size)), tf.uint8)
    return image, tf.image.resize(label[..., None], size, "nearest")[..., 0]


def random_color_jitter(image: tf.Tensor, strength: float, seed: tf.Tensor) -> tf.Tensor:
    """Changes brightness, contrast and saturation, each by a random factor from 1 - strength to 1 + strength.

    Images of other than three channels have no saturation: their grey is the mean of the channels.

    Args:
        image: uint8 [H, W, channels].
        strength: At least 0, which changes nothing, and less than 1.
        seed: Integers [2]; the same seed gives the same factors.

    Returns:
        uint8 [H, W, channels].
    """
    brightness, contrast, saturation = tf.unstack(tf.random.stateless_uniform([3], seed, 1 - strength, 1 + strength))
    pixels = tf.cast(image, tf.float32) * brightness
    if image.shape[-1] != 3:
        mean = tf.reduce_mean(pixels)
        return tf.cast(tf.clip_by_value(tf.round((pixels - mean) * contrast + mean), 0, 255), tf.uint8)
    grey = tf.reduce_sum(pixels * tf.constant(LUMA), axis=-1, keepdims=True)
    mean = tf.reduce_mean(grey)
    pixels = (pixels - mean) * contrast + mean
    grey = (grey - mean) * contrast + mean
    pixels = (pixels - grey) * saturation + grey
    return tf.cast(tf.clip_by_value(tf.round(pixels), 0, 255), tf.uint8)


def random_flip(
    image: tf.Tensor, label: tf.Tensor, seed: tf.Tensor, axes: Sequence[int] = (1,)
) -> tuple[tf.Tensor, tf.Tensor]:
    """Mirrors image and label along each of some axes with a probability of one half.

    Args:
        image: uint8 [H, W, channels].
        label: uint8 [H, W].
        seed: Integers [2]; the same seed gives the same decisions.
        axes: 0 is top to bottom, 1 left to right.
    """
    for axis, number in zip(axes, tf.unstack(tf.random.stateless_uniform([len(axes)], seed))):
        image, label = _mirrored(image, label, axis, number < 0.5)
    return image, label


def _mirrored(image: tf.Tensor, label: tf.Tensor, axis: int, flip: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    # tf.reverse: a slice with a step of -1 takes 30 times as long.
    return tf.cond(flip, lambda: (tf.reverse(image, [axis]), tf.reverse(label, [axis])), lambda: (image, label))


def random_turn(crop: Crop, size: tuple[int, int], seed: tf.Tensor) -> Pair:
    """Crops image and label and transposes them with a probability of one half.

    Mirrored along both axes afterwards, each half of the time, they are in one of eight positions, all as frequent.

    Args:
        crop: Cuts a crop of a size.
        size: Height and width of the result, in pixels.
        seed: Integers [2]; the same seed gives the same decision.
    """
    height, width = size

    def turned() -> Pair:
        pixels, ids = crop((width, height))
        return tf.transpose(pixels, [1, 0, 2]), tf.transpose(ids)

    turn = tf.random.stateless_uniform([], tf.random.fold_in(seed, 1)) < 0.5
    image, label = tf.cond(turn, turned, lambda: crop(size))
    return tf.ensure_shape(image, [height, width, image.shape[-1]]), tf.ensure_shape(label, [height, width])
