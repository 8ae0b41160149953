"""Evaluations as tables in plain text."""

from __future__ import annotations

import math
import string
import textwrap
from collections.abc import Sequence

from tabulate import SEPARATING_LINE

from keras_fcn.errors import UserError
from keras_fcn.evaluation.results import Evaluation
from keras_fcn.system.text import signed, table

Rows = dict[str, list[float]]
"""The value of each model, 0-1 or NaN, by name of a class or a mean."""

MEANS = {
    "mean_iou": "mean IoU",
    "pixel_accuracy": "pixel accuracy",
    "mean_accuracy": "mean accuracy",
    "frequency_weighted_iou": "frequency-weighted IoU",
}
"""Titles of the four metrics of the FCN paper."""

_ABSENT = "Neither in the ground truth nor predicted, so in no mean:"


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
    cells = [[name, *map(_percent, values)] for name, values in shown.items()]
    cells += [SEPARATING_LINE, *([title, _percent(value)] for title, value in means.items())]
    rows = [table(("class", *columns), cells)]
    rows += [f"Percent, over {evaluation.num_images} whole images, without void pixels."]
    if trimap:
        rows += [f"Trimap: the pixels at most {trimap.width} from a boundary in the ground truth."]
    return "\n".join(rows + _absent([name for name in classes if name not in shown]))


def format_calibration(evaluation: Evaluation) -> str:
    """Returns the calibration of an evaluation, and each class' best threshold, as a table, in percent."""
    found = evaluation.calibration
    assert found is not None
    columns = (evaluation.metrics.dice, found.average_precision, found.thresholds, found.spread, found.checked_dice)
    cells = [
        [name, _percent(dice), _percent(area), f"{threshold:.3f}", _range(*spread), _percent(checked)]
        for name, dice, area, threshold, spread, checked in zip(evaluation.class_names, *columns)
        if not math.isnan(threshold)
    ]
    titles = ("class", "Dice", "average precision", "best threshold", "range", "Dice at it")
    how = "Range: without a tenth of the images each; Dice at it: of each tenth by the others' threshold."
    best = f"at the temperature of the least cross-entropy, {found.temperature:.3f}, {_percent(found.tempered_ece)}"
    hint = ", no less: it is not worth keeping" if found.tempered_ece >= found.ece else ""
    line = f"Expected calibration error {_percent(found.ece)}; {best}{hint}."
    return "\n".join([table(titles, cells), *textwrap.wrap(how, 78), *textwrap.wrap(line, 78)])


def format_worst(worst: Sequence[tuple[str, float]]) -> str:
    """Returns images with their mean IoU as a list, in percent."""
    rows = [f"{100 * iou:6.1f}  {name}" for name, iou in worst]
    return "\n".join(["Images with the lowest mean IoU (of the classes in ground truth or prediction):", *rows])


def model_letters(names: Sequence[object]) -> dict[str, str]:
    """Returns the names of several models by letter: A, B, ...

    Raises:
        UserError: If there are more models than letters.
    """
    if len(names) > len(string.ascii_uppercase):
        raise UserError(f"at most {len(string.ascii_uppercase)} models are compared at once. Received: {len(names)}")
    return dict(zip(string.ascii_uppercase, map(str, names)))


def format_comparison(names: Sequence[str], evaluations: Sequence[Evaluation]) -> str:
    """Returns a table of the IoU of each class and of the means, with the differences to the first model in brackets.

    Args:
        names: The models' names.
        evaluations: The models' evaluations on the same images.
    """
    letters = model_letters(names)
    classes, means = comparison_rows(evaluations)
    rows = [f"{letter}  {name}" for letter, name in letters.items()]
    rows += ["", table(("IoU of class", *letters), [*_compared(classes), SEPARATING_LINE, *_compared(means)])]
    images = evaluations[0].num_images
    rows += [f"Percent, and the difference to A, over {images} whole images, without void pixels."]
    return "\n".join(rows + _absent([name for name in evaluations[0].class_names if name not in classes]))


def _compared(rows: Rows) -> list[list[str]]:
    return [
        [title, _percent(first), *(f"{_percent(value)} {_difference(value, first):>7}" for value in others)]
        for title, (first, *others) in rows.items()
    ]


def comparison_rows(evaluations: Sequence[Evaluation]) -> tuple[Rows, Rows]:
    """Returns the IoU of each class that any model has an IoU for, and the means, of each model."""
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


def _range(low: float, high: float) -> str:
    return "-" if math.isnan(low) else f"{low:.3f}-{high:.3f}"


def _percent(value: float) -> str:
    return "-" if math.isnan(value) else f"{100 * value:.1f}"


def _difference(value: float, first: float) -> str:
    return "" if math.isnan(value - first) else f"({signed(100 * (value - first))})"
