"""Drawing small synthetic scenes.

Eight VOC classes in varying colours, sizes and poses stand before, behind and across each other on five kinds of
background, among unlabelled blobs and boxes in the same colours. No colour belongs to one class, so only shape and
texture distinguish them.
"""

from __future__ import annotations

import colorsys
from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from keras_fcn.images.classes import VOC_CLASS_NAMES, VOID_LABEL

HEIGHTS, WIDTHS = (96, 129), (112, 161)
"""Ranges of the images' sizes in pixels, ends excluded; odd sizes are as frequent as even ones."""

_PATCH = 96  # objects are drawn in a square of this size, then scaled down, which smooths their edges

Color = tuple[int, int, int]
Painter = Callable[[np.random.Generator, "_Canvas"], None]


def draw_scene(rng: np.random.Generator, scale: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Draws one scene with one to four objects.

    Args:
        rng: Source of randomness.
        scale: Enlarges images and objects, with finer details: 1 is about 112 x 136 pixels.

    Returns:
        The image, uint8 [H, W, 3] RGB, and its label, uint8 [H, W]: VOC class ids, void (255) along the outlines.
    """
    height, width = int(rng.integers(*HEIGHTS)), int(rng.integers(*WIDTHS))
    image = _background(rng, height, width, scale)
    for _ in range(rng.integers(1, 4)):
        _paste(rng, image, None, _draw_distractor, 0, scale)
    label = Image.new("L", image.size)
    for _ in range(rng.integers(1, 5)):
        name = str(rng.choice(list(_DRAW)))
        _paste(rng, image, label, _DRAW[name], VOC_CLASS_NAMES.index(name), scale)
    light = rng.uniform(0.75, 1.15) + rng.uniform(-0.2, 0.2) * np.linspace(-1, 1, image.width)[None, :, None]
    pixels = np.asarray(image, np.float32) * light + rng.normal(0, 5 / scale, (image.height, image.width, 1))
    filters = (ImageFilter.MinFilter, ImageFilter.MaxFilter)
    least, most = (np.asarray(label.filter(kind(2 * scale + 1))) for kind in filters)
    ids = np.where(least != most, VOID_LABEL, np.asarray(label)).astype(np.uint8)
    return np.clip(pixels, 0, 255).astype(np.uint8), ids


class _Canvas:
    """A transparent square with drawing coordinates from 0 to 96, independent of its size in pixels."""

    def __init__(self, scale: int) -> None:
        self.image = Image.new("RGBA", (_PATCH * scale, _PATCH * scale))
        self._draw, self._scale = ImageDraw.Draw(self.image), scale

    def polygon(self, points: Sequence, color: Color) -> None:
        self._draw.polygon(self._scaled(points), color)

    def line(self, points: Sequence, color: Color, width: int = 1) -> None:
        self._draw.line(self._scaled(points), color, width * self._scale)

    def ellipse(self, box: Sequence[float], color: Color) -> None:
        self._draw.ellipse(self._box(box), color)

    def rectangle(self, box: Sequence[float], color: Color, radius: int = 0) -> None:
        self._draw.rounded_rectangle(self._box(box), radius * self._scale, color)

    def arc(self, box: Sequence[float], start: float, end: float, color: Color, width: int) -> None:
        self._draw.arc(self._box(box), start, end, color, width * self._scale)

    def _scaled(self, points: Sequence) -> list[float]:
        return (self._scale * np.ravel(points)).tolist()

    def _box(self, box: Sequence[float]) -> list[float]:
        """Returns the corners in pixels; Pillow includes the last column and row."""
        return (self._scale * np.array(box) + np.repeat([0, self._scale - 1], 2)).tolist()


def _paste(rng, image: Image.Image, label: Image.Image | None, draw_object: Painter, class_id: int, scale: int) -> None:
    """Draws, rotates and scales an object, pastes it at a random position, perhaps partly outside, and labels it."""
    draw_object(rng, canvas := _Canvas(2 * scale - 1))
    patch = canvas.image
    if rng.random() < 0.5:
        patch = patch.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    patch = patch.rotate(rng.uniform(-15, 15), Image.Resampling.BICUBIC, expand=True)
    side = int(rng.uniform(0.32, 0.8) * min(image.size))
    patch = patch.resize((side, side * patch.height // patch.width), Image.Resampling.LANCZOS)
    left = int(rng.integers(-side // 5, image.width - side * 4 // 5))
    top = int(rng.integers(-side // 5, image.height - side * 4 // 5))
    image.paste(patch, (left, top), patch)
    if label is not None:
        label.paste(class_id, (left, top), patch.getchannel("A").point(lambda alpha: 255 * (alpha > 127)))


def _color(rng, saturation=(0.2, 0.9), value=(0.35, 0.95)) -> Color:
    red, green, blue = colorsys.hsv_to_rgb(rng.random(), rng.uniform(*saturation), rng.uniform(*value))
    return int(255 * red), int(255 * green), int(255 * blue)


def _shade(color: Color, factor: float) -> Color:
    red, green, blue = (int(min(255, channel * factor)) for channel in color)
    return red, green, blue


def _background(rng, height: int, width: int, scale: int) -> Image.Image:
    """Returns a landscape, bricks, planks, tiles or clouds in random colours."""
    first, second = _color(rng, (0.05, 0.6)), _color(rng, (0.05, 0.6))
    rows, columns = np.mgrid[: height * scale, : width * scale] / scale
    kind = rng.integers(5)
    if kind == 0:  # sky over ground
        horizon = rng.uniform(0.3, 0.7) * height + 4 * np.sin(columns / rng.uniform(8, 30))
        blend = np.where(rows > horizon, 1.0, rows / height * 0.4)
    elif kind == 1:  # bricks
        size = int(rng.integers(7, 14))
        shifted = columns + (rows // size % 2) * size
        blend = ((rows % size < 1) | (shifted % (2 * size) < 1)) * 0.8 + 0.1 * ((shifted // (2 * size)) % 2)
    elif kind == 2:  # planks
        size = int(rng.integers(12, 26))
        blend = (columns % size < 1) * 0.7 + 0.15 * np.sin(rows / 5.0 + columns // size * 2 + np.sin(columns / 2.0))
    elif kind == 3:  # tiles
        size = int(rng.integers(9, 24))
        blend = (rows // size + columns // size) % 2 * rng.uniform(0.3, 0.8)
    else:  # clouds
        coarse = Image.fromarray(rng.uniform(0, 255, (6, 8)).astype(np.uint8))
        blend = np.asarray(coarse.resize((width * scale, height * scale), Image.Resampling.BICUBIC)) / 255
    blend = np.clip(blend + rng.normal(0, 0.05 / scale, rows.shape), 0, 1)[..., None]
    return Image.fromarray((np.array(first) * (1 - blend) + np.array(second) * blend).astype(np.uint8))


def _draw_distractor(rng, draw: _Canvas) -> None:
    color = _color(rng)
    box = (10, int(rng.integers(10, 50)), 86, int(rng.integers(60, 90)))
    kind = rng.integers(3)
    if kind == 0:
        draw.ellipse(box, color)
    elif kind == 1:
        draw.rectangle(box, color)
    else:
        points = [(48 + r * np.cos(a), 48 + r * np.sin(a)) for a, r in zip(np.arange(7) * 0.9, rng.uniform(15, 45, 7))]
        draw.polygon(points, color)


def _draw_aeroplane(rng, draw: _Canvas) -> None:
    body, dark = (color := _color(rng, (0.0, 0.5), (0.6, 0.98))), _shade(color, 0.6)
    draw.polygon([(40, 44), (60, 44), (38, 8), (28, 8)], dark)
    draw.polygon([(40, 50), (62, 50), (34, 90), (24, 90)], _shade(body, 0.75))
    draw.polygon([(8, 47), (20, 45), (12, 24), (3, 24)], dark)
    draw.ellipse((3, 38, 94, 57), body)
    draw.line((12, 51, 88, 51), _color(rng, (0.7, 1)), 3)
    for x in range(24, 82, 7):
        draw.ellipse((x, 43, x + 3, 46), (30, 40, 60))


def _draw_boat(rng, draw: _Canvas) -> None:
    hull, sail, stripe = _color(rng), _color(rng, (0, 0.4), (0.7, 1)), _color(rng)
    draw.polygon([(46, 4), (46, 66), (88, 66)], sail)
    draw.polygon([(41, 12), (41, 66), (14, 66)], _shade(sail, 0.85))
    for y in (26, 40, 54):
        draw.polygon([(46, y), (46, y + 5), (46 + (y + 1) * 0.62, y + 5), (46 + (y - 4) * 0.62, y)], stripe)
    draw.line((43, 3, 43, 72), (70, 50, 30), 4)
    draw.polygon([(4, 70), (92, 70), (78, 92), (18, 92)], hull)
    draw.line((8, 76, 88, 76), _shade(hull, 0.5), 3)


def _draw_bottle(rng, draw: _Canvas) -> None:
    glass = _color(rng, (0.4, 0.9), (0.3, 0.8))
    draw.rectangle((30, 34, 66, 94), glass, 8)
    draw.polygon([(30, 42), (66, 42), (54, 22), (42, 22)], glass)
    draw.rectangle((42, 8, 54, 26), glass)
    draw.rectangle((40, 3, 56, 11), _color(rng))
    draw.rectangle((30, 54, 66, 78), _color(rng, (0, 0.3), (0.75, 1)))
    for y in (60, 66, 72):
        draw.line((35, y, 61, y), _shade(glass, 0.6), 2)
    draw.line((36, 38, 36, 90), _shade(glass, 1.7), 3)


def _draw_bus(rng, draw: _Canvas) -> None:
    paint = _color(rng, (0.4, 1))
    draw.rectangle((3, 22, 93, 78), paint, 8)
    for x in (9, 26, 43, 60):
        draw.rectangle((x, 30, x + 13, 48), (60, 80, 100))
        draw.line((x + 2, 46, x + 10, 32), (150, 175, 195), 2)
    draw.rectangle((77, 30, 91, 74), _shade(paint, 0.7))
    draw.rectangle((80, 32, 88, 56), (60, 80, 100))
    draw.rectangle((3, 56, 74, 61), _color(rng, (0, 0.4), (0.7, 1)))
    for x in (14, 58):
        draw.ellipse((x, 66, x + 22, 88), (25, 25, 28))
        draw.ellipse((x + 7, 73, x + 15, 81), (150, 150, 155))


def _draw_cat(rng, draw: _Canvas) -> None:
    fur = _color(rng, (0.1, 0.7), (0.35, 0.9))
    dark = _shade(fur, 0.5)
    draw.arc((60, 36, 94, 90), -90, 100, fur, 8)
    draw.ellipse((22, 44, 80, 94), fur)
    draw.polygon([(14, 32), (18, 3), (34, 18)], fur)
    draw.polygon([(54, 32), (50, 3), (34, 18)], fur)
    draw.ellipse((10, 12, 58, 54), fur)
    for x in range(40, 80, 9):
        draw.arc((x - 16, 48, x + 6, 92), -70, 60, dark, 4)
    for x in (27, 34, 41):
        draw.line((x, 14, x, 23), dark, 3)
    for x in (21, 40):
        draw.ellipse((x, 27, x + 8, 35), (215, 215, 90))
        draw.ellipse((x + 3, 27, x + 5, 35), (10, 10, 10))
    draw.polygon([(31, 38), (37, 38), (34, 42)], (210, 120, 120))


def _draw_pottedplant(rng, draw: _Canvas) -> None:
    pot, leaf = _color(rng, (0.3, 0.8)), _color(rng, (0.4, 0.9), (0.35, 0.8))
    for angle in np.linspace(np.pi * 1.05, np.pi * 1.95, int(rng.integers(7, 11))):
        tip = (48 + 46 * np.cos(angle), 62 + 58 * np.sin(angle))
        side = (7 * np.sin(angle), -7 * np.cos(angle))
        middle = ((48 + tip[0]) / 2, (62 + tip[1]) / 2)
        points = [(48, 64), (middle[0] + side[0], middle[1] + side[1]), tip, (middle[0] - side[0], middle[1] - side[1])]
        draw.polygon(points, _shade(leaf, rng.uniform(0.6, 1.2)))
        draw.line(((48, 64), tip), _shade(leaf, 0.4), 2)
    draw.polygon([(26, 62), (70, 62), (62, 94), (34, 94)], pot)
    draw.rectangle((22, 58, 74, 68), _shade(pot, 1.25))


def _draw_sheep(rng, draw: _Canvas) -> None:
    wool = _color(rng, (0, 0.35), (0.6, 0.98))
    skin = _shade(_color(rng, (0.1, 0.5), (0.2, 0.45)), 1)
    for x in (26, 36, 58, 68):
        draw.rectangle((x, 64, x + 5, 92), skin)
    draw.ellipse((16, 30, 84, 76), wool)
    for angle in np.linspace(0, 2 * np.pi, 15)[:-1]:
        x, y = 50 + 31 * np.cos(angle), 53 + 20 * np.sin(angle)
        draw.ellipse((x - 9, y - 9, x + 9, y + 9), wool)
    for x, y in rng.uniform((22, 34), (78, 70), (26, 2)):
        draw.arc((x - 5, y - 5, x + 5, y + 5), 200, 400, _shade(wool, 0.72), 2)
    draw.ellipse((3, 26, 26, 56), skin)
    draw.ellipse((18, 26, 32, 34), skin)
    draw.ellipse((9, 34, 14, 39), (235, 235, 235))


def _draw_tvmonitor(rng, draw: _Canvas) -> None:
    frame = _color(rng, (0, 0.4), (0.12, 0.5))
    draw.rectangle((42, 74, 54, 86), frame)
    draw.rectangle((26, 84, 70, 91), frame)
    draw.rectangle((3, 12, 93, 78), frame, 4)
    top, bottom = np.array(_color(rng, (0.3, 1), (0.6, 1))), np.array(_color(rng, (0.3, 1), (0.5, 1)))
    for y in range(20, 70):
        blend = (y - 20) / 50
        red, green, blue = (top * (1 - blend) + bottom * blend).astype(int).tolist()
        draw.line((11, y, 85, y), (red, green, blue))
    draw.polygon([(16, 66), (38, 24), (50, 24), (28, 66)], _shade((200, 200, 210), 1.1))


_DRAW: dict[str, Painter] = {
    "aeroplane": _draw_aeroplane,
    "boat": _draw_boat,
    "bottle": _draw_bottle,
    "bus": _draw_bus,
    "cat": _draw_cat,
    "pottedplant": _draw_pottedplant,
    "sheep": _draw_sheep,
    "tvmonitor": _draw_tvmonitor,
}
