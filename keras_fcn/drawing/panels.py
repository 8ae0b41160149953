"""Figures of images with masks: panels of predictions, of errors, and of a data set."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from keras_fcn.drawing.figures import name_entries, save_figure
from keras_fcn.drawing.overlays import overlay
from keras_fcn.images.classes import VOID_LABEL, ClassTable, Color, class_fractions
from keras_fcn.system.text import display_width

_ERROR_COLORS: dict[str, Color] = {
    "another class": (213, 94, 0),
    "an object taken for background": (250, 200, 0),
    "background taken for an object": (0, 114, 178),
}
"""Colours of kinds of errors, distinguishable with colour blindness. The later ones are special cases of the first."""

_PANEL, _THUMBNAIL = 3.0, 800
"""Width of a panel in inches, and its longer side in pixels, which is reduced to less than twice this number."""

_SIDE_BY_SIDE = 512
"""The longer side of an image in `side_by_side`, in pixels, at most."""

_LETTER, _SWATCH = 0.09, 0.75
"""Width of a legend's letter, and of its colour swatch with the space around it, in inches."""


def side_by_side(image: np.ndarray, prediction: np.ndarray, label: np.ndarray, classes: ClassTable) -> np.ndarray:
    """Returns image, prediction and ground truth side by side in the classes' colours, uint8 [H, 3 * W, 3].

    Images of more than 512 pixels a side are reduced: five of 12 megapixels an epoch would fill a disk.
    """
    step = -(-max(label.shape) // _SIDE_BY_SIDE)
    image = np.asarray(Image.fromarray(image).reduce(step))
    prediction, label = prediction[::step, ::step], label[::step, ::step]
    palette = classes.palette()
    return np.concatenate([image, palette[prediction], palette[label]], axis=1)


def draw_predictions(
    path: Path, samples: Sequence[tuple[np.ndarray, np.ndarray, np.ndarray]], classes: ClassTable
) -> None:
    """Draws rows of image, prediction and ground truth with a legend of their classes.

    Args:
        path: The PNG to write.
        samples: The image uint8 [H, W, 3], the predicted and the true ids, uint8 [H, W], of each row.
        classes: Names and colours.
    """
    palette = classes.palette()
    titles = [("image", "prediction", "ground truth"), *[("", "", "")] * (len(samples) - 1)]
    shown = [_thumbnails(*sample) for sample in samples]
    rows = [(image, palette[prediction], palette[label]) for image, prediction, label in shown]
    _draw_rows(path, rows, titles, _classes_in(shown, classes))


def draw_worst(
    path: Path,
    samples: Sequence[tuple[np.ndarray, np.ndarray, np.ndarray]],
    names_and_ious: Sequence[tuple[str, float | None]],
    classes: ClassTable,
) -> None:
    """Draws rows of image, prediction, ground truth and error map, with metrics above each.

    Args:
        path: The PNG to write.
        samples: The image uint8 [H, W, 3], the predicted and the true ids, uint8 [H, W], of each row.
        names_and_ious: The image's name and its mean IoU, 0-1, or None without a valid pixel, of each row.
        classes: Names and colours.
    """
    palette = classes.palette()
    rows, titles = [], []
    for (name, iou), sample in zip(names_and_ious, samples):
        image, prediction, label = _thumbnails(*sample)
        rows.append((image, palette[prediction], palette[label], error_map(image, prediction, label, classes)))
        valid = label != VOID_LABEL
        wrong = f"{(prediction != label)[valid].mean():.0%} of the valid pixels" if valid.any() else "no valid pixel"
        titles.append((
            f"{name if len(name) <= 32 else '…' + name[-31:]}\nmean IoU {'-' if iou is None else f'{100 * iou:.1f}'}",
            f"prediction\n{_largest_classes(prediction, classes)}",
            f"ground truth\n{_largest_classes(label, classes)}",
            f"errors\n{wrong}",
        ))  # fmt: skip
    kinds = [(f"error: {kind}", color) for kind, color in _ERROR_COLORS.items()]
    _draw_rows(path, rows, titles, [*_classes_in(samples, classes), *kinds])


def error_map(image: np.ndarray, prediction: np.ndarray, label: np.ndarray, classes: ClassTable) -> np.ndarray:
    """Returns the image in grey with wrong pixels in the colour of their kind of error.

    Args:
        image: uint8 [H, W, 3].
        prediction: uint8 [H, W], class ids.
        label: uint8 [H, W], class ids or 255.
        classes: The classes, for the background's id and the colour of void.

    Returns:
        uint8 [H, W, 3].
    """
    grey = np.asarray(Image.fromarray(image).convert("L"))[..., None] // 2 + 90
    picture = np.repeat(grey, 3, axis=-1).astype(np.uint8)
    wrong = (prediction != label) & (label != VOID_LABEL)
    missed, alarm = ((ids == (-1 if classes.background is None else classes.background)) for ids in (prediction, label))
    for mask, color in zip((wrong, wrong & missed, wrong & alarm), _ERROR_COLORS.values()):
        picture[mask] = color
    picture[label == VOID_LABEL] = classes.void_color
    return picture


def draw_check(
    path: Path,
    examples: Sequence[tuple[str, np.ndarray, np.ndarray]],
    summaries: dict[str, dict],
    classes: ClassTable,
) -> None:
    """Draws examples with overlaid labels, and a histogram of the classes' pixels in each split.

    Args:
        path: The PNG to write.
        examples: Name, image uint8 [H, W, 3] and ids uint8 [H, W] of each.
        summaries: By split, "pixels" and "images" by class name.
        classes: Names and colours.
    """
    from matplotlib.figure import Figure

    columns = 3
    upper = 2.8 * -(-len(examples) // columns)
    lower = 0.8 + max(2.0, 0.22 * classes.num_classes * len(summaries))
    figure = Figure(figsize=(11, upper + lower), layout="constrained")
    if examples:
        pictures, histogram = figure.subfigures(2, 1, squeeze=False, height_ratios=(upper, lower))[:, 0]
        _draw_examples(pictures.subplots(-(-len(examples) // columns), columns).ravel(), examples, classes)
    else:
        histogram = figure
    _draw_histogram(histogram.subplots(), summaries, classes)
    save_figure(figure, path)


def _draw_examples(grid: np.ndarray, examples: Sequence[tuple[str, np.ndarray, np.ndarray]], classes: ClassTable):
    for axes in grid:
        _show_no_axis(axes)
    for axes, (name, image, ids) in zip(grid, examples):
        axes.imshow(overlay(image, ids, classes))
        shown = ", ".join(f"{classes.names[index]} {part:.0%}" for index, part in class_fractions(ids, classes)[:3])
        axes.set_title(f"{name}\n{shown}", fontsize="small", parse_math=False)


def _show_no_axis(axes) -> None:
    """Leaves only the picture and the title; ticks, though unseen, would take as long to lay out as all else."""
    axes.set_axis_off()
    axes.set(xticks=(), yticks=())


def _draw_histogram(axes, summaries: dict[str, dict], classes: ClassTable) -> None:
    """Draws percentages on a logarithmic axis, since some classes have a thousand times the pixels of others."""
    height, least = 0.8 / len(summaries), 0.001
    for number, (split, summary) in enumerate(summaries.items()):
        total = max(1, sum(summary["pixels"].values()))
        values = [100 * summary["pixels"][name] / total for name in classes.names]
        texts = [
            f"{split}: {value:.2g} %, {count} image{'s' * (count != 1)}" if (count := summary["images"][name])
            else f"{split}: none" for value, name in zip(values, classes.names)
        ]  # fmt: skip
        positions = np.arange(classes.num_classes) + (number - (len(summaries) - 1) / 2) * height
        colors = np.array(classes.colors) / 255
        widths = np.maximum(values, least) - least
        drawn = axes.barh(positions, widths, height * 0.9, least, color=colors, edgecolor="gray", hatch="///" * number)
        axes.bar_label(drawn, texts, padding=3, fontsize="x-small")
    axes.set_xscale("log")
    axes.set_xlim(least, 1000)
    axes.set_xticks([0.001, 0.01, 0.1, 1, 10, 100], ["0.001", "0.01", "0.1", "1", "10", "100"])
    axes.set_yticks(np.arange(classes.num_classes), classes.names, parse_math=False)
    axes.invert_yaxis()
    axes.set(xlabel="percent of the pixels that are not void", title="pixels of each class")
    axes.margins(y=0.01)


def _draw_rows(
    path: Path,
    rows: Sequence[Sequence[np.ndarray]],
    titles: Sequence[Sequence[str]],
    legend: Sequence[tuple[str, Color]],
) -> None:
    """Draws rows of images uint8 [H, W, 3] of one size per row, a title above each, and a legend below all."""
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine
    from matplotlib.patches import Patch

    columns = len(rows[0])
    heights = [float(np.clip(_PANEL * row[0].shape[0] / row[0].shape[1], 0.4, 1.2 * _PANEL)) for row in rows]
    heights = [
        height + 0.2 * max(map(str.count, title, "\n" * columns)) + 0.1 for height, title in zip(heights, titles)
    ]
    longest = max(display_width(name) for name, _ in legend)
    entries_a_line = max(1, int(_PANEL * columns / (_LETTER * longest + _SWATCH)))
    lines = -(-len(legend) // entries_a_line)
    size = (_PANEL * columns, sum(heights) + 0.4 + 0.22 * lines)
    figure = Figure(figsize=size, layout=ConstrainedLayoutEngine(h_pad=0.07))
    grid = figure.subplots(len(rows), columns, squeeze=False, height_ratios=heights)
    for row_axes, pictures, texts in zip(grid, rows, titles):
        for axes, picture, text in zip(row_axes, pictures, texts):
            axes.imshow(picture, interpolation="nearest")
            _show_no_axis(axes)
            axes.set_title(text, fontsize="medium", parse_math=False)
    patches = [Patch(facecolor=np.array(color) / 255, edgecolor="gray", label=str(color)) for _, color in legend]
    drawn = figure.legend(
        handles=patches, loc="outside lower center", ncols=entries_a_line, frameon=False, fontsize="medium"
    )
    name_entries(drawn, [name for name, _ in legend])
    save_figure(figure, path)


def _thumbnails(image: np.ndarray, *labels: np.ndarray) -> tuple[np.ndarray, ...]:
    """Returns an image and its labels, reduced by an integer factor to about the size in the figure."""
    step = max(1, max(image.shape[:2]) // _THUMBNAIL)
    return np.asarray(Image.fromarray(image).reduce(step)), *(ids[::step, ::step] for ids in labels)


def _classes_in(samples: Sequence[Sequence[np.ndarray]], classes: ClassTable) -> list[tuple[str, Color]]:
    """Returns names and colours of the classes in predictions and labels, and void's if it occurs."""
    present = np.zeros(256, bool)
    for _, *labels in samples:
        for ids in labels:
            present[np.unique(ids)] = True
    table = [*zip(classes.names, classes.colors)]
    void = [("void (ignored)", classes.void_color)] if present[VOID_LABEL] else []
    return [entry for entry, is_present in zip(table, present) if is_present] + void


def _largest_classes(ids: np.ndarray, classes: ClassTable) -> str:
    """Returns the three largest classes of a label, without background, with their fractions of the pixels."""
    found = [
        (classes.names[index], part) for index, part in class_fractions(ids, classes) if index != classes.background
    ]
    return ", ".join(f"{name} {part:.0%}" for name, part in found[:3]) or "background only"
