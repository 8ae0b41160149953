"""What crops show of rare classes, drawn evenly and around them: an estimate for the check."""

from __future__ import annotations

import numpy as np

from keras_fcn.datasets.balance.rare import PART, rare_classes, sampled_positions, window_start
from keras_fcn.datasets.inspection import Inspection
from keras_fcn.datasets.pairs import Pairs
from keras_fcn.images.classes import VOID_LABEL

IMAGES, CROPS = 40, 24
"""Images, and crops of each, from which is estimated what crops show."""


def drawn_shares(pairs: Pairs, inspection: Inspection, crop_size: tuple[int, int]) -> dict[str, dict[str, float]]:
    """Returns, by rare class, the fraction of the pixels of crops that is drawn "evenly" and in "windows".

    Args:
        pairs: The training split.
        inspection: The result of `inspect_pairs` for it.
        crop_size: Height and width of the crops.

    Returns:
        Nothing without rare classes in the images that are looked at, or if no image is larger than a crop.
    """
    num_classes = pairs.classes.num_classes
    rare = rare_classes(inspection.pixels[:, :num_classes])
    sound = np.flatnonzero(inspection.is_sound & (inspection.sizes > crop_size).any(axis=1))
    if not rare or not len(sound):
        return {}
    counts = np.zeros((2, 256))
    random = np.random.default_rng(0)
    for index in sound[np.unique(np.linspace(0, len(sound) - 1, IMAGES).astype(int))].tolist():
        ids = pairs.read_label(pairs.labels[index])
        positions = sampled_positions(ids, rare)
        for near_part, of_kind in zip((0.0, PART if positions else 0.0), counts):
            for _ in range(CROPS):
                is_near = random.random() < near_part
                near = positions[random.integers(len(positions))] if is_near else (-1, -1)
                window = np.minimum(crop_size, ids.shape)
                starts = [window_start(*each, random.random()) for each in zip(near, window, ids.shape)]
                (top, left), (height, width) = starts, window
                of_kind += np.bincount(ids[top : top + height, left : left + width].ravel(), minlength=256)
    shares = counts[:, :VOID_LABEL] / np.maximum(counts[:, :VOID_LABEL].sum(axis=1, keepdims=True), 1)  # all void
    return {
        pairs.classes.names[index]: {"evenly": float(shares[0, index]), "windows": float(shares[1, index])}
        for index in rare
        if shares[:, index].any()
    }
