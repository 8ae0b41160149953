"""What a label file holds before anybody says what its values and colours mean."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from keras_fcn.errors import DataError
from keras_fcn.images.classes import Color
from keras_fcn.images.masks import opened_label, packed_palette, palette_of, values_of
from keras_fcn.images.pillow import opened

_PNG = b"\x89PNG\r\n\x1a\n"
_HEADER, _COLOR_TYPE, _PALETTE_TYPE = 33, 25, 3  # signature and IHDR; the color type in it (PNG specification, 11.2.1)


@dataclasses.dataclass(frozen=True)
class LabelContent:
    """The values in a label file, or the colours of one in colour.

    Attributes:
        path: The file.
        values: Grey values or palette indices in use, each with its colour and its number of pixels; empty in colour.
        colors: The colours of a file in colour, each with its number of pixels; empty otherwise.
    """

    path: Path
    values: dict[int, tuple[Color, int]] = dataclasses.field(default_factory=dict)
    colors: dict[Color, int] = dataclasses.field(default_factory=dict)


def label_content(path: Path) -> LabelContent:
    """Counts the values or colours in a label file, without mapping them to classes.

    Raises:
        DataError: If the file cannot be decoded, or holds neither colours nor values of 8 bits.
    """
    with opened_label(path) as image:
        if image.mode == "RGB":
            found: Any = image.getcolors(image.width * image.height)
            if any(red != green or red != blue for _, (red, green, blue) in found):
                return LabelContent(path, colors={color: count for count, color in found})
        counts = np.bincount(values_of(image, path).ravel(), minlength=256)
        palette = _palette(image)
    used = np.flatnonzero(counts).tolist()
    return LabelContent(path, {value: (palette[value], int(counts[value])) for value in used})


def _palette(image: Image.Image) -> list[Color]:
    """Returns the colour of each value."""
    if image.mode == "P":
        return [(red, green, blue) for red, green, blue in palette_of(packed_palette(image)).tolist()]
    greys = [0, 255, *range(2, 256)] if image.mode == "1" else range(256)
    return [(grey, grey, grey) for grey in greys]


def stored_palette(path: Path) -> bytes | None:
    """Returns the palette that a label file stores, three bytes for each index from 0; None if it has none.

    Only the file's header is read.

    Raises:
        DataError: If the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            header = file.read(_HEADER)
            if header.startswith(_PNG):
                is_palette = len(header) == _HEADER and header[_COLOR_TYPE] == _PALETTE_TYPE
                while is_palette and len(start := file.read(8)) == 8:
                    length = int.from_bytes(start[:4], "big")
                    if start[4:] == b"PLTE":
                        return file.read(length)
                    file.seek(length + 4, 1)  # content and checksum
                return None
    except OSError as error:
        raise DataError("undecodable file", f"{path}: cannot be read ({error.strerror})") from None
    with opened(path) as image:
        return packed_palette(image) if image.mode == "P" else None
