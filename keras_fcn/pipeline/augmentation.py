"""Data augmentation of training samples, and images of augmented samples."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable
from typing import Annotated, TypeAlias

import numpy as np
import tensorflow as tf
from PIL import Image

from keras_fcn.datasets import Pairs, inspect_pairs
from keras_fcn.drawing.overlays import overlay
from keras_fcn.errors import UserError, argument
from keras_fcn.images.photos import read_image
from keras_fcn.images.values.channels import shown
from keras_fcn.pipeline.source import Pair, Source, rotated, rotated_position, whole
from keras_fcn.pipeline.transforms import random_color_jitter, random_crop, random_flip, random_scaled_crop, random_turn
from keras_fcn.runs import names
from keras_fcn.system.options import BELOW_1, SCALES, SIZE, Options, within

Augment: TypeAlias = Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tuple[tf.Tensor, tf.Tensor]]

_AXES = {"horizontal": (1,), "vertical": (0,), "both": (0, 1), "turns": (0, 1)}
"""Axes along which a `flip` mirrors: 0 top to bottom, 1 left to right."""

AUGMENT_FAULT = "returned an image and a label of different sizes"
"""TensorFlow's error if a function of one's own does so."""


@dataclasses.dataclass(frozen=True)
class Augmentation(Options):
    """The augmentation of training samples, a function of image, label and seed alone.

    Attributes:
        crop_size: Height and width of the samples in pixels.
        scale: The smallest and the largest scale factor before cropping.
        flip: How samples are mirrored, one of `names.Flip`: each way half of them, left to right for "horizontal";
            "turns" turns them by quarters, too. True is "horizontal", False "none".
        rotate: The largest rotation angle in degrees.
        color_jitter: Strength of changes of brightness, contrast and saturation, from 0 (none) to less than 1.
        augment: A function that is applied first: from an image uint8 [H, W, 3], its label uint8 [H, W] and a seed,
            integers [2], to an image and a label of any size, both of the same. It is traced into a `tf.data` graph.

    Raises:
        UserError: If a value is out of its range.
    """

    crop_size: Annotated[tuple[int, int], SIZE]
    scale: Annotated[tuple[float, float], SCALES] = (1.0, 1.0)
    flip: names.Flip = "horizontal"
    rotate: Annotated[float, within(0, 180, " degrees")] = 0.0
    color_jitter: Annotated[float, BELOW_1] = 0.0
    augment: Augment | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "flip", names.OLD_FLIPS.get(str(self.flip).lower(), self.flip))
        super().__post_init__()

    @property
    def taken(self) -> tuple[int, int]:
        """The largest height and width that a crop has in the image, before it is scaled and turned."""
        sides = (max(self.crop_size),) * 2 if self.flip == "turns" else self.crop_size
        return math.ceil(sides[0] / self.scale[0]), math.ceil(sides[1] / self.scale[0])

    def __call__(
        self, image: tf.Tensor, label: tf.Tensor, seed: tf.Tensor, near: tf.Tensor | None = None
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns an augmented image uint8 [height, width, 3] and its label uint8 [height, width].

        Args:
            image: uint8 [H, W, 3].
            label: uint8 [H, W].
            seed: Integers [2]; the same seed gives the same sample.
            near: Row and column of a pixel that the crop shows, int32 [2]; any if it is None, or negative.
        """
        return self.sample(whole(image, label), seed, near)

    def sample(self, source: Source, seed: tf.Tensor, near: tf.Tensor | None = None) -> Pair:
        """Returns the same as a call, and takes no more of an image than the sample shows.

        Args:
            source: The image and its label.
            seed: As for a call.
            near: As for a call.
        """
        if self.augment is not None:
            own_seed, seed = tf.unstack(tf.random.split(seed, 2))
            source = self._augmented(source, own_seed)
        rotation_seed, crop_seed, flip_seed, color_seed = tf.unstack(tf.random.split(seed, 4))
        if self.rotate:
            if near is not None:
                near = rotated_position(near, source.shape, self.rotate, rotation_seed)
            source = rotated(source, self.rotate, rotation_seed)
        crop = functools.partial(self._cropped, source, seed=crop_seed, near=near)
        is_turned = self.flip == "turns"
        image, label = random_turn(crop, self.crop_size, flip_seed) if is_turned else crop(self.crop_size)
        if self.flip != "none":
            image, label = random_flip(image, label, flip_seed, _AXES[self.flip])
        if self.color_jitter:
            image = random_color_jitter(image, self.color_jitter, color_seed)
        return image, label

    def _cropped(self, source: Source, size: tuple[int, int], seed: tf.Tensor, near: tf.Tensor | None) -> Pair:
        """Returns a crop of this size."""
        if self.scale == (1, 1):
            return random_crop(source, size, seed, near)
        return random_scaled_crop(source, size, self.scale, seed, near)

    def _augmented(self, source: Source, seed: tf.Tensor) -> Source:
        """Returns what `augment` makes of an image, or of a part of a large one, twice as high and wide as a crop."""
        assert self.augment is not None
        size = tf.where(source.is_large, tf.minimum(source.shape, [2 * side for side in self.taken]), source.shape)
        place = tf.random.stateless_uniform([2], tf.random.fold_in(seed, 3))
        start = tf.cast(place * tf.cast(source.shape - size + 1, tf.float32), tf.int32)
        taken = source.part(start, size)
        image, label = self.augment(*taken, seed)
        if (image.dtype, label.dtype) != (tf.uint8, tf.uint8):
            received = f"{image.dtype.name} and {label.dtype.name}"
            raise UserError(f"{argument('augment')} must return image and label as uint8. Received: {received}")
        image, label = tf.ensure_shape(image, [None, None, taken[0].shape[-1]]), tf.ensure_shape(label, [None, None])
        fits = tf.reduce_all(tf.shape(image)[:2] == tf.shape(label))
        with tf.control_dependencies([tf.debugging.Assert(fits, [AUGMENT_FAULT])]):
            return whole(tf.identity(image), tf.identity(label))


def draw_samples(
    pairs: Pairs, augmentation: Augmentation, index: int = 0, count: int = 8, seed: int = 0
) -> Image.Image:
    """Returns augmented samples of one pair with their labels overlaid, as an image for notebooks.

    Args:
        pairs: The data set.
        augmentation: The augmentation.
        index: The pair's index.
        count: Number of samples.
        seed: Seed of the augmentation.

    Returns:
        The samples in a grid, four per row; padding and void have the void colour.

    Raises:
        UserError: If the pair cannot be read, or the image and its mask differ in size.
    """
    inspect_pairs(pairs.shard(index, len(pairs))).require_sound()
    image, label = read_image(pairs.images[index], pairs.channels), pairs.read_label(pairs.labels[index])
    tiles = []
    for number in range(count):
        sample, ids = augmentation(tf.constant(image), tf.constant(label), tf.constant([seed, number]))
        tiles.append(overlay(shown(sample.numpy()), ids.numpy(), pairs.classes))
    blank = np.full_like(tiles[0], 255)
    rows = [[*tiles[first : first + 4], *[blank] * 3][: min(4, count)] for first in range(0, count, 4)]
    return Image.fromarray(np.concatenate([np.concatenate(row, axis=1) for row in rows]))
