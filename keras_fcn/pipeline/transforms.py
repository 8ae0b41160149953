"""Pure functions (image, label) -> (image, label) with explicit seeds."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TypeAlias

import tensorflow as tf

from keras_fcn.images.classes import VOID_LABEL

PAD_COLOR = (124, 116, 104)
"""The mean colour of ImageNet's images, which is near zero after normalization."""

LUMA = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in the luma of a colour (ITU-R BT.601)."""

Crop: TypeAlias = Callable[[tf.Tensor, tf.Tensor, tuple[int, int], tf.Tensor], tuple[tf.Tensor, tf.Tensor]]
"""Cuts a crop of image and label, of a size and by a seed."""

Size: TypeAlias = "tuple[int, int] | tf.Tensor"
"""Height and width in pixels."""


def pad_to_size(image: tf.Tensor, label: tf.Tensor, size: Size) -> tuple[tf.Tensor, tf.Tensor]:
    """Pads an image with `PAD_COLOR` and its label with void, below and on the right, to a minimum size.

    Args:
        image: uint8 [H, W, 3].
        label: uint8 [H, W].
        size: The minimum height and width of the result, in pixels.

    Returns:
        uint8 [max(H, height), max(W, width), 3] and the label likewise.
    """
    missing = tf.maximum(tf.convert_to_tensor(size) - tf.shape(label), 0)

    def pad() -> tuple[tf.Tensor, tf.Tensor]:
        void = tf.constant([VOID_LABEL], tf.uint8)
        padded = _extended(image, missing, tf.constant(PAD_COLOR, tf.uint8))
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


def random_crop(
    image: tf.Tensor, label: tf.Tensor, size: Size, seed: tf.Tensor, near: tf.Tensor | None = None
) -> tuple[tf.Tensor, tf.Tensor]:
    """Crops image and label to the same random window; pads them if they are smaller than the window.

    Args:
        image: uint8 [H, W, 3].
        label: uint8 [H, W].
        size: Height and width of the window, in pixels.
        seed: Integers [2]; the same seed gives the same window.
        near: Row and column that the window has to hold, int32 [2]; none if it is None, or negative.

    Returns:
        uint8 [height, width, 3] and [height, width].
    """
    height, width = tf.unstack(tf.minimum(tf.shape(label), size))
    low, high = tf.constant([0, 0]), tf.shape(label) - [height, width]
    if near is not None:
        is_near = near[0] >= 0
        low, high = (
            tf.where(is_near, tf.maximum(near - [height, width] + 1, 0), low),
            tf.where(is_near, tf.minimum(near, high), high),
        )
    positions = tf.cast(high - low + 1, tf.float32)
    top, left = tf.unstack(low + tf.cast(tf.random.stateless_uniform([2], seed) * positions, tf.int32))
    image = image[top : top + height, left : left + width]
    image, label = pad_to_size(image, label[top : top + height, left : left + width], size)
    # The reshape moves no data: it gives the graph a static shape where `size` is static.
    return tf.reshape(image, tf.stack([*tf.unstack(size), 3])), tf.reshape(label, size)


def random_scaled_crop(
    image: tf.Tensor,
    label: tf.Tensor,
    size: tuple[int, int],
    scale: tuple[float, float],
    seed: tf.Tensor,
    near: tf.Tensor | None = None,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Crops a random window of random size and resizes it to `size`: image bilinearly, label by nearest neighbour.

    Equals scaling the whole image by a random factor in `scale` and then cropping, but resizes only the window. The
    factor's logarithm is uniformly distributed.

    Args:
        image: uint8 [H, W, 3].
        label: uint8 [H, W].
        size: Height and width of the result, in pixels.
        scale: The smallest and the largest factor, greater than 0.
        seed: Integers [2]; the same seed gives the same crop.
        near: As for `random_crop`.

    Returns:
        uint8 [height, width, 3] and [height, width].
    """
    scale_seed, crop_seed = tf.unstack(tf.random.split(seed, 2))
    low, high = math.log(scale[0]), math.log(scale[1])
    factor = tf.exp(low + (high - low) * tf.random.stateless_uniform([], scale_seed))
    window = tf.maximum(tf.cast(tf.round(tf.constant(size, tf.float32) / factor), tf.int32), 1)
    image, label = random_crop(image, label, window, crop_seed, near)
    image = tf.cast(tf.round(tf.image.resize(image, size)), tf.uint8)
    return image, tf.image.resize(label[..., None], size, "nearest")[..., 0]


def _angle(degrees: float, seed: tf.Tensor) -> tf.Tensor:
    return tf.random.stateless_uniform([], seed, -1, 1) * math.radians(degrees)


def rotated_position(near: tf.Tensor, shape: tf.Tensor, degrees: float, seed: tf.Tensor) -> tf.Tensor:
    """Returns where `random_rotation` moves a position, inside the image; a negative one stays.

    Args:
        near: Row and column, int32 [2].
        shape: Height and width of the image.
        degrees: As for `random_rotation`.
        seed: As for `random_rotation`.
    """
    angle, centre = _angle(degrees, seed), tf.cast(shape - 1, tf.float32) / 2
    y, x = tf.unstack(tf.cast(near, tf.float32) - centre)
    moved = tf.stack([tf.cos(angle) * y - tf.sin(angle) * x, tf.sin(angle) * y + tf.cos(angle) * x]) + centre
    inside = tf.clip_by_value(tf.cast(tf.round(moved), tf.int32), 0, shape - 1)
    return tf.where(near[0] >= 0, inside, near)


def random_rotation(image: tf.Tensor, label: tf.Tensor, degrees: float, seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Rotates image and label about their centre by a random angle; uncovered corners become padding and void.

    Args:
        image: uint8 [H, W, 3].
        label: uint8 [H, W].
        degrees: The largest angle, in either direction.
        seed: Integers [2]; the same seed gives the same angle.

    Returns:
        uint8 [H, W, 3], resampled bilinearly, and [H, W], by nearest neighbour.
    """
    angle, shape = _angle(degrees, seed), tf.shape(label)
    cos, sin = tf.cos(angle), tf.sin(angle)
    y, x = tf.unstack(tf.cast(shape - 1, tf.float32) / 2)
    # An output pixel's position in the input: (a0 x + a1 y + a2, b0 x + b1 y + b2).
    matrix = tf.stack([cos, -sin, x - cos * x + sin * y, sin, cos, y - sin * x - cos * y, 0.0, 0.0])[None]

    def rotate(pixels: tf.Tensor, interpolation: str, fill_value: float) -> tf.Tensor:
        rotated = tf.raw_ops.ImageProjectiveTransformV3(
            images=pixels[None], transforms=matrix, output_shape=shape, interpolation=interpolation,
            fill_mode="CONSTANT", fill_value=fill_value,
        )  # fmt: skip
        return rotated[0]

    padding = tf.constant(PAD_COLOR, tf.float32)
    rotated = rotate(tf.cast(image, tf.float32) - padding, "BILINEAR", 0.0) + padding
    image = tf.cast(tf.clip_by_value(tf.round(rotated), 0, 255), tf.uint8)
    return image, rotate(label[..., None], "NEAREST", float(VOID_LABEL))[..., 0]


def random_color_jitter(image: tf.Tensor, strength: float, seed: tf.Tensor) -> tf.Tensor:
    """Changes brightness, contrast and saturation, each by a random factor from 1 - strength to 1 + strength.

    Args:
        image: uint8 [H, W, 3].
        strength: At least 0, which changes nothing, and less than 1.
        seed: Integers [2]; the same seed gives the same factors.

    Returns:
        uint8 [H, W, 3].
    """
    brightness, contrast, saturation = tf.unstack(tf.random.stateless_uniform([3], seed, 1 - strength, 1 + strength))
    pixels = tf.cast(image, tf.float32) * brightness
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
        image: uint8 [H, W, 3].
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


def random_turn(
    image: tf.Tensor, label: tf.Tensor, size: tuple[int, int], seed: tf.Tensor, crop: Crop, crop_seed: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Crops image and label and transposes them with a probability of one half.

    Mirrored along both axes afterwards, each half of the time, they are in one of eight positions, all as frequent.

    Args:
        image: uint8 [H, W, 3].
        label: uint8 [H, W].
        size: Height and width of the result, in pixels.
        seed: Integers [2]; the same seed gives the same decision.
        crop: Cuts a crop of a size, by a seed.
        crop_seed: The seed of the crop.
    """
    height, width = size

    def turned() -> tuple[tf.Tensor, tf.Tensor]:
        pixels, ids = crop(image, label, (width, height), crop_seed)
        return tf.transpose(pixels, [1, 0, 2]), tf.transpose(ids)

    turn = tf.random.stateless_uniform([], tf.random.fold_in(seed, 1)) < 0.5
    image, label = tf.cond(turn, turned, lambda: crop(image, label, size, crop_seed))
    return tf.ensure_shape(image, [height, width, 3]), tf.ensure_shape(label, [height, width])
