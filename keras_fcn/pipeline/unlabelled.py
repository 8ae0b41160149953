"""Batches of images without labels beside labelled ones, for a teacher that labels them as training goes."""

from __future__ import annotations

import math
from typing import NamedTuple

import tensorflow as tf

from keras_fcn.images.classes import VOID_LABEL
from keras_fcn.pipeline.transforms import LUMA, random_color_jitter

JITTER = 0.5
"""Strength of the colour jitter of what the network in training sees."""

GREY = 0.2
"""Fraction of these images that lose their colours."""

MIXED = 0.5
"""Fraction of these images that get a box of a labelled crop."""

BOX_AREA = (0.1, 0.4)
"""The smallest and the largest box, as fractions of the crop."""

BOX_ASPECT = 2.0
"""The largest ratio of a box's height to its width, relative to the crop's, or of its width to its height."""


class Unlabelled(NamedTuple):
    """A batch of images without labels.

    Attributes:
        plain: The images, uint8 [N, H, W, 3], which the teacher labels.
        strong: The same with other colours and boxes of labelled images, uint8 [N, H, W, 3].
        labels: Labels of `strong` where they are known, void elsewhere, uint8 [N, H, W].
        asked: 1 where the teacher's label counts, 0 in boxes and padding, uint8 [N, H, W].
    """

    plain: tf.Tensor
    strong: tf.Tensor
    labels: tf.Tensor
    asked: tf.Tensor


def with_unlabelled(
    labelled: tf.data.Dataset, unlabelled: tf.data.Dataset, batch_size: int, seed: int, first: int, every: int = 1
) -> tf.data.Dataset:
    """Streams labelled batches, each with as many images without labels.

    What is drawn for sample i is a function of the seed and i alone, as in `training_dataset`.

    Args:
        labelled: Batches of images uint8 [N, H, W, 3] and labels uint8 [N, H, W].
        unlabelled: The same of images without labels; their labels are void in padding, and anything else elsewhere.
        batch_size: N.
        seed: The seed.
        first: Index of the first sample.
        every: Distance between samples.

    Returns:
        Images, labels, and `Unlabelled` of the same N.
    """
    samples = tf.data.Dataset.range(first, tf.int64.max, every).batch(batch_size, drop_remainder=True)

    @tf.autograph.experimental.do_not_convert
    def combine(labelled: tuple, unlabelled: tuple, samples: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, Unlabelled]:
        (donors, donor_labels), (plain, padding) = labelled, unlabelled

        def perturb(of_one: tuple) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
            image, void, donor, donor_label, sample = of_one
            color_seed, box_seed = tf.unstack(tf.random.split(tf.stack([seed, sample]), 2))
            return mixed(strong_view(image, color_seed), void, donor, donor_label, box_seed)

        strong, labels, asked = tf.map_fn(
            perturb,
            (plain, padding, donors, donor_labels, samples),
            fn_output_signature=(tf.uint8, tf.uint8, tf.uint8),
        )
        shape = plain.shape
        strong = tf.ensure_shape(strong, shape)
        labels, asked = (tf.ensure_shape(ids, shape[:3]) for ids in (labels, asked))
        return donors, donor_labels, Unlabelled(plain, strong, labels, asked)

    return tf.data.Dataset.zip(labelled, unlabelled, samples).map(combine, tf.data.AUTOTUNE).prefetch(2)


def strong_view(image: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Returns an image with random brightness, contrast and saturation; some of three channels without colours.

    Args:
        image: uint8 [H, W, 3].
        seed: Integers [2]; the same seed gives the same colours.
    """
    jitter_seed, grey_seed = tf.unstack(tf.random.split(seed, 2))
    image = random_color_jitter(image, JITTER, jitter_seed)
    if image.shape[-1] != 3:
        return image

    def without_colors() -> tf.Tensor:
        luma = tf.reduce_sum(tf.cast(image, tf.float32) * tf.constant(LUMA), axis=-1, keepdims=True)
        return tf.cast(tf.round(luma), tf.uint8) + tf.zeros_like(image)

    return tf.cond(tf.random.stateless_uniform([], grey_seed) < GREY, without_colors, lambda: image)


def mixed(
    image: tf.Tensor, padding: tf.Tensor, donor: tf.Tensor, donor_label: tf.Tensor, seed: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Pastes a random box of a labelled crop into some images, as CutMix does (Yun et al. 2019).

    Args:
        image: uint8 [H, W, 3], without label.
        padding: uint8 [H, W], void in padding.
        donor: The labelled crop, uint8 [H, W, 3].
        donor_label: Its label, uint8 [H, W].
        seed: Integers [2]; the same seed gives the same box.

    Returns:
        The image, uint8 [H, W, 3]; its label, uint8 [H, W], that of the donor in the box and void elsewhere; and 1
        where neither box nor padding is, uint8 [H, W].
    """
    inside = _box(tf.shape(padding), seed)
    labels = tf.where(inside, donor_label, tf.constant(VOID_LABEL, tf.uint8))
    asked = tf.logical_and(tf.logical_not(inside), padding != VOID_LABEL)
    return tf.where(inside[..., None], donor, image), labels, tf.cast(asked, tf.uint8)


def _box(shape: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Returns where a random box is, boolean [H, W]; nowhere in a part of the cases."""
    area, aspect, top, left, is_there = tf.unstack(tf.random.stateless_uniform([5], seed))
    side = tf.sqrt(BOX_AREA[0] + (BOX_AREA[1] - BOX_AREA[0]) * area)
    stretch = tf.exp((2 * aspect - 1) * math.log(BOX_ASPECT) / 2)

    def span(length: tf.Tensor, fraction: tf.Tensor, place: tf.Tensor) -> tf.Tensor:
        positions = tf.cast(length, tf.float32)
        size = tf.round(positions * tf.minimum(fraction, 1.0))
        start = tf.floor(place * (positions - size + 1))
        index = tf.range(positions)
        return (index >= start) & (index < start + size)

    rows, columns = span(shape[0], side * stretch, top), span(shape[1], side / stretch, left)
    return rows[:, None] & columns[None] & (is_there < MIXED)
