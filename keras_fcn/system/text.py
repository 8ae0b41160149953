"""Texts for people: columns in any script, figures, the errors of other programs."""

from __future__ import annotations

import unicodedata


def display_width(text: str) -> int:
    """Returns how many columns a terminal gives to a text: two to wide characters, none to combining ones."""
    wide = sum(unicodedata.east_asian_width(character) in "WF" for character in text)
    return len(text) + wide - sum(unicodedata.combining(character) > 0 for character in text)


def left_justified(text: str, width: int) -> str:
    """Returns the text with blanks behind it, `width` columns wide."""
    return text + " " * (width - display_width(text))


def signed(difference: float) -> str:
    """Returns a difference with its sign and one digit, never as -0.0."""
    return f"{round(difference, 1) + 0.0:+.1f}"


def reason_of(error: BaseException) -> str:
    """Returns what an error of another program says, as part of one line: its first line, or what it is called."""
    text = str(getattr(error, "strerror", None) or error).strip()
    return (text or type(error).__name__).splitlines()[0][:200]
