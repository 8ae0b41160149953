"""Charts of a run: learning curves and the confusion matrix."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from keras_fcn.drawing.figures import name_entries, save_figure
from keras_fcn.images.classes import ClassTable, Color
from keras_fcn.runs.history import EpochRow
from keras_fcn.system.text import display_width

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colorbar import Colorbar
    from matplotlib.colors import Normalize
    from matplotlib.figure import Figure, SubFigure

_METRICS = {
    "val_pixel_accuracy": ("pixel accuracy", "tab:gray"),
    "val_frequency_weighted_iou": ("frequency-weighted IoU", "tab:olive"),
    "val_mean_accuracy": ("mean accuracy", "tab:orange"),
    "val_mean_iou": ("mean IoU", "tab:blue"),
}
_LINE_STYLES = ("-", "--", ":", "-.")
_MOST_MARKED_EPOCHS = 50
_LONGEST_NAME = 24
_LEGEND_ROWS = 38
_CELLS_WITH_NUMBERS = 30
_CELL, _SMALL_CELL = 0.4, 0.15
"""Side of a cell in inches."""


def draw_curves(path: Path, history: Sequence[EpochRow], classes: ClassTable) -> None:
    """Draws loss, learning rate and validation metrics of each epoch, and the IoU of each class if available.

    Args:
        path: The PNG to write.
        history: At least one row.
        classes: Names and colours of the classes.
    """
    from matplotlib.figure import Figure

    epochs = _column(history, "epoch")
    series = {name: np.array([row.val_iou.get(name, math.nan) for row in history]) for name in classes.names}
    series = {name: values for name, values in series.items() if not np.isnan(values).all()}
    legend_columns = math.ceil(len(series) / _LEGEND_ROWS)
    lower_height = max(4.4, 0.8 + 0.19 * min(len(series), _LEGEND_ROWS)) if series else 0.0
    figure = Figure(figsize=(13 + 2.1 * max(0, legend_columns - 1), 3.4 + lower_height), layout="constrained")
    upper: SubFigure | Figure = figure
    if series:
        upper, lower = figure.subfigures(2, 1, squeeze=False, height_ratios=(3.4, lower_height))[:, 0]
        _draw_class_iou(lower, epochs, series, classes, legend_columns)
    loss, rate, metrics = upper.subplots(1, 3)
    _plot(loss, epochs, _column(history, "loss"), color="tab:red")
    loss.set(title="training loss", ylim=(0, None))
    _plot(rate, epochs, _column(history, "learning_rate"), color="tab:gray")
    rate.set(title="learning rate at the end of the epoch", ylim=(0, None))
    _draw_metrics(metrics, epochs, history)
    save_figure(figure, path)


def _column(history: Sequence[EpochRow], name: str) -> np.ndarray:
    """Returns a column of the history, float64 [epochs]."""
    return np.array([getattr(row, name) for row in history], float)


def _plot(axes: Axes, epochs: np.ndarray, values: np.ndarray, **style) -> None:
    """Draws a line over the epochs, with a marker at each epoch if there are few."""
    from matplotlib.ticker import MaxNLocator

    style = {"marker": "o" if len(epochs) <= _MOST_MARKED_EPOCHS else None, "markersize": 3, **style}
    axes.plot(epochs, values, **style)
    axes.set_xlabel("epoch")
    axes.set_xlim(epochs[0] - 0.5, epochs[-1] + 0.5)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.grid(alpha=0.3)


def _draw_metrics(axes: Axes, epochs: np.ndarray, history: Sequence[EpochRow]) -> None:
    watched = 100 * _column(history, "val_watched")
    metrics = {name: (100 * _column(history, name), *style) for name, style in _METRICS.items()}
    starred = next((name for name in reversed(metrics) if np.array_equal(metrics[name][0], watched)), "watched")
    metrics |= {"watched": (watched, "watched", "tab:green")} if starred == "watched" else {}
    for name, (values, label, color) in metrics.items():
        if name == starred:
            best = int(values.argmax())
            axes.plot(epochs[best], values[best], "*", color=color, markersize=10, zorder=3, clip_on=False)
            label = f"{label}\nbest {values[best]:.1f} in epoch {epochs[best]:.0f}"
        _plot(axes, epochs, values, color=color, label=label)
    axes.set(title="validation images, percent", ylim=(0, 100))
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1.02), fontsize="small", frameon=False, labelspacing=1)


def _draw_class_iou(
    part: SubFigure, epochs: np.ndarray, series: dict[str, np.ndarray], classes: ClassTable, legend_columns: int
) -> None:
    """Draws one line per class; the legend sorts the classes by their last value, the best first."""
    axes = part.subplots()
    colors = dict(zip(classes.names, classes.colors))
    styles = line_styles([colors[name] for name in series])
    last = {name: 100 * values[~np.isnan(values)][-1] for name, values in series.items()}
    order = sorted(series, key=lambda name: -last[name])
    crowded = {"marker": None, "linewidth": 0.9} if legend_columns > 1 else {}
    for name, (color, line) in zip(series, styles):
        _plot(axes, epochs, 100 * series[name], color=color, linestyle=line, **crowded)
    axes.set(title="IoU of each class on the validation images, percent", ylim=(0, 100))
    lines = dict(zip(series, axes.get_lines()))
    legend = part.legend(
        [lines[name] for name in order], order, loc="outside right upper", ncols=legend_columns, fontsize="small",
        frameon=False, handlelength=3,
    )  # fmt: skip
    name_entries(legend, [f"{last[name]:4.1f}  {shortened(name)}" for name in order])


def line_styles(colors: Sequence[Color]) -> list[tuple[tuple[float, float, float], str]]:
    """Returns a line colour that is visible on white for each class, with a line style that separates similar colours.

    Args:
        colors: RGB, 0-255.

    Returns:
        RGB in 0-1 and Matplotlib's line style; pairs repeat only if too many colours are similar.
    """
    chosen: list[tuple[tuple[float, float, float], str]] = []
    for color in colors:
        rgb = np.array(color) / 255
        luminance = float(rgb @ (0.2126, 0.7152, 0.0722))
        rgb = rgb * min(1.0, 0.65 / max(luminance, 1e-6))
        taken = [line for other, line in chosen if np.abs(rgb - other).max() < 0.3]
        red, green, blue = rgb.tolist()
        chosen.append(((red, green, blue), min(_LINE_STYLES, key=taken.count)))
    return chosen


def draw_confusion(path: Path, matrix: np.ndarray, classes: ClassTable) -> None:
    """Draws the confusion matrix: as percent of each true class's pixels, and as pixels on a logarithmic scale.

    Only classes that occur in the ground truth or in a prediction are shown. Large enough cells have numbers.

    Args:
        path: The PNG to write.
        matrix: Pixels by true class (rows) and predicted class (columns), int64 [classes, classes].
        classes: The classes of the rows and columns.
    """
    from matplotlib.colors import LogNorm, PowerNorm
    from matplotlib.figure import Figure

    occurs = matrix.any(axis=0) | matrix.any(axis=1)
    shown = np.flatnonzero(occurs if occurs.any() else ~occurs)
    counts = matrix[np.ix_(shown, shown)]
    names = [shortened(classes.names[index]) for index in shown]
    with np.errstate(invalid="ignore"):
        percent = 100 * counts / counts.sum(axis=1, keepdims=True)
    side = max(2.6, (_CELL if len(names) <= _CELLS_WITH_NUMBERS else _SMALL_CELL) * len(names))
    margin = 1.0 + 0.085 * max(map(display_width, names))
    figure = Figure(figsize=(2 * (side + margin + 0.5), side + margin), layout="compressed")
    left, right = figure.subplots(1, 2)
    # The square-root scale makes confusions of a few percent visible.
    bar = _draw_matrix(
        left, percent, names, PowerNorm(0.5, 0, 100), lambda value: f"{value:.0f}" if value >= 0.5 else ""
    )
    bar.set_ticks([0, 1, 5, 10, 20, 40, 60, 80, 100])
    left.set_title(
        "percent of the true class" + (" (grey: not in the ground truth)" if np.isnan(percent).any() else "")
    )
    _draw_matrix(right, counts, names, LogNorm(1, max(10, counts.max())), _compact)
    right.set_title("pixels")
    save_figure(figure, path)


def _draw_matrix(
    axes: Axes, values: np.ndarray, names: Sequence[str], norm: Normalize, number: Callable[[float], str]
) -> Colorbar:
    """Draws values [true class, predicted class], zeros in white and NaN in grey, with numbers if they fit."""
    import matplotlib

    colors = matplotlib.colormaps["Blues"].with_extremes(bad="none")
    axes.set_facecolor("white")
    axes.imshow(np.where(np.isnan(values), 0.85, 1.0), cmap="gray", vmin=0, vmax=1)
    picture = axes.imshow(np.ma.masked_where(~(values > 0), values), cmap=colors, norm=norm)
    fits = len(names) <= _CELLS_WITH_NUMBERS
    size = "small" if fits else 8
    axes.set_xticks(range(len(names)), names, rotation=90, fontsize=size, parse_math=False)
    axes.set_yticks(range(len(names)), names, fontsize=size, parse_math=False)
    axes.set(xlabel="prediction", ylabel="ground truth")
    axes.tick_params(length=0)
    edges = np.arange(len(names) + 1) - 0.5
    for draw_lines in (axes.vlines, axes.hlines):
        draw_lines(edges, edges[0], edges[-1], color="0.8", linewidth=0.5)
    for (row, column), value in np.ndenumerate(values if fits else values[:0]):
        if value > 0:
            ink = "white" if norm(value) > 0.55 else "black"
            axes.text(column, row, number(value), ha="center", va="center", fontsize=7.5, color=ink)
    return axes.figure.colorbar(picture, ax=axes, shrink=0.8, pad=0.02)


def _compact(count: float) -> str:
    """Returns a count in at most four characters, such as 7, 950, 1.2k, 34k, 5.6M."""
    unit = 0
    while count >= 999.5:
        count, unit = count / 1000, unit + 1
    digits = 1 if unit and count < 9.95 else 0
    return f"{count:.{digits}f}{('', 'k', 'M', 'G', 'T')[unit]}"


def shortened(name: str) -> str:
    """Returns a name, truncated if it is too long for a chart."""
    return name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…"
