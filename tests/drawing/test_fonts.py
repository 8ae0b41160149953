"""Fonts for class names in any script, and what is said where no font has a letter."""

import pytest
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont
from matplotlib.ft2font import FT2Font

from keras_fcn.drawing import fonts
from keras_fcn.drawing.figures import save_figure

DEJAVU, STIX = (fonts.Font(name, findfont(name)) for name in ("DejaVu Sans", "STIXGeneral"))
MISSING = "猫"
"""A letter that neither has."""


@pytest.fixture
def installed(monkeypatch):
    """Makes Matplotlib's DejaVu Sans and STIXGeneral the installed fonts; returns a letter that only the second has."""
    fonts._fonts_with.cache_clear()
    monkeypatch.setattr(fonts, "_usual_fonts", lambda: (DEJAVU,))
    monkeypatch.setattr(fonts, "_other_fonts", lambda: (STIX,))
    monkeypatch.setattr(fonts, "_reported", [])
    more = FT2Font(STIX.path).get_charmap().keys() - FT2Font(DEJAVU.path).get_charmap().keys()
    yield next(letter for letter in map(chr, sorted(more)) if letter > "\u0180" and letter.isalpha())
    fonts._fonts_with.cache_clear()


def test_a_letter_of_no_usual_font_is_found_in_another(installed, capsys):
    assert fonts.font_for(installed, 20).path == STIX.path
    assert fonts.font_for("кот", 20).path == DEJAVU.path
    assert fonts.font_families(["cat", installed]) == ["sans-serif", "STIXGeneral"]
    assert fonts.font_families(["cat"]) == ["sans-serif"]
    assert capsys.readouterr().err == ""


def test_letters_of_no_font_are_reported_once(installed, capsys, tmp_path):
    figure = Figure()
    figure.subplots().set_yticks([0], [f"cat {MISSING}"])
    save_figure(figure, tmp_path / "figure.png")
    fonts.font_for(f"{MISSING} \u0301\ufe0f {installed}", 20)
    assert capsys.readouterr().err == (
        f"Fonts    no installed font has {MISSING}: pictures show boxes there; install one that has them, such as "
        "fonts-noto-cjk (Debian, Ubuntu) or google-noto-sans-cjk-fonts (Fedora)\n"
    )


def test_texts_get_the_fonts_of_other_scripts(installed, tmp_path):
    figure = Figure()
    axes = figure.subplots()
    axes.set_yticks([0], [installed])
    axes.set_title("title")
    save_figure(figure, tmp_path / "figure.png")
    for text in (axes.title, *axes.get_yticklabels()):
        assert text.get_fontfamily() == ["sans-serif", "STIXGeneral"]
