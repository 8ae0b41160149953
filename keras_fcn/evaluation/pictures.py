"""Drawing an evaluation: the confusion matrix, and the images with the lowest mean IoU."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from keras_fcn.datasets import Pairs
from keras_fcn.drawing.calibration import Curve, Reliability, draw_calibration
from keras_fcn.drawing.charts import draw_confusion
from keras_fcn.drawing.panels import draw_worst
from keras_fcn.evaluation.results import Evaluation
from keras_fcn.images.photos import read_image
from keras_fcn.images.values.channels import shown
from keras_fcn.inference.arrays import Segment


def draw_evaluation(folder: Path, segment: Segment, pairs: Pairs, evaluation: Evaluation, worst: int) -> None:
    """Draws confusion.png and, if there is any image to show, worst.png.

    Args:
        folder: The folder to write to.
        segment: Takes images uint8 [N, H, W, 3], returns class ids uint8 [N, H, W].
        pairs: Images that the model was evaluated on.
        evaluation: The result.
        worst: The most images in worst.png.
    """
    draw_confusion(folder / "confusion.png", evaluation.confusion_matrix, pairs.classes)
    if found := evaluation.calibration:
        curves = {
            name: Curve(
                found.precision[index], found.recall[index], float(found.average_precision[index]),
                float(found.thresholds[index]),
            )
            for index, name in enumerate(evaluation.class_names)
        }  # fmt: skip
        before, after = Reliability(found.bins, found.ece), Reliability(found.tempered_bins, found.tempered_ece)
        draw_calibration(folder / "calibration.png", before, after, found.temperature, curves, pairs.classes)
    shown = evaluation.worst_images(worst)
    if shown:
        indices = [pairs.names.index(name) for name, _ in shown]
        draw_worst(folder / "worst.png", predicted_samples(segment, pairs, indices), shown, pairs.classes)


def predicted_samples(
    segment: Segment, pairs: Pairs, indices: Iterable[int]
) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Returns image uint8 [H, W, 3], prediction and ground truth uint8 [H, W] of some pairs."""
    samples = []
    for index in indices:
        image, label = read_image(pairs.images[index], pairs.channels), pairs.read_label(pairs.labels[index])
        samples.append((shown(image), np.asarray(segment(image[None]))[0], label))
    return samples
