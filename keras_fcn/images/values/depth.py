"""Images with more than 8 bits a channel: what is read of them, and whether that is nearly black."""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np
from PIL import Image
from PIL.ImageFile import ImageFile

DARK = "dark 16 bits"
"""The kind of what is said about images that are nearly black."""

_DARK = 1 << 14
"""Values of 10 to 14 bits, as many cameras give them, are below this, and those of 16 bits in hardly any photo."""

_OF_16_BITS = re.compile(r"(L|LA|RGB|RGBA|RGBX|RGBa|CMYK);16[BLN]?")
"""Pillow's names of the layouts of pixels with 16 bits a channel."""


def has_16_bits(image: ImageFile) -> bool:
    """Returns whether the file of an image that is opened and not yet decoded has 16 bits a channel.

    Of colours, Pillow keeps the upper 8 bits without a word.
    """
    layouts = [text for tile in image.tile for text in (tile[3] if isinstance(tile[3], tuple) else (tile[3],))]
    return image.mode.startswith("I") or any(_OF_16_BITS.fullmatch(str(text)) for text in layouts)


def require_known_range(image: Image.Image) -> None:
    """Raises ValueError for values of 32 bits; Pillow gives those of 16 in some PNGs and PPMs 32 bits."""
    if image.mode == "F" or (image.mode == "I" and image.format not in ("PNG", "PPM")):
        kind = "floating-point values" if image.mode == "F" else "integers of 32 bits or with a sign"
        raise ValueError(f"it holds {kind}, whose range nothing tells; scale them to 8 bits, 0 to 255")


def brightest(image: Image.Image) -> int:
    """Returns the greatest value, 0 to 65,535, of an image whose file has 16 bits a channel.

    Of colours, it is the greatest possible with the upper 8 bits that Pillow keeps.
    """
    if image.mode.startswith("I"):
        return int(np.asarray(image).max())
    return 256 * int(np.asarray(image.convert("RGB")).max()) + 255


def dark_value(pixels: np.ndarray) -> int | None:
    """Returns `brightest` of an image of 16 bits by what is read of it, uint8 [H, W, 3]; None unless it is dark."""
    most = 256 * int(pixels.max(initial=0)) + 255
    return most if most < _DARK else None


def dark_ones(values: Mapping[str, int]) -> dict[str, int]:
    """Returns those images of 16 bits that are nearly black, by their names, given `brightest` of each."""
    return {name: value for name, value in values.items() if value < _DARK}


def describe_dark(values: Mapping[str, int]) -> str:
    """Returns the line about images of 16 bits that are nearly black.

    Args:
        values: `brightest` of each by its name in the line, one at least.
    """
    first, most = next(iter(values)), max(values.values())
    images = f"{first}: is" if len(values) == 1 else f"{first} and {len(values) - 1} more are"
    bits = max(most.bit_length(), 1)
    return (
        f"{images} nearly black: no value of 16 bits is above {most:,} of 65,535, which is read as {most >> 8} of 255; "
        f"multiply by {1 << (16 - bits)} if these are values of {bits} bits"
    )
