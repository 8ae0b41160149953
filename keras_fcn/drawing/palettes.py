"""Colours for pictures: a palette for colour blindness, and readable text colours."""

from __future__ import annotations

import dataclasses
import functools
from pkgutil import resolve_name

import numpy as np

from keras_fcn.images.classes import ClassTable, Color
from keras_fcn.runs.names import PALETTES

OKABE_ITO: tuple[Color, ...] = (
    (0, 0, 0), (230, 159, 0), (86, 180, 233), (0, 158, 115),
    (240, 228, 66), (0, 114, 178), (213, 94, 0), (204, 121, 167),
)  # fmt: skip
"""Okabe, Ito: Color Universal Design, 2008, in the authors' order."""

COLOR_BLINDNESS = {
    "protanopia": (
        (0.152286, 1.052583, -0.204868),
        (0.114503, 0.786281, 0.099216),
        (-0.003882, -0.048116, 1.051998),
    ),
    "deuteranopia": (
        (0.367322, 0.860646, -0.227968),
        (0.280085, 0.672501, 0.047413),
        (-0.011820, 0.042940, 0.968881),
    ),
    "tritanopia": (
        (1.255528, -0.076749, -0.178779),
        (-0.078411, 0.930809, 0.147602),
        (0.004733, 0.691367, 0.303900),
    ),
}
"""Simulation of linear RGB as seen without one kind of cone (Machado, Oliveira, Fernandes: A Physiologically-based
Model for Simulation of Color Vision Deficiency, IEEE TVCG 2009, severity 1)."""

_DARKEST, _GREYEST = 0.4, 0.12
"""The minimum OKLab lightness and chroma of further colours; others are hard to see on an image."""

_LMS = np.array((
    (0.4122214708, 0.5363325363, 0.0514459929),
    (0.2119034982, 0.6806995451, 0.1073969566),
    (0.0883024619, 0.2817188376, 0.6299787005),
))  # fmt: skip
_OKLAB = np.array((
    (0.2104542553, 0.7936177850, -0.0040720468),
    (1.9779984951, -2.4285922050, 0.4505937099),
    (0.0259040371, 0.7827717662, -0.8086757660),
))  # fmt: skip


def picture_colors(classes: ClassTable, palette: str = "classes") -> ClassTable:
    """Returns the classes with their colours in pictures.

    Args:
        classes: Names and own colours.
        palette: One of `keras_fcn.runs.names.PALETTES`.
    """
    return dataclasses.replace(classes, colors=resolve_name(PALETTES[palette])(classes))


def own(classes: ClassTable) -> tuple[Color, ...]:
    """Returns the classes' own colours."""
    return classes.colors


def colorblind(classes: ClassTable) -> tuple[Color, ...]:
    """Returns `colorblind_colors` for the classes."""
    return colorblind_colors(classes.num_classes, classes.void_color)


@functools.lru_cache(maxsize=8)
def colorblind_colors(count: int, void_color: Color = (224, 224, 192)) -> tuple[Color, ...]:
    """Returns colours that are as distinct as possible with and without colour blindness.

    The first eight are Okabe's and Ito's. Each further one is the colour of a grid that is farthest in OKLab (Ottosson
    2020) from void's and all chosen ones, by the smallest distance over normal vision and three kinds of colour
    blindness. The more colours, the closer they are.

    Args:
        count: Number of colours.
        void_color: The colour of void, from which they must differ.
    """
    steps = np.linspace(0, 255, 17).round()
    grid = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1).reshape(-1, 3)
    lightness, *chroma = appearances(grid)[0].T
    grid = grid[(lightness >= _DARKEST) & (np.hypot(*chroma) >= _GREYEST)]
    seen = appearances(grid)
    chosen = [*OKABE_ITO[:count]]
    distance = np.full(len(grid), np.inf)
    for taken in appearances(np.array([void_color, *chosen])).swapaxes(0, 1):
        distance = np.minimum(distance, _least_distance(seen, taken))
    while len(chosen) < count:
        best = int(np.argmax(distance))
        red, green, blue = (int(value) for value in grid[best])
        chosen.append((red, green, blue))
        distance = np.minimum(distance, _least_distance(seen, seen[:, best]))
    return tuple(chosen)


def appearances(colors: np.ndarray) -> np.ndarray:
    """Returns colours as seen with normal vision and with each kind of colour blindness.

    Args:
        colors: [N, 3], RGB in 0-255.

    Returns:
        OKLab coordinates float [4, N, 3].
    """
    linear = _linear(colors)
    visions = [np.eye(3), *(np.array(matrix) for matrix in COLOR_BLINDNESS.values())]
    return np.stack([np.cbrt((linear @ vision.T).clip(0, 1) @ _LMS.T) @ _OKLAB.T for vision in visions])


def text_color(background: Color) -> Color:
    """Returns black or white, the one with the higher contrast to a background (WCAG 2.1, contrast ratio)."""
    luminance = float(_linear(np.array(background)) @ (0.2126, 0.7152, 0.0722))
    return (0, 0, 0) if (luminance + 0.05) ** 2 > 1.05 * 0.05 else (255, 255, 255)


def _linear(colors: np.ndarray) -> np.ndarray:
    """Returns light intensities of sRGB values (IEC 61966-2-1)."""
    values = np.asarray(colors, float) / 255
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def _least_distance(seen: np.ndarray, taken: np.ndarray) -> np.ndarray:
    """Returns the distance from each of `seen` [4, N, 3] to `taken` [4, 3], the smallest over kinds of vision."""
    return np.linalg.norm(seen - taken[:, None], axis=-1).min(axis=0)
