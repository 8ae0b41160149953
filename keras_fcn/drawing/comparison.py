"""Chart that compares several models evaluated on the same images."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_fcn.drawing.figures import name_entries, save_figure
from keras_fcn.system.text import display_width, signed

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.container import BarContainer

Rows = Mapping[str, Sequence[float]]

_BAR, _GAP = 0.14, 0.1
"""Height of a bar, and the gap between the bars of two rows, in inches."""

_COLORS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#999999")
"""Okabe, Ito: Color Universal Design (2008), distinguishable with colour blindness."""


def draw_comparison(path: Path, names: Sequence[str], means: Rows, classes: Rows) -> None:
    """Draws a group of bars for each mean and each class, one bar per model, with the differences to the first model.

    Args:
        path: The PNG to write.
        names: Names of the models.
        means: Each mean's values, one per model, 0-1 or NaN, by the mean's name.
        classes: Each class's IoU, one per model, 0-1 or NaN, by the class's name.
    """
    from matplotlib.figure import Figure

    titles, group = [*means, *classes], _BAR * len(names) + _GAP
    # A gap separates the means from the classes.
    positions = group * (np.arange(len(titles)) + 0.6 * (np.arange(len(titles)) >= len(means)))
    size = (6.5 + 0.085 * max(map(display_width, titles)), positions[-1] + 1.4 * group + 0.8 + 0.2 * len(names))
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots()
    values = 100 * np.array([*means.values(), *classes.values()], float)
    offsets = _BAR * (np.arange(len(names)) - (len(names) - 1) / 2)
    bars: list[Any] = [_draw_model(axes, positions + offset, values, number) for number, offset in enumerate(offsets)]
    axes.set_yticks(positions, titles, parse_math=False)
    axes.set_ylim(positions[-1] + group * 0.7, -group * 0.7)
    axes.set(xlim=(0, 112), xlabel="percent (in brackets the difference to A); below the means, IoU of each class")
    axes.set_xticks(range(0, 101, 20))
    axes.grid(axis="x", alpha=0.3)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    legend = figure.legend(bars, ["-"] * len(names), loc="outside upper left", frameon=False)
    name_entries(legend, names)
    save_figure(figure, path)


def _draw_model(axes: Axes, positions: np.ndarray, values: np.ndarray, number: int) -> BarContainer:
    """Draws one bar per row of `values` [rows, models], with its value beside it."""
    color, hatch = _COLORS[number % len(_COLORS)], "///" * (number // len(_COLORS))
    own, first = values[:, number], values[:, 0]
    bars = axes.barh(
        positions, np.nan_to_num(own), 0.92 * _BAR, color=color, hatch=hatch, edgecolor="white", linewidth=0
    )
    texts = [
        "-" if math.isnan(value) else f"{value:.1f}" if not number or math.isnan(base)
        else f"{value:.1f} ({signed(value - base)})" for value, base in zip(own, first)
    ]  # fmt: skip
    axes.bar_label(bars, texts, padding=3, fontsize=7)
    return bars
