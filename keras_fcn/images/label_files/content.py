"""What a label file holds before anybody says what its values and colours mean."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from keras_fcn.images.classes import Color
from keras_fcn.images.label_files.opening import opened_label, values_of
from keras_fcn.images.pillow import packed_palette, palette_of


@dataclasses.dataclass(frozen=True)
class LabelContent:
    """The values in a label file, or the colours of one in colour.

    Attributes:
        path: The file.
        values: Grey values or palette indices in use, each with its colour and its number of pixels; empty in colour. A
            value above 255 stands for its colour, too.
        colors: The colours of a file in colour, each with its number of pixels; empty otherwise.
    """

    path: Path
    values: dict[int, tuple[Color, int]] = dataclasses.field(default_factory=dict)
    colors: dict[Color, int] = dataclasses.field(default_factory=dict)


def label_content(path: Path, is_exact: bool = True) -> LabelContent:
    """Counts the values or colours in a label file, without mapping them to classes.

    Args:
        path: The file.
        is_exact: Whether formats that change colours and values, such as JPEG, are errors.

    Raises:
        DataError: If the file cannot be decoded, or holds neither colours nor whole numbers.
    """
    with opened_label(path, is_exact) as image:
        if image.mode == "RGB":
            found: Any = image.getcolors(image.width * image.height)
            if any(red != green or red != blue for _, (red, green, blue) in found):
                return LabelContent(path, colors={color: count for count, color in found})
        values = values_of(image, path)
        if image.mode == "I":
            different, counts = np.unique(values, return_counts=True)
            pixels = zip(different.tolist(), counts.tolist())
            return LabelContent(path, {value: ((value, value, value), count) for value, count in pixels})
        counts = np.array(Image.fromarray(values).histogram())
        palette = _palette(image)
    return LabelContent(
        path, {value: (palette[value], int(counts[value])) for value in np.flatnonzero(counts).tolist()}
    )


def _palette(image: Image.Image) -> list[Color]:
    """Returns the colour of each value."""
    if image.mode == "P":
        return [(red, green, blue) for red, green, blue in palette_of(packed_palette(image)).tolist()]
    greys = [0, 255, *range(2, 256)] if image.mode == "1" else range(256)
    return [(grey, grey, grey) for grey in greys]
