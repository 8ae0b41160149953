"""Writing Matplotlib figures to files, with fonts for class names in any script."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from keras_fcn.drawing.fonts import FALLBACK_FONTS
from keras_fcn.system.files import replaced_file

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from matplotlib.legend import Legend


def save_figure(figure: Figure, path: Path) -> None:
    """Writes a figure as a PNG atomically.

    Args:
        figure: A figure made without `pyplot`, so without windows and global state. Its texts get the fallback fonts.
            Names of classes and files need `parse_math=False`, or `$` would begin a formula.
        path: The PNG to write.
    """
    from matplotlib.text import Text

    families = _font_families()
    for text in figure.findobj(Text):
        text.set_fontfamily(families)
    with replaced_file(path) as temporary, warnings.catch_warnings():
        # A box replaces letters that no font has.
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        figure.savefig(temporary, dpi=120, format="png")


def name_entries(legend: Legend, names: Iterable[str]) -> None:
    """Sets the texts of a legend literally; as labels, `$` would begin a formula, and `_a` be omitted."""
    for text, name in zip(legend.get_texts(), names):
        text.set_parse_math(False)
        text.set_text(name)


def _font_families() -> list[str]:
    """Returns Matplotlib's own font and the installed ones of `FALLBACK_FONTS`."""
    from matplotlib.font_manager import fontManager

    installed = {font.name for font in fontManager.ttflist}
    return ["sans-serif", *(name for name in FALLBACK_FONTS if name in installed)]
