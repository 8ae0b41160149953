"""Charts of how far probabilities can be trusted."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from keras_fcn.drawing.charts import line_styles, shortened
from keras_fcn.drawing.figures import name_entries, save_figure
from keras_fcn.images.classes import ClassTable

LEAST_PIXELS = 50
"""Pixels of a bin below which its accuracy is left to chance, and not drawn."""


class Reliability(NamedTuple):
    """Accuracy by confidence.

    Attributes:
        bins: Pixels, sum of confidence, and correct pixels of each bin of equal width, float64 [bins, 3].
        error: The expected calibration error, 0-1.
    """

    bins: np.ndarray
    error: float

    @property
    def points(self) -> tuple[np.ndarray, np.ndarray]:
        """Returns mean confidence and accuracy of the bins with pixels enough, float64 [N] each."""
        counts = self.bins[:, 0]
        pixels, confidence, correct = self.bins[counts >= max(1, min(LEAST_PIXELS, counts.max()))].T
        return confidence / pixels, correct / pixels


class Curve(NamedTuple):
    """Precision and recall of a class.

    Attributes:
        precision: At the thresholds k / n, 0-1 or NaN, float64 [n + 1].
        recall: The same.
        area: The average precision, 0-1.
        threshold: The best threshold, 0-1.
    """

    precision: np.ndarray
    recall: np.ndarray
    area: float
    threshold: float

    @property
    def best(self) -> tuple[float, float]:
        """Returns recall and precision at the best threshold."""
        index = round(self.threshold * (len(self.recall) - 1))
        return float(self.recall[index]), float(self.precision[index])


def draw_calibration(
    path: Path,
    before: Reliability,
    after: Reliability,
    temperature: float,
    curves: Mapping[str, Curve],
    classes: ClassTable,
) -> None:
    """Draws accuracy over confidence, and precision over recall of each class in the ground truth.

    Args:
        path: The PNG to write.
        before: As the model is.
        after: At the temperature of the least cross-entropy.
        temperature: This temperature.
        curves: The curve of each class, by its name.
        classes: Names and colours.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11.5, 4.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    count = len(before.bins)
    places = (np.arange(count) + 0.5) / count
    left.bar(
        places, before.bins[:, 0] / max(before.bins[:, 0].sum(), 1), 1 / count, color="0.85", label="fraction of pixels"
    )
    left.plot([0, 1], [0, 1], color="0.4", linestyle="--", label="calibrated")
    tempered = f"at the temperature {temperature:.3g}"
    for reliability, what, blue_or_orange in ((before, "as it is", "tab:blue"), (after, tempered, "tab:orange")):
        label = f"{what}: error {100 * reliability.error:.1f} percent"
        left.plot(*reliability.points, color=blue_or_orange, marker="o", markersize=4, label=label)
    left.set(xlim=(0, 1), ylim=(0, 1), xlabel="confidence, the highest probability", ylabel="accuracy")
    left.set_title("expected calibration error")
    left.legend(loc="upper left", fontsize="small", frameon=False)
    left.grid(alpha=0.3)
    shown = {name: curve for name, curve in curves.items() if not np.isnan(curve.recall).any()}
    colors = dict(zip(classes.names, classes.colors))
    for name, (color, line) in zip(shown, line_styles([colors[name] for name in shown])):
        right.plot(shown[name].recall, shown[name].precision, color=color, linestyle=line)
    lines = right.get_lines()
    for curve, drawn in zip(shown.values(), lines):
        right.plot(*curve.best, color=drawn.get_color(), marker="o", markeredgecolor="black", clip_on=False, zorder=3)
    right.set(xlim=(0, 1), ylim=(0, 1), xlabel="recall", ylabel="precision", title="by class; points: best thresholds")
    right.grid(alpha=0.3)
    if shown:
        legend = figure.legend(
            lines, ["x"] * len(lines), loc="outside right upper", fontsize="small", frameon=False, handlelength=3,
            ncols=-(-len(lines) // 24), title="average precision",
        )  # fmt: skip
        names = [f"{100 * curve.area:4.1f}  {shortened(name)}" for name, curve in shown.items()]
        name_entries(legend, names)
    save_figure(figure, path)
