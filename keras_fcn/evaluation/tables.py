"""What was measured, as tables in plain text."""

from __future__ import annotations

import string
import textwrap
from collections.abc import Sequence

from keras_fcn.errors import UserError
from keras_fcn.system.text import display_width, left_justified, signed

Rows = dict[str, list[float | None]]
"""By name of a class or a mean, the figure of each model, 0-1 or None."""

MEANS = {
    "mean_iou": "mean IoU",
    "pixel_accuracy": "pixel accuracy",
    "mean_accuracy": "mean accuracy",
    "frequency_weighted_iou": "frequency-weighted IoU",
}
"""The four metrics of the FCN paper, and how they are called."""

_ABSENT = "Neither in the truth nor predicted, so in no mean:"


def format_metrics(figures: dict) -> str:
    """Returns what `evaluate` returned as a table, in percent."""
    trimap = figures.get("trimap")
    kept = {"IoU": "iou", "precision": "precision", "recall": "recall"}
    columns = {title: figures[key] for title, key in kept.items() if key in figures}  # older runs kept the IoU only
    if trimap:
        columns["trimap IoU"] = trimap["iou"]
    shown = [name for name, value in figures["iou"].items() if value is not None]
    width = _name_width([*shown, *MEANS.values()])
    heading = f"{'class':<{width}}" + "".join(_right(title, title) for title in columns)
    rows = [heading, "-" * len(heading)]
    for name in shown:
        cells = "".join(_right(_percent(values[name]), title) for title, values in columns.items())
        rows.append(left_justified(name, width) + cells)
    rows += ["-" * len(heading)]
    rows += [left_justified(title, width) + _right(_percent(figures[key]), "IoU") for key, title in MEANS.items()]
    if trimap:
        rows.append(left_justified("trimap mean IoU", width) + _right(_percent(trimap["mean_iou"]), "IoU"))
    rows += [f"Percent, over {figures['images']} whole images; void pixels count nowhere."]
    if trimap:
        rows += [f"Trimap: the pixels at most {trimap['width']} from a boundary in the truth."]
    return "\n".join(rows + _absent([name for name in figures["iou"] if name not in shown]))


def format_worst(worst: Sequence[tuple[str, float]]) -> str:
    """Returns images with their mean IoU as a list, in percent."""
    rows = [f"{100 * iou:6.1f}  {name}" for name, iou in worst]
    return "\n".join(["Images with the lowest mean IoU (of the classes in truth or prediction):", *rows])


def model_letters(names: Sequence[object]) -> dict[str, str]:
    """Returns a letter for each of several models that are compared, with its name.

    Raises:
        UserError: If there are more models than letters.
    """
    if len(names) > len(string.ascii_uppercase):
        raise UserError(f"at most {len(string.ascii_uppercase)} models are compared at once. Received: {len(names)}")
    return dict(zip(string.ascii_uppercase, map(str, names)))


def format_comparison(names: Sequence[str], figures: Sequence[dict]) -> str:
    """Returns a table of the IoU of each class and of the means, with the differences to the first model in brackets.

    Args:
        names: Of the models.
        figures: What `evaluate` returned for each.
    """
    letters = model_letters(names)
    classes, means = comparison_rows(figures)
    width = _name_width([*classes, *means])
    heading = f"{'IoU of class':<{width}}" + f"{'A':>6}" + "".join(f"{letter:>15}" for letter in list(letters)[1:])
    line = "-" * len(heading)
    rows = [f"{letter}  {name}" for letter, name in letters.items()]
    rows += ["", heading, line, *_compared(classes, width), line, *_compared(means, width)]
    rows += [f"Percent, and the difference to A, over {figures[0]['images']} whole images; void pixels count nowhere."]
    absent = [name for name in figures[0]["iou"] if name not in classes]
    return "\n".join(rows + _absent(absent))


def _compared(rows: Rows, width: int) -> list[str]:
    lines = []
    for title, (first, *others) in rows.items():
        cells = [f"{_percent(value)} {_difference(value, first):>7}" for value in others]
        lines.append(left_justified(title, width) + f"{_percent(first):>6}" + "".join(f"{c:>15}" for c in cells))
    return lines


def comparison_rows(figures: Sequence[dict]) -> tuple[Rows, Rows]:
    """Returns the IoU of each class that any model has one for, and the means, of each model."""
    classes = {name: [one["iou"][name] for one in figures] for name in figures[0]["iou"]}
    classes = {name: values for name, values in classes.items() if any(value is not None for value in values)}
    means = {title: [one[key] for one in figures] for key, title in MEANS.items()}
    if all("trimap" in one for one in figures):
        means["trimap mean IoU"] = [one["trimap"]["mean_iou"] for one in figures]
    return classes, means


def _absent(names: Sequence[str]) -> list[str]:
    if not names:
        return []
    return [_ABSENT, *textwrap.wrap(", ".join(names), 78, initial_indent="  ", subsequent_indent="  ")]


def _name_width(names: Sequence[str]) -> int:
    return max(map(display_width, names)) + 2


def _right(text: str, title: str) -> str:
    """Returns a cell of the column of that title."""
    return f"{text:>{max(6, len(title) + 2)}}"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f}"


def _difference(value: float | None, first: float | None) -> str:
    return "" if value is None or first is None else f"({signed(100 * (value - first))})"
