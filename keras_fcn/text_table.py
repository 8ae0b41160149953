"""Columns of plain text whose names may be in any script."""

from __future__ import annotations

import unicodedata


def display_width(text: str) -> int:
    """Returns how many columns a terminal gives to a text: two to wide characters, none to combining ones."""
    wide = sum(unicodedata.east_asian_width(character) in "WF" for character in text)
    return len(text) + wide - sum(unicodedata.combining(character) > 0 for character in text)


def left_justified(text: str, width: int) -> str:
    """Returns the text with blanks behind it, `width` columns wide."""
    return text + " " * (width - display_width(text))
