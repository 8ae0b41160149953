"""Writing Matplotlib figures to files, with fonts for class names in any script."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from keras_fcn.drawing.fonts import font_families
from keras_fcn.system.files import replaced_file
from keras_fcn.system.text import printable

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
    from matplotlib.axes import Axes
    from matplotlib.text import Text

    for axes in figure.findobj(Axes):
        axes.get_xticklabels(), axes.get_yticklabels()  # they get their texts only now
    texts = figure.findobj(Text)
    for text in texts:
        text.set_text(printable(text.get_text()))
    families = font_families(text.get_text() for text in texts)
    for text in texts:
        text.set_fontfamily(families)
    with replaced_file(path) as temporary, warnings.catch_warnings():
        # A box replaces letters that no font has; `font_families` reports them.
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        figure.savefig(temporary, dpi=120, format="png")


def name_entries(legend: Legend, names: Iterable[str]) -> None:
    """Sets the texts of a legend literally; as labels, `$` would begin a formula, and `_a` be omitted."""
    for text, name in zip(legend.get_texts(), names):
        text.set_parse_math(False)
        text.set_text(name)
