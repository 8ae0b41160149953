"""Fonts for class names in any script."""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import sys
import threading
import unicodedata
from collections.abc import Iterable
from typing import NamedTuple

from PIL import ImageFont

FALLBACK_FONTS = (
    "Noto Sans CJK SC", "Noto Sans CJK JP", "WenQuanYi Zen Hei", "WenQuanYi Micro Hei", "PingFang SC",
    "Hiragino Sans GB", "Microsoft YaHei", "Arial Unicode MS", "Noto Emoji", "Segoe UI Emoji",
)  # fmt: skip
"""Fonts of Linux, macOS and Windows for letters that Pillow's and Matplotlib's own fonts lack, tried before others."""

_LATIN = 0x180
"""Pillow's and Matplotlib's own fonts have the letters below."""

_LOCK = threading.Lock()


class Font(NamedTuple):
    """An installed font: its family, as Matplotlib calls it, and its file."""

    family: str
    path: str


def font_for(text: str, size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Returns a font for a text: Pillow's own if it has all letters, else the installed one that has most of them.

    Args:
        text: The text to draw.
        size: Height in pixels.
    """
    letters = _letters_beyond_latin([text])
    return _font_for(letters, size) if letters else ImageFont.load_default(size)


def font_families(texts: Iterable[str]) -> list[str]:
    """Returns Matplotlib's families for texts: its own, then those with the letters that it lacks."""
    letters = _letters_beyond_latin(texts)
    return ["sans-serif", *(font.family for font in (_fonts_with(letters) if letters else _usual_fonts())[1:])]


@functools.lru_cache(maxsize=256)
def _font_for(letters: str, size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    if importlib.util.find_spec("matplotlib") is None:
        _report(
            "Fonts    letters that are not Latin need matplotlib, which is not installed: pictures show boxes there"
        )
        return ImageFont.load_default(size)
    fonts = _fonts_with(letters)
    return ImageFont.truetype(max(fonts, key=lambda font: len(_known(font, letters))).path, size)


def _letters_beyond_latin(texts: Iterable[str]) -> str:
    """Returns the letters that need another font, once each; marks and spaces have no box to be seen."""
    letters = {letter for text in texts for letter in text if ord(letter) >= _LATIN}
    return "".join(sorted(letter for letter in letters if unicodedata.category(letter)[0] not in "CMZ"))


@functools.lru_cache(maxsize=16)
def _fonts_with(letters: str) -> tuple[Font, ...]:
    """Returns the usual fonts and, if they lack letters, others that have them; reports letters that no font has."""
    with _LOCK:  # predictions are drawn in threads
        fonts, missing = [*_usual_fonts()], set(letters)
        for font in fonts:
            missing -= _known(font, letters)
        for font in _other_fonts() if missing else ():
            if known := _known(font, "".join(missing)):
                fonts.append(font)
                missing -= known
        if missing:
            _report(
                f"Fonts    no installed font has {' '.join(sorted(missing)[:10])}: pictures show boxes there; install "
                "one that has them, such as fonts-noto-cjk (Debian, Ubuntu) or google-noto-sans-cjk-fonts (Fedora)"
            )
        return tuple(fonts)


def _known(font: Font, letters: str) -> set[str]:
    from matplotlib.ft2font import FT2Font

    charmap = FT2Font(font.path).get_charmap()
    return {letter for letter in letters if ord(letter) in charmap}


_reported: list[str] = []


def _report(line: str) -> None:
    """Prints that letters have no font, the first time in this process."""
    if not _reported:
        print(line, file=sys.stderr)
    _reported.append(line)


@functools.lru_cache(maxsize=1)
def _usual_fonts() -> tuple[Font, ...]:
    """Returns Matplotlib's own font and the installed ones of `FALLBACK_FONTS`."""
    from matplotlib.font_manager import findfont, get_font_names

    installed = set(get_font_names())
    return tuple(Font(name, findfont(name)) for name in ("DejaVu Sans", *FALLBACK_FONTS) if name in installed)


@functools.lru_cache(maxsize=1)
def _other_fonts() -> tuple[Font, ...]:
    """Returns all installed fonts, also those installed after Matplotlib made its list, upright ones first."""
    from matplotlib.font_manager import findSystemFonts, fontManager

    listed = {font.fname for font in fontManager.ttflist}
    for path in sorted({*findSystemFonts()} - listed):
        with contextlib.suppress(Exception):  # bitmaps, damaged files
            fontManager.addfont(path)
    fonts = sorted(fontManager.ttflist, key=lambda font: (font.style != "normal", font.weight != 400, font.name))
    return tuple(Font(font.name, font.fname) for font in fonts if not font.name.startswith("Last Resort"))  # boxes
