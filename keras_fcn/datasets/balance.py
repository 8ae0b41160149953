"""Evening out classes that are rare: weights in the loss, or repetition of the images that show them."""

from __future__ import annotations

import numpy as np

LARGEST_WEIGHT = 10.0
"""So that a few pixels of a class that hardly occurs cannot rule a batch's loss. The least is one tenth, so that no
class is as good as void."""


def class_weights(pixels: np.ndarray) -> np.ndarray:
    """Returns median frequency weights: rare classes count more, so that each matters about alike.

    A class's frequency is its share of the pixels of those images that show it; its weight is the median of all
    frequencies, divided by its own (Eigen, Fergus: Predicting Depth, Surface Normals and Semantic Labels, ICCV 2015,
    section 3.3.2).

    Args:
        pixels: Per image and class, how many pixels have it, int [N, num_classes].

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


def repeat_factors(pixels: np.ndarray, wanted_share: float = 0.1) -> np.ndarray:
    """Returns how often each image is to be shown in a pass, so that images of rare classes come more often.

    A class that fewer than `wanted_share` of the images show asks for its images to be repeated by the square root of
    what it lacks; an image follows the class that asks most (Gupta, Dollár, Girshick: LVIS, CVPR 2019, section 5.1,
    rounded to whole repetitions).

    Args:
        pixels: Per image and class, how many pixels have it, int [N, num_classes].
        wanted_share: Share of the images that every class should be seen in.

    Returns:
        int [N], each at least 1.
    """
    share = (pixels > 0).mean(axis=0)
    factor = np.sqrt(wanted_share / np.maximum(share, 1 / max(1, len(pixels))))
    asked = np.where(pixels > 0, np.maximum(factor, 1.0), 1.0)
    return np.rint(asked.max(axis=1)).astype(int)
