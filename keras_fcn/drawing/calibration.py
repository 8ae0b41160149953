"""Charts of how far probabilities can be trusted."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from keras_fcn.drawing.charts import line_styles, shortened
from keras_fcn.drawing.figures import name_entries, save_figure
from keras_fcn.images.classes import ClassTable


def draw_calibration(
    path: Path,
    bins: np.ndarray,
    error: float,
    curves: Mapping[str, tuple[np.ndarray, np.ndarray, float]],
    classes: ClassTable,
) -> None:
    """Draws accuracy over confidence, and precision over recall of each class in the ground truth.

    Args:
        path: The PNG to write.
        bins: Pixels, sum of confidence, and correct pixels of each bin of equal width, float64 [bins, 3].
        error: The expected calibration error, 0-1.
        curves: By class name, precision and recall at rising thresholds, 0-1 or NaN, and average precision.
        classes: Names and colours.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11.5, 4.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    count = len(bins)
    with np.errstate(invalid="ignore"):
        accuracy = np.nan_to_num(bins[:, 2] / bins[:, 0])
    places = (np.arange(count) + 0.5) / count
    left.bar(places, accuracy, 0.92 / count, color="tab:blue", label="accuracy")
    left.bar(places, bins[:, 0] / max(bins[:, 0].sum(), 1), 0.3 / count, color="0.25", label="fraction of the pixels")
    left.plot([0, 1], [0, 1], color="tab:gray", linestyle="--", label="calibrated")
    left.set(xlim=(0, 1), ylim=(0, 1), xlabel="confidence, the highest probability")
    left.set_title(f"expected calibration error {100 * error:.1f} percent")
    left.legend(loc="upper left", fontsize="small", frameon=False)
    shown = {name: curve for name, curve in curves.items() if not np.isnan(curve[1]).any()}
    colors = dict(zip(classes.names, classes.colors))
    for name, (color, line) in zip(shown, line_styles([colors[name] for name in shown])):
        precision, recall, _ = shown[name]
        right.plot(recall, precision, color=color, linestyle=line)
    right.set(xlim=(0, 1), ylim=(0, 1), xlabel="recall", ylabel="precision", title="at all thresholds, by class")
    right.grid(alpha=0.3)
    if shown:
        lines = right.get_lines()
        legend = figure.legend(
            lines, ["x"] * len(lines), loc="outside right upper", fontsize="small", frameon=False, handlelength=3,
            ncols=-(-len(lines) // 24),
        )  # fmt: skip
        name_entries(legend, [f"{100 * area:4.1f}  {shortened(name)}" for name, (_, _, area) in shown.items()])
    save_figure(figure, path)
