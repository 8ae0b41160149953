"""Balancing rare classes: class weights in the loss, or repetition of the images that show them."""

from __future__ import annotations

import numpy as np

LARGEST_WEIGHT = 10.0
"""Largest class weight; it keeps a few pixels of a very rare class from dominating a batch's loss. The smallest is one
tenth, so that no class counts as little as void."""


def class_weights(pixels: np.ndarray) -> np.ndarray:
    """Returns median frequency weights: rare classes weigh more, so that all classes weigh about the same in total.

    A class's frequency is its fraction of the pixels of those images that show it; its weight is the median of all
    frequencies, divided by its own (Eigen, Fergus: Predicting Depth, Surface Normals and Semantic Labels, ICCV 2015,
    section 3.3.2).

    Args:
        pixels: Pixel counts of each image and class, int [N, num_classes].

    Returns:
        float32 [num_classes], from 1 / `LARGEST_WEIGHT` to `LARGEST_WEIGHT`; 1 for a class that no image shows.
    """
    in_class = pixels.sum(axis=0)
    in_its_images = ((pixels > 0) * pixels.sum(axis=1, keepdims=True)).sum(axis=0)
    shown = in_class > 0
    weights = np.ones(pixels.shape[1], np.float32)
    if shown.any():
        frequency = in_class[shown] / in_its_images[shown]
        weights[shown] = np.clip(np.median(frequency) / frequency, 1 / LARGEST_WEIGHT, LARGEST_WEIGHT)
    return weights


def repeat_factors(pixels: np.ndarray, threshold: float = 0.1) -> np.ndarray:
    """Returns the repetitions of each image in an epoch, so that images of rare classes are sampled more often.

    The repeat factor of a class is sqrt(threshold / f), at least 1, where f is the fraction of the images that show
    it. An image has the largest factor of its classes (Gupta, Dollár, Girshick: LVIS, CVPR 2019, section 5.1), rounded
    to whole repetitions.

    Args:
        pixels: Pixel counts of each image and class, int [N, num_classes].
        threshold: Fraction of the images below which a class is rare.

    Returns:
        int [N], each at least 1.
    """
    fraction = (pixels > 0).mean(axis=0)
    factor = np.sqrt(threshold / np.maximum(fraction, 1 / max(1, len(pixels))))
    factors = np.where(pixels > 0, np.maximum(factor, 1.0), 1.0)
    return np.rint(factors.max(axis=1)).astype(int)
