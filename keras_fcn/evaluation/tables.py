"""Evaluations as tables in plain text."""

from __future__ import annotations

import math
import string
import textwrap
from collections.abc import Sequence

from keras_fcn.errors import UserError
from keras_fcn.evaluation.results import Evaluation
from keras_fcn.system.text import display_width, left_justified, signed

Rows = dict[str, list[float]]
"""By name of a class or a mean, the value of each model, 0-1 or NaN."""

MEANS = {
    "mean_iou": "mean IoU",
    "pixel_accuracy": "pixel accuracy",
    "mean_accuracy": "mean accuracy",
    "frequency_weighted_iou": "frequency-weighted IoU",
}
"""The four metrics of the FCN paper, and how they are called."""

_ABSENT = "Neither in the truth nor predicted, so in no mean:"


def format_metrics(evaluation: Evaluation) -> str:
    """Returns an evaluation as a table, in percent."""
    metrics, trimap = evaluation.metrics, evaluation.trimap
    columns = {"IoU": metrics.iou, "precision": metrics.precision, "recall": metrics.recall}
    means = {title: getattr(metrics, name) for name, title in MEANS.items()}
    if trimap:
        columns["trimap IoU"] = trimap.iou
        means["trimap mean IoU"] = trimap.mean_iou
    classes = {name: values for name, *values in zip(evaluation.class_names, *columns.values())}
    shown = {name: values for name, values in classes.items() if not math.isnan(values[0])}
    width = _name_width([*shown, *means])
    heading = f"{'class':<{width}}" + "".join(_right(title, title) for title in columns)
    rows = [heading, "-" * len(heading)]
    for name, values in shown.items():
        rows.append(left_justified(name, width) + "".join(map(_right, map(_percent, values), columns)))
    rows += ["-" * len(heading)]
    rows += [left_justified(title, width) + _right(_percent(value), "IoU") for title, value in means.items()]
    rows += [f"Percent, over {evaluation.num_images} whole images; void pixels count nowhere."]
    if trimap:
        rows += [f"Trimap: the pixels at most {trimap.width} from a boundary in the truth."]
    return "\n".join(rows + _absent([name for name in classes if name not in shown]))


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


def format_comparison(names: Sequence[str], evaluations: Sequence[Evaluation]) -> str:
    """Returns a table of the IoU of each class and of the means, with the differences to the first model in brackets.

    Args:
        names: Of the models.
        evaluations: Of each model, on the same images.
    """
    letters = model_letters(names)
    classes, means = comparison_rows(evaluations)
    width = _name_width([*classes, *means])
    heading = f"{'IoU of class':<{width}}" + f"{'A':>6}" + "".join(f"{letter:>15}" for letter in list(letters)[1:])
    line = "-" * len(heading)
    rows = [f"{letter}  {name}" for letter, name in letters.items()]
    rows += ["", heading, line, *_compared(classes, width), line, *_compared(means, width)]
    images = evaluations[0].num_images
    rows += [f"Percent, and the difference to A, over {images} whole images; void pixels count nowhere."]
    return "\n".join(rows + _absent([name for name in evaluations[0].class_names if name not in classes]))


def _compared(rows: Rows, width: int) -> list[str]:
    lines = []
    for title, (first, *others) in rows.items():
        cells = [f"{_percent(value)} {_difference(value, first):>7}" for value in others]
        lines.append(left_justified(title, width) + f"{_percent(first):>6}" + "".join(f"{c:>15}" for c in cells))
    return lines


def comparison_rows(evaluations: Sequence[Evaluation]) -> tuple[Rows, Rows]:
    """Returns the IoU of each class that any model has one for, and the means, of each model."""
    ious = zip(*(evaluation.metrics.iou for evaluation in evaluations))
    classes = {
        name: list(values) for name, values in zip(evaluations[0].class_names, ious) if not all(map(math.isnan, values))
    }
    means = {title: [getattr(evaluation.metrics, name) for evaluation in evaluations] for name, title in MEANS.items()}
    trimaps = [evaluation.trimap for evaluation in evaluations if evaluation.trimap]
    if trimaps:
        means["trimap mean IoU"] = [trimap.mean_iou for trimap in trimaps]
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


def _percent(value: float) -> str:
    return "-" if math.isnan(value) else f"{100 * value:.1f}"


def _difference(value: float, first: float) -> str:
    return "" if math.isnan(value - first) else f"({signed(100 * (value - first))})"
