"""A prediction laid over its photograph, readable whatever the photograph: colours, outlines, names and a legend."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from keras_fcn.drawing.fonts import font_for
from keras_fcn.drawing.palettes import text_color
from keras_fcn.images.classes import ClassTable, Color, class_fractions

Box = tuple[int, int, int, int]
"""The first and the last column and row of a rectangle: left, top, right, bottom."""

_PIXELS_PER_LINE = 700
"""An outline is one pixel wide, and one more for each so many pixels of the longer side."""

_LEAST_LABELLED = 0.004
"""Share of the pixels from which on a class is named on the picture itself."""

_COARSE = 64
"""Pixels of the longer side of the reduced mask in which the place of a name is looked for."""


def overlay(image: np.ndarray, ids: np.ndarray, classes: ClassTable, alpha: float = 0.55) -> np.ndarray:
    """Lays the classes' colours over an image, outlines in full colour; background stays as it is.

    Beside a coloured outline the background gets a white line, or a black one if the colour is light, so that one of
    the two is seen on any photograph.

    Args:
        image: uint8 [H, W, 3].
        ids: uint8 [H, W], class ids or 255.
        classes: Whose colours to use.
        alpha: Share of the colour in the mixture, 0-1.

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
    """Returns the overlay with the name of each thing written where there is most room for it.

    Args:
        image: uint8 [H, W, 3].
        ids: uint8 [H, W], class ids or 255.
        classes: Names and colours.
        alpha: Share of the colour in the mixture, 0-1.
    """
    return _labelled(image, ids, classes, alpha, class_fractions(ids, classes))


def _labelled(
    image: np.ndarray, ids: np.ndarray, classes: ClassTable, alpha: float, present: Sequence[tuple[int, float]]
) -> Image.Image:
    picture = Image.fromarray(overlay(image, ids, classes, alpha))
    draw = ImageDraw.Draw(picture)
    size = _text_size(max(picture.size))
    taken: list[Box] = []
    for index, share in present:
        if index != classes.background and share >= _LEAST_LABELLED:
            x, y, radius = _roomiest(ids == index)
            if radius < size:  # there it would hide what it names
                y += -radius - size if y > radius + 2 * size else radius + size
            box = _free_box(classes.names[index], x, y, size, picture.size, taken)
            if box is not None:
                taken.append(box)
                _draw_name(draw, classes.names[index], classes.colors[index], box, size)
    return picture


def overlay_with_legend(image: np.ndarray, ids: np.ndarray, classes: ClassTable, alpha: float = 0.55) -> Image.Image:
    """Returns the labelled overlay at the photograph's own size, and under it `legend` of what is in it."""
    present = class_fractions(ids, classes)
    size = _text_size(max(ids.shape))
    return above(_labelled(image, ids, classes, alpha, present), legend(present, classes, image.shape[1], size))


def panel(image: np.ndarray, ids: np.ndarray, classes: ClassTable, alpha: float = 0.55) -> Image.Image:
    """Returns photograph, overlay and mask side by side, one above the other if they are wide, with a legend below."""
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
    """Returns the things cut out of the photograph, RGBA: background is transparent, and everything is there below.

    Raises:
        ValueError: If no class is background.
    """
    if classes.background is None:
        raise ValueError("there is no class named background to cut away")
    alpha = np.where(ids == classes.background, 0, 255).astype(np.uint8)
    return Image.fromarray(np.dstack([image, alpha]))


def legend(
    present: Sequence[tuple[int, float]], classes: ClassTable, width: int, size: int | None = None
) -> Image.Image:
    """Draws fields of colour with names and shares of pixels, wrapped to a width in pixels.

    Args:
        present: Class ids with their shares, 0-1.
        classes: Names and colours.
        width: Of the picture in pixels.
        size: Height of the texts in pixels; what suits the width if not given.
    """
    size = min(size or _text_size(width), max(12, width // 14))
    line, gap = round(size * 1.7), size // 2
    places, x, y = [], gap, gap // 2
    for index, share in present:
        text = f"{classes.names[index]} {_percent(share)}"
        needed = size + gap + round(font_for(text, size).getlength(text)) + 2 * gap
        if x > gap and x + needed > width:
            x, y = gap, y + line
        places.append((x, y + gap // 2, text, classes.colors[index]))
        x += needed
    picture = Image.new("RGB", (width, y + line + gap // 2), "white")
    draw = ImageDraw.Draw(picture)
    for x, y, text, color in places:
        draw.rectangle((x, y, x + size, y + size), color, "gray")
        draw.text((x + size + gap, y + size // 2), text, "black", font_for(text, size), anchor="lm")
    return picture


def above(upper: Image.Image, lower: Image.Image) -> Image.Image:
    """Returns two pictures of one width, one above the other."""
    page = Image.new("RGB", (upper.width, upper.height + lower.height), "white")
    page.paste(upper, (0, 0))
    page.paste(lower, (0, upper.height))
    return page


def _draw_outlines(canvas: np.ndarray, ids: np.ndarray, classes: ClassTable) -> None:
    """Draws where neighbouring pixels differ in their ids. Only those pixels are touched: they are few."""
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
                place = inner + depth * inward
                fits = (place >= 0) & (place < flat.size)
                if axis == 1:
                    fits &= place // width == inner // width
                fits[fits] &= flat[place[fits]] == flat[inner[fits]]
                pixels[place[fits]] = shown[fits]


@functools.lru_cache(maxsize=8)
def _halos(classes: ClassTable) -> np.ndarray:
    """Returns what stands out beside each id's colour, uint8 [256, 3]: white, or black beside light colours."""
    return np.array([text_color((r, g, b)) for r, g, b in classes.palette().tolist()], np.uint8)


def _free_box(name: str, x: int, y: int, size: int, room: tuple[int, int], taken: Sequence[Box]) -> Box | None:
    """Returns where a name goes: around a place, moved inside the picture, above or below names that are there."""
    width, height, margin = round(font_for(name, size).getlength(name)) + size, round(1.4 * size), 2
    left_most, top_most = room[0] - width - margin, room[1] - height - margin
    if min(left_most, top_most) < margin:
        return None  # the picture is smaller than the name
    left = int(np.clip(x - width // 2, margin, left_most))
    for rows in (0, 1, -1, 2, -2):
        top = int(np.clip(y - height // 2 + rows * (height + 1), margin, top_most))
        box = (left, top, left + width - 1, top + height - 1)
        if not any(box[0] <= o[2] and o[0] <= box[2] and box[1] <= o[3] and o[1] <= box[3] for o in taken):
            return box
    return None


def _draw_name(draw: ImageDraw.ImageDraw, name: str, color: Color, box: Box, size: int) -> None:
    """Writes a name on a field of its class's colour."""
    draw.rounded_rectangle(box, round(0.35 * size), color, text_color(color))
    middle = ((box[0] + box[2] + 1) / 2, (box[1] + box[3] + 1) / 2)
    draw.text(middle, name, text_color(color), font_for(name, size), anchor="mm")


def _roomiest(mask: np.ndarray) -> tuple[int, int, int]:
    """Returns x and y of a pixel of a mask boolean [H, W] that is about as far from its outline as any, and how far."""
    step = -(-max(mask.shape) // _COARSE)
    left = np.pad(mask[step // 2 :: step, step // 2 :: step], 1)
    if not left.any():  # too thin to be seen in the reduced mask
        rows, columns = np.nonzero(mask)
        return int(columns[len(columns) // 2]), int(rows[len(rows) // 2]), 0
    depth = -1
    while left.any():
        kept, depth = left, depth + 1
        left = np.zeros_like(kept)
        left[1:-1, 1:-1] = kept[1:-1, 1:-1] & kept[:-2, 1:-1] & kept[2:, 1:-1] & kept[1:-1, :-2] & kept[1:-1, 2:]
    rows, columns = np.nonzero(kept)
    x, y = ((int(places[len(rows) // 2]) - 1) * step + step // 2 for places in (columns, rows))
    return x, y, depth * step + step // 2


def _text_size(length: int) -> int:
    return int(np.clip(length // 34, 12, 40))


def _percent(share: float) -> str:
    return "<0.1%" if share < 0.001 else f"{share:.1%}"
