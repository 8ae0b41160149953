"""Fonts for class names in any script."""

from __future__ import annotations

import functools

from PIL import ImageFont

FALLBACK_FONTS = (
    "Noto Sans CJK SC", "Noto Sans CJK JP", "WenQuanYi Zen Hei", "WenQuanYi Micro Hei", "PingFang SC",
    "Hiragino Sans GB", "Microsoft YaHei", "Arial Unicode MS", "Noto Emoji", "Segoe UI Emoji",
)  # fmt: skip
"""Fonts of Linux, macOS and Windows for letters that Pillow's and Matplotlib's own fonts lack."""


@functools.lru_cache(maxsize=256)
def font_for(text: str, size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Returns a font for a text: Pillow's own if it has all letters, else the installed one that has most of them.

    Args:
        text: The text to draw.
        size: Height in pixels.
    """
    if all(ord(letter) < 0x180 for letter in text):
        return ImageFont.load_default(size)
    from matplotlib.ft2font import FT2Font

    def known(path: str) -> int:
        letters = FT2Font(path).get_charmap()
        return sum(ord(letter) in letters for letter in text)

    return ImageFont.truetype(max(_font_files(), key=known), size)


@functools.lru_cache(maxsize=1)
def _font_files() -> list[str]:
    """Returns the files of Matplotlib's own font and of the installed ones of `FALLBACK_FONTS`."""
    from matplotlib.font_manager import findfont, get_font_names

    installed = set(get_font_names())
    return [findfont("DejaVu Sans"), *(findfont(name) for name in FALLBACK_FONTS if name in installed)]
