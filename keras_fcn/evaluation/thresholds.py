"""Choosing the thresholds of classes by what validation images show."""

from __future__ import annotations

import dataclasses

import numpy as np

from keras_fcn.evaluation.results import Evaluation
from keras_fcn.evaluation.watch import LEAST_PIXELS, least_images
from keras_fcn.images.classes import ClassTable

_LEAST_IMAGES = 5
"""Fewer images that show a class tell nothing of others."""


@dataclasses.dataclass(frozen=True)
class ChosenThresholds:
    """The thresholds that are worth keeping, and why other classes have none.

    Attributes:
        thresholds: By class name, above 0 and up to 1.
        lines: A line on each class with a threshold, and on those without, human-readable.
    """

    thresholds: dict[str, float]
    lines: tuple[str, ...]


def choose_thresholds(evaluation: Evaluation, classes: ClassTable) -> ChosenThresholds:
    """Chooses the threshold of each class at which its Dice is highest, where that holds on other images, too.

    Each tenth of the images is decided by the threshold that is best for the others; a class whose Dice is then not
    higher than by the most probable class has no threshold, nor has one that too few images show, nor the background.

    Args:
        evaluation: An evaluation with its calibration, in which each pixel had its most probable class.
        classes: The classes.
    """
    found = evaluation.calibration
    assert found is not None
    least = max(_LEAST_IMAGES, least_images(evaluation.num_images))
    kept: dict[str, float] = {}
    lines, few, useless = [], [], []
    for index, (name, before) in enumerate(zip(classes.names, evaluation.metrics.dice)):
        images, pixels = found.shown[index].tolist()
        if index == classes.background or not pixels:
            continue
        after, (low, high) = found.checked_dice[index], found.spread[index]
        if images < least or pixels < LEAST_PIXELS or np.isnan(after):
            few.append(f"{name} ({pixels:,} pixels in {images} image{'s' * (images != 1)})")
        elif after <= before:
            useless.append(name)
        else:
            kept[name] = float(found.thresholds[index])
            dice = f"Dice {100 * before:.1f} to {100 * after:.1f}"
            lines.append(f"{name}={kept[name]:g} ({low:g}-{high:g}), {dice}, {pixels:,} pixels in {images} images")
    if useless:
        lines.append(f"none for {', '.join(useless)}: on other images, it would not raise the Dice")
    if few:
        needed = f"{least} images and {LEAST_PIXELS:,} pixels"
        lines.append(f"none for {', '.join(few)}: fewer than {needed} would decide by chance")
    return ChosenThresholds(kept, tuple(lines))
