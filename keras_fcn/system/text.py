"""Texts for people: tables in plain text, figures, the errors of other programs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from wcwidth import wcswidth


def table(headers: Sequence[str], rows: Iterable[Sequence[object]], alignment: str = "") -> str:
    """Returns rows in columns under headers, aligned whatever script they are in.

    Args:
        headers: One for each column.
        rows: The cells of each row; `tabulate.SEPARATING_LINE` for a line across.
        alignment: "<" for each column that is aligned to the left, ">" to the right; the first one to the left, all
            others to the right if not given.
    """
    from tabulate import tabulate

    sides = {"<": "left", ">": "right"}
    columns = [sides[side] for side in alignment or "<".ljust(len(headers), ">")]
    return tabulate(
        rows, headers, disable_numparse=True, preserve_whitespace=True, colalign=columns, headersalign=columns
    )


def display_width(text: str) -> int:
    """Returns how many columns a terminal gives to a text: two to wide characters, none to combining ones."""
    width = wcswidth(text)
    return len(text) if width < 0 else width  # characters that no terminal shows


def signed(difference: float) -> str:
    """Returns a difference with its sign and one digit, never as -0.0."""
    return f"{round(difference, 1) + 0.0:+.1f}"


def reason_of(error: BaseException) -> str:
    """Returns what an error of another program says, as part of one line: its first line, or what it is called."""
    text = str(getattr(error, "strerror", None) or error).strip()
    return (text or type(error).__name__).splitlines()[0][:200]
