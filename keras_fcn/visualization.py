"""Pictures for people: overlays with a legend, panels of predictions, curves of a run."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from keras_fcn.files import replaced_file
from keras_fcn.labels import VOID_LABEL, ClassTable, shares

_FALLBACK_FONTS = (
    "Noto Sans CJK SC", "Noto Sans CJK JP", "WenQuanYi Zen Hei", "WenQuanYi Micro Hei", "PingFang SC",
    "Hiragino Sans GB", "Microsoft YaHei", "Arial Unicode MS", "Noto Emoji", "Segoe UI Emoji",
)  # fmt: skip
"""Fonts of Linux, macOS and Windows for names that Matplotlib's own font has no letters for."""


def overlay(image: np.ndarray, ids: np.ndarray, classes: ClassTable, alpha: float = 0.55) -> np.ndarray:
    """Lays the classes' colours over an image, outlines in full colour; background stays as it is.

    Args:
        image: uint8 [H, W, 3].
        ids: uint8 [H, W], class ids or 255.
        classes: Whose colours to use.
        alpha: Share of the colour in the mixture, 0-1.

    Returns:
        uint8 [H, W, 3].
    """
    colors = classes.palette()[ids]
    strength = np.where(_outlines(ids), 1.0, alpha)
    background = np.zeros(ids.shape, bool) if classes.background is None else ids == classes.background
    strength[background & ~_outlines(ids)] = 0
    mixed = image * (1 - strength[..., None]) + colors * strength[..., None]
    # A white line beside the coloured one keeps dark outlines visible on dark photographs.
    mixed[_outlines(ids) & background] = 255
    return mixed.round().astype(np.uint8)


def overlay_with_legend(image: np.ndarray, ids: np.ndarray, classes: ClassTable) -> Image.Image:
    """Returns the overlay at the photograph's own size, and under it the classes present with their share of pixels."""
    picture = Image.fromarray(overlay(image, ids, classes))
    entries = [(f"{classes.names[index]} {share:.1%}", classes.colors[index]) for index, share in shares(ids, classes)]
    legend = _legend(entries, picture.width)
    page = Image.new("RGB", (picture.width, picture.height + legend.height), "white")
    page.paste(picture, (0, 0))
    page.paste(legend, (0, picture.height))
    return page


def side_by_side(image: np.ndarray, prediction: np.ndarray, truth: np.ndarray, classes: ClassTable) -> np.ndarray:
    """Returns photograph, prediction and truth in VOC's colours as one picture, uint8 [H, 3 * W, 3]."""
    palette = classes.palette()
    return np.concatenate([image, palette[prediction], palette[truth]], axis=1)


def draw_predictions(
    path: Path, samples: Sequence[tuple[np.ndarray, np.ndarray, np.ndarray]], classes: ClassTable
) -> None:
    """Draws rows of photograph, prediction and truth with a legend of the classes in them.

    Args:
        path: The PNG to write.
        samples: Per row the image uint8 [H, W, 3], the predicted ids and the true ids, uint8 [H, W].
        classes: Names and colours.
    """
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    palette = classes.palette()
    figure = Figure(figsize=(9, 2.5 * len(samples) + 1.0), layout="constrained")
    grid = figure.subplots(len(samples), 3, squeeze=False)
    for row, (image, prediction, truth) in zip(grid, samples):
        for axes, picture in zip(row, (image, palette[prediction], palette[truth])):
            axes.imshow(picture, interpolation="nearest")
            axes.set_axis_off()
    for axes, title in zip(grid[0], ("photograph", "prediction", "truth")):
        axes.set_title(title)
    present = np.unique(np.concatenate([ids.ravel() for sample in samples for ids in sample[1:]])).tolist()
    names = {VOID_LABEL: "void (counts nowhere)", **dict(enumerate(classes.names))}
    patches = [Patch(facecolor=palette[index] / 255, edgecolor="gray", label=str(index)) for index in present]
    fonts = {"family": _font_families()}
    legend = figure.legend(handles=patches, loc="outside lower center", ncols=5, frameon=False, prop=fonts)
    for text, index in zip(legend.get_texts(), present):
        # Set afterwards: Matplotlib leaves labels such as _background_ out, and takes $ for a formula.
        text.set_parse_math(False)
        text.set_text(names[index])
    _save(figure, path)


def draw_check(
    path: Path,
    examples: Sequence[tuple[str, np.ndarray, np.ndarray]],
    summaries: dict[str, dict],
    classes: ClassTable,
) -> None:
    """Draws examples with their labels laid over them, and how many pixels each class has in each split.

    Args:
        path: The PNG to write.
        examples: Name, image uint8 [H, W, 3] and ids uint8 [H, W] of each.
        summaries: By split, "pixels" by class name.
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
    _save(figure, path)


def _draw_examples(grid: np.ndarray, examples: Sequence[tuple[str, np.ndarray, np.ndarray]], classes: ClassTable):
    for axes in grid:
        axes.set_axis_off()
    for axes, (name, image, ids) in zip(grid, examples):
        axes.imshow(overlay(image, ids, classes))
        shown = ", ".join(f"{classes.names[index]} {share:.0%}" for index, share in shares(ids, classes)[:3])
        axes.set_title(f"{name}\n{shown}", fontsize="small", parse_math=False, family=_font_families())


def _draw_histogram(axes, summaries: dict[str, dict], classes: ClassTable) -> None:
    """Draws percents on a logarithmic axis, since some classes have a thousand times the pixels of others."""
    height, least = 0.8 / len(summaries), 0.001
    for number, (split, summary) in enumerate(summaries.items()):
        total = max(1, sum(summary["pixels"].values()))
        values = [100 * summary["pixels"][name] / total for name in classes.names]
        texts = [
            f"{split}: {value:.2g} %, {count} image{'s' * (count != 1)}" if (count := summary["images"][name])
            else f"{split}: none" for value, name in zip(values, classes.names)
        ]  # fmt: skip
        places = np.arange(classes.num_classes) + (number - (len(summaries) - 1) / 2) * height
        colors = np.array(classes.colors) / 255
        widths = np.maximum(values, least) - least
        drawn = axes.barh(places, widths, height * 0.9, least, color=colors, edgecolor="gray", hatch="///" * number)
        axes.bar_label(drawn, texts, padding=3, fontsize="x-small")
    axes.set_xscale("log")
    axes.set_xlim(least, 1000)
    axes.set_xticks([0.001, 0.01, 0.1, 1, 10, 100], ["0.001", "0.01", "0.1", "1", "10", "100"])
    axes.set_yticks(np.arange(classes.num_classes), classes.names, family=_font_families(), parse_math=False)
    axes.invert_yaxis()
    axes.set(xlabel="percent of the pixels that are not void", title="pixels of each class")
    axes.margins(y=0.01)


def draw_curves(path: Path, history: Sequence[dict[str, float]]) -> None:
    """Draws loss, learning rate and held-out metrics of each epoch.

    Args:
        path: The PNG to write.
        history: One row per epoch, as in history.csv.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    epochs = [row["epoch"] for row in history]
    figure = Figure(figsize=(11, 3.6), layout="constrained")
    loss, rate, metrics = figure.subplots(1, 3)
    loss.plot(epochs, [row["loss"] for row in history], "o-", color="tab:red", markersize=3)
    loss.set(title="training loss (cross-entropy)", ylim=(0, None))
    rate.plot(epochs, [row["learning_rate"] for row in history], "o-", color="tab:gray", markersize=3)
    rate.set(title="learning rate at the end of the epoch", ylim=(0, None))
    for name in ("val_pixel_accuracy", "val_mean_accuracy", "val_mean_iou", "val_frequency_weighted_iou"):
        label = name.removeprefix("val_").replace("_", " ").replace("iou", "IoU")
        metrics.plot(epochs, [100 * row[name] for row in history], "o-", markersize=3, label=label)
    metrics.set(title="held-out images, percent", ylim=(0, 100))
    metrics.legend(loc="lower right", fontsize="small")
    for axes in (loss, rate, metrics):
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.3)
    _save(figure, path)


def _save(figure, path: Path) -> None:
    with replaced_file(path) as temporary, warnings.catch_warnings():
        # Where no font has a letter, the picture shows a box in its place.
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        figure.savefig(temporary, dpi=120)


def _font_families() -> list[str]:
    """Returns Matplotlib's own font, and those installed of `_FALLBACK_FONTS`."""
    from matplotlib.font_manager import fontManager

    installed = {font.name for font in fontManager.ttflist}
    return ["sans-serif", *(name for name in _FALLBACK_FONTS if name in installed)]


def _outlines(ids: np.ndarray) -> np.ndarray:
    """Returns where a pixel's right or lower neighbour has another id, and those neighbours: boolean [H, W]."""
    edges = np.zeros(ids.shape, bool)
    across, down = ids[:, 1:] != ids[:, :-1], ids[1:] != ids[:-1]
    edges[:, 1:] |= across
    edges[:, :-1] |= across
    edges[1:] |= down
    edges[:-1] |= down
    return edges


def _legend(entries: Sequence[tuple[str, tuple[int, int, int]]], width: int) -> Image.Image:
    """Draws colour fields with their texts, wrapped to `width` pixels."""
    size = int(np.clip(width // 30, 12, 28))
    font = ImageFont.load_default(size)
    line, gap = round(size * 1.7), size // 2
    places, x, y = [], gap, gap // 2
    for text, color in entries:
        needed = size + gap + round(font.getlength(text)) + 2 * gap
        if x > gap and x + needed > width:
            x, y = gap, y + line
        places.append((x, y, text, color))
        x += needed
    legend = Image.new("RGB", (width, y + line + gap // 2), "white")
    draw = ImageDraw.Draw(legend)
    for x, y, text, color in places:
        draw.rectangle((x, y + gap // 2, x + size, y + gap // 2 + size), color, "gray")
        draw.text((x + size + gap, y + gap // 2 + size // 2), text, "black", font, anchor="lm")
    return legend
