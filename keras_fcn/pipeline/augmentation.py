"""How training samples are varied: one recipe of the transforms, and pictures of what it does."""

from __future__ import annotations

import dataclasses

import numpy as np
import tensorflow as tf
from PIL import Image

from keras_fcn.datasets import Pairs
from keras_fcn.drawing.overlays import overlay
from keras_fcn.errors import UserError
from keras_fcn.images.photos import read_image
from keras_fcn.pipeline.transforms import (
    random_color_jitter,
    random_crop,
    random_flip,
    random_rotation,
    random_scaled_crop,
)


@dataclasses.dataclass(frozen=True)
class Augmentation:
    """A recipe for training samples, a function of image, label and seed alone.

    Attributes:
        crop_size: Height and width of the samples in pixels.
        scale: The least and the largest factor by which images are scaled before they are cropped.
        flip: Whether half of the samples are mirrored left to right.
        rotate: The largest angle in degrees by which images are turned.
        color_jitter: By how much brightness, contrast and saturation change, 0 (not at all) to less than 1.

    Raises:
        UserError: If a value is out of its range.
    """

    crop_size: tuple[int, int]
    scale: tuple[float, float] = (1.0, 1.0)
    flip: bool = True
    rotate: float = 0.0
    color_jitter: float = 0.0

    def __post_init__(self) -> None:
        if not 0 < self.scale[0] <= self.scale[1] < float("inf"):
            raise UserError(f"scale takes two factors greater than 0, the smaller first. Received: {self.scale}")
        if not 0 <= self.rotate <= 180:
            raise UserError(f"rotate must be in 0 to 180 degrees. Received: {self.rotate}")
        if not 0 <= self.color_jitter < 1:
            raise UserError(f"color_jitter must be at least 0 and less than 1. Received: {self.color_jitter}")

    def __call__(self, image: tf.Tensor, label: tf.Tensor, seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the sample uint8 [height, width, 3] and [height, width] of an image and its label.

        Args:
            image: uint8 [H, W, 3].
            label: uint8 [H, W].
            seed: Integers [2]; the same seed makes the same sample.
        """
        rotation_seed, crop_seed, flip_seed, color_seed = tf.unstack(tf.random.split(seed, 4))
        if self.rotate:
            image, label = random_rotation(image, label, self.rotate, rotation_seed)
        if self.scale == (1, 1):
            image, label = random_crop(image, label, self.crop_size, crop_seed)
        else:
            image, label = random_scaled_crop(image, label, self.crop_size, self.scale, crop_seed)
        if self.flip:
            image, label = random_flip(image, label, flip_seed)
        if self.color_jitter:
            image = random_color_jitter(image, self.color_jitter, color_seed)
        return image, label


def draw_samples(
    pairs: Pairs, augmentation: Augmentation, index: int = 0, count: int = 8, seed: int = 0
) -> Image.Image:
    """Draws augmented samples of one pair, the label laid over each; a notebook shows the picture.

    Args:
        pairs: Where the pair is from.
        augmentation: The recipe.
        index: The pair's number.
        count: How many samples.
        seed: Another seed draws other samples.

    Returns:
        The samples side by side, four a row, padding and void in the void colour.
    """
    image, label = read_image(pairs.images[index]), pairs.read_label(pairs.labels[index])
    tiles = []
    for number in range(count):
        sample, ids = augmentation(tf.constant(image), tf.constant(label), tf.constant([seed, number]))
        tiles.append(overlay(sample.numpy(), ids.numpy(), pairs.classes))
    blank = np.full_like(tiles[0], 255)
    rows = [[*tiles[first : first + 4], *[blank] * 3][: min(4, count)] for first in range(0, count, 4)]
    return Image.fromarray(np.concatenate([np.concatenate(row, axis=1) for row in rows]))
