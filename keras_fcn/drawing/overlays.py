"""Overlays of predictions on images: colours, outlines, class names and a legend, readable on any image."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from keras_fcn.drawing.fonts import font_for
from keras_fcn.drawing.palettes import text_color
from keras_fcn.errors import UserError
from keras_fcn.images.classes import ClassTable, Color, class_fractions

Box = tuple[int, int, int, int]
"""Left, top, right and bottom of a rectangle in pixels, all inclusive."""

_PIXELS_PER_LINE = 700
"""An outline is one pixel wide, plus one for every so many pixels of the longer side."""

_LEAST_LABELLED = 0.004
"""Least fraction of the pixels of a class whose name is drawn on the image itself."""

_COARSE = 64
"""Longer side, in pixels, of the reduced mask that is searched for the position of a name."""


def overlay(image: np.ndarray, ids: np.ndarray, classes: ClassTable, alpha: float = 0.55) -> np.ndarray:
    """Blends the classes' colours into an image, with outlines in full colour; background stays unchanged.

    Beside a coloured outline, the background gets a white line, or a black one if the colour is light, so that one of
    the two is visible on any image.

    Args:
        image: uint8 [H, W, 3].
        ids: uint8 [H, W], class ids or 255.
        classes: The classes with their colours.
        alpha: Opacity of the colours, 0-1.

    Returns:
        uint8 [H, W, 3].
    """
    colors = Image.fromarray(ids)
    colors.putpalette(classes.palette().tobytes())
    mixed = Image.blend(Image.fromarray(image), colors.convert("RGB"), alpha)
    if classes.background is not None:
        mixed.paste(Image.fromarray(image), mask=Image.fromarray(ids == classes.background))
    canvas = np.array(mixed)
    _draw_outlines(canvas, ids, classes)
    return canvas


def labelled_overlay(image: np.ndarray, ids: np.ndarray, classes: ClassTable, alpha: float = 0.55) -> Image.Image:
    """Returns the overlay with the name of each class drawn in the middle of its largest part.

    Args:
        image: uint8 [H, W, 3].
        ids: uint8 [H, W], class ids or 255.
        classes: Names and colours.
        alpha: Opacity of the colours, 0-1.
    """
    return _labelled(image, ids, classes, alpha, class_fractions(ids, classes))


def _labelled(
    image: np.ndarray, ids: np.ndarray, classes: ClassTable, alpha: float, present: Sequence[tuple[int, float]]
) -> Image.Image:
    picture = Image.fromarray(overlay(image, ids, classes, alpha))
    draw = ImageDraw.Draw(picture)
    size = _text_size(max(picture.size))
    taken: list[Box] = []
    for index, fraction in present:
        if index != classes.background and fraction >= _LEAST_LABELLED:
            x, y, radius = _innermost(ids == index)
            if radius < size:  # the name would hide the object
                y += -radius - size if y > radius + 2 * size else radius + size
            box = _free_box(classes.names[index], x, y, size, picture.size, taken)
            if box is not None:
                taken.append(box)
                _draw_name(draw, classes.names[index], classes.colors[index], box, size)
    return picture


def overlay_with_legend(image: np.ndarray, ids: np.ndarray, classes: ClassTable, alpha: float = 0.55) -> Image.Image:
    """Returns the labelled overlay at the image's own size, with a `legend` of its classes below, on white if wider."""
    present = class_fractions(ids, classes)
    size = _text_size(max(ids.shape))
    return above(_labelled(image, ids, classes, alpha, present), legend(present, classes, image.shape[1], size))


def panel(image: np.ndarray, ids: np.ndarray, classes: ClassTable, alpha: float = 0.55) -> Image.Image:
    """Returns image, overlay and mask side by side, or stacked if they are wide, with a legend below."""
    height, width = ids.shape
    across = width <= 2 * height
    gap = max(2, max(height, width) // 100)
    step = (width + gap, 0) if across else (0, height + gap)
    page = Image.new("RGB", (width + 2 * step[0], height + 2 * step[1]), "white")
    mask = Image.fromarray(classes.palette()[ids])
    for number, picture in enumerate((Image.fromarray(image), labelled_overlay(image, ids, classes, alpha), mask)):
        page.paste(picture, (number * step[0], number * step[1]))
    return above(page, legend(class_fractions(ids, classes), classes, page.width, _text_size(max(ids.shape))))


def cutout(image: np.ndarray, ids: np.ndarray, classes: ClassTable) -> Image.Image:
    """Returns the image as RGBA with a transparent background; transparent pixels keep their colours.

    Raises:
        UserError: If no class is background.
    """
    require_background(classes)
    alpha = np.where(ids == classes.background, 0, 255).astype(np.uint8)
    return Image.fromarray(np.dstack([image, alpha]))


def require_background(classes: ClassTable) -> None:
    """Raises UserError if no class is background, without which there are no cut-outs."""
    if classes.background is None:
        names = ", ".join(classes.names)
        raise UserError(f"there is no class named background to cut away; the classes are {names}")


def legend(
    present: Sequence[tuple[int, float]], classes: ClassTable, width: int, size: int | None = None
) -> Image.Image:
    """Draws colour swatches with names and fractions of the pixels, wrapped to a width in pixels.

    It is wider if one of them is.

    Args:
        present: Class ids with their fractions, 0-1.
        classes: Names and colours.
        width: Width of the legend in pixels.
        size: Height of the texts in pixels; chosen by the width if None.
    """
    size = min(size or _text_size(width), max(12, width // 14))
    line, gap = round(size * 1.7), size // 2
    entries, x, y = [], gap, gap // 2
    for index, fraction in present:
        text = f"{classes.names[index]} {_percent(fraction)}"
        needed = size + gap + round(font_for(text, size).getlength(text)) + 2 * gap
        width = max(width, gap + needed)
        if x > gap and x + needed > width:
            x, y = gap, y + line
        entries.append((x, y + gap // 2, text, classes.colors[index]))
        x += needed
    picture = Image.new("RGB", (width, y + line + gap // 2), "white")
    draw = ImageDraw.Draw(picture)
    for x, y, text, color in entries:
        draw.rectangle((x, y, x + size, y + size), color, "gray")
        draw.text((x + size + gap, y + size // 2), text, "black", font_for(text, size), anchor="lm")
    return picture


def above(upper: Image.Image, lower: Image.Image) -> Image.Image:
    """Returns two images, stacked on white."""
    page = Image.new("RGB", (max(upper.width, lower.width), upper.height + lower.height), "white")
    page.paste(upper, (0, 0))
    page.paste(lower, (0, upper.height))
    return page


def _draw_outlines(canvas: np.ndarray, ids: np.ndarray, classes: ClassTable) -> None:
    """Draws lines between neighbouring pixels of different ids. Only those few pixels are processed."""
    pixels, flat, width = canvas.reshape(-1, 3), ids.ravel(), ids.shape[1]
    colors, halos = classes.palette(), _halos(classes)
    background = -1 if classes.background is None else classes.background
    for axis, step in ((1, 1), (0, width)):
        differs = np.diff(ids, axis=axis) != 0
        first = np.flatnonzero(differs)
        if axis == 1:
            first += first // (width - 1)  # the rows of differences are one shorter
        for inner, outer, inward in ((first, first + step, -step), (first + step, first, step)):
            shown = np.where((flat[inner] == background)[:, None], halos[flat[outer]], colors[flat[inner]])
            for depth in range(1 + max(ids.shape) // _PIXELS_PER_LINE):
                position = inner + depth * inward
                fits = (position >= 0) & (position < flat.size)
                if axis == 1:
                    fits &= position // width == inner // width
                fits[fits] &= flat[position[fits]] == flat[inner[fits]]
                pixels[position[fits]] = shown[fits]


@functools.lru_cache(maxsize=8)
def _halos(classes: ClassTable) -> np.ndarray:
    """Returns a colour in contrast to each id's, uint8 [256, 3]: white, or black for light colours."""
    return np.array([text_color((r, g, b)) for r, g, b in classes.palette().tolist()], np.uint8)


def _free_box(name: str, x: int, y: int, size: int, room: tuple[int, int], taken: Sequence[Box]) -> Box | None:
    """Returns a free box for a name near a position, inside the image and clear of other names; None if none fits."""
    width, height, margin = round(font_for(name, size).getlength(name)) + size, round(1.4 * size), 2
    left_most, top_most = room[0] - width - margin, room[1] - height - margin
    if min(left_most, top_most) < margin:
        return None  # the image is smaller than the name
    left = int(np.clip(x - width // 2, margin, left_most))
    for rows in (0, 1, -1, 2, -2):
        top = int(np.clip(y - height // 2 + rows * (height + 1), margin, top_most))
        box = (left, top, left + width - 1, top + height - 1)
        if not any(box[0] <= o[2] and o[0] <= box[2] and box[1] <= o[3] and o[1] <= box[3] for o in taken):
            return box
    return None


def _draw_name(draw: ImageDraw.ImageDraw, name: str, color: Color, box: Box, size: int) -> None:
    """Draws a name on a rounded box in its class's colour."""
    draw.rounded_rectangle(box, round(0.35 * size), color, text_color(color))
    middle = ((box[0] + box[2] + 1) / 2, (box[1] + box[3] + 1) / 2)
    draw.text(middle, name, text_color(color), font_for(name, size), anchor="mm")


def _innermost(mask: np.ndarray) -> tuple[int, int, int]:
    """Returns x and y of the pixel of a mask, boolean [H, W], about farthest from its outline, and the distance."""
    step = -(-max(mask.shape) // _COARSE)
    left = np.pad(mask[step // 2 :: step, step // 2 :: step], 1)
    if not left.any():  # too thin for the reduced mask
        rows, columns = np.nonzero(mask)
        return int(columns[len(columns) // 2]), int(rows[len(rows) // 2]), 0
    depth = -1
    while left.any():
        kept, depth = left, depth + 1
        left = np.zeros_like(kept)
        left[1:-1, 1:-1] = kept[1:-1, 1:-1] & kept[:-2, 1:-1] & kept[2:, 1:-1] & kept[1:-1, :-2] & kept[1:-1, 2:]
    rows, columns = np.nonzero(kept)
    x, y = ((int(indices[len(rows) // 2]) - 1) * step + step // 2 for indices in (columns, rows))
    return x, y, depth * step + step // 2


def _text_size(length: int) -> int:
    return int(np.clip(length // 34, 12, 40))


def _percent(fraction: float) -> str:
    return "<0.1%" if fraction < 0.001 else f"{fraction:.1%}"
