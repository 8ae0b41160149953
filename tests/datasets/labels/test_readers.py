"""Readers of masks: what they say, what they stand for, and how they are named."""

import functools
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from keras_fcn.datasets.labels.labelmap import legend_of_colors
from keras_fcn.datasets.labels.legend import Legend
from keras_fcn.datasets.labels.reading import (
    Masks,
    described,
    read_mapped,
    read_of_either,
    read_or_background,
    read_or_window,
    reader,
    stored_values,
)
from keras_fcn.errors import DataError
from keras_fcn.images.classes import ClassTable
from keras_fcn.images.masks import read_color_label, read_grey_label, read_label, read_value_label
from keras_fcn.images.windows import Window, pixels_in, write_pixels

FILE = Path("d/classes.txt")
NAMED = Legend.of_values(FILE, {0: "a", 7: "b"}, "a hint")
COLORS = {"b": (0, 0, 9), "a": (0, 0, 0), "void": (1, 1, 1)}
COLORED = legend_of_colors(Path("d/labelmap.txt"), COLORS, {})
WITH_IDS = legend_of_colors(Path("d/c.csv"), COLORS, {}, (4, 6, 5))
BY_256 = "masks hold class * 256 + number of the object: a value divided by 256 is the class"


@pytest.mark.parametrize(
    ("legend", "by_color", "reading", "note"),
    [
        (NAMED, False, "ids", ""),
        (NAMED, False, "colors", ""),
        (NAMED, True, "ids", "palettes are not VOC's: indices, not colours, are ids"),
        (COLORED, False, "ids", "palettes are not those of labelmap.txt: indices, not colours, are ids"),
        (COLORED, True, "colors", ""),
        (NAMED, False, "greys", "palettes number their greys differently: greys, not indices, are ids"),
        (NAMED, False, "by_256", BY_256),
        (NAMED, False, "black_and_white", "masks hold only 0 and 255: 0 is 'a', 255 is 'b' (classes.txt)"),
        (COLORED, False, "black_and_white", "masks hold only 0 and 255: 0 is 'a', 255 is 'b' (labelmap.txt)"),
        (COLORED, False, "line_numbers", "masks are grey and hold positions in labelmap.txt: 0 is 'b', 1 is 'a'"),
        (WITH_IDS, False, "line_numbers", "masks are grey and hold ids of c.csv: 4 is 'b', 6 is 'a'"),
    ],
)
def test_what_a_reading_is_worth_saying(legend, by_color, reading, note):
    assert Masks(legend, list, by_color).notes(reading) == (*legend.notes, *([note] if note else []))


def saved(path, *values, mode="L"):
    Image.fromarray(np.array([values], np.uint8)).convert(mode).save(path)
    return path


def test_the_reader_of_each_reading(tmp_path):
    path = saved(tmp_path / "mask.png", 0, 7, 255)
    assert Masks(NAMED, list).reader()(path).tolist() == [[0, 1, 255]]
    assert Masks(NAMED, list).reader("ids")(path).tolist() == [[0, 1, 255]]
    assert Masks(NAMED, list).reader("greys")(path).tolist() == [[0, 1, 255]]
    assert Masks(COLORED, list).reader("line_numbers")(saved(path, 1, 0, 2, 255)).tolist() == [[1, 0, 255, 255]]
    Image.fromarray(np.array([[0, 7 * 256 + 1]], np.uint16)).save(path)
    assert Masks(NAMED, list).reader("by_256")(path).tolist() == [[0, 1]]
    Image.fromarray(np.array([[(0, 0, 9), (0, 0, 0), (1, 1, 1)]], np.uint8)).save(path)
    assert Masks(COLORED, list).reader()(path).tolist() == [[0, 1, 255]]
    saved(path, 0, 255)
    assert Masks(COLORED, list).reader("black_and_white")(path).tolist() == [[1, 0]]  # as its colours say
    assert Masks(NAMED, list).reader("black_and_white")(path).tolist() == [[0, 1]]
    saved(path, 0, 255, mode="1")
    assert Masks(NAMED, list).reader("black_and_white")(path).tolist() == [[0, 1]]


def test_a_hint_is_said_of_values_and_colours_only(tmp_path):
    path = saved(tmp_path / "mask.png", 0, 9, 9)
    value = f"{path}: value 9 (2 pixels) stands for no class; values here are 0, 7, 255; fix the mask or the class list"
    for legend, hint in ((NAMED, "; a hint"), (Legend.of_values(FILE, {0: "a", 7: "b"}), "")):
        with pytest.raises(DataError) as caught:
            Masks(legend, list).reader()(path)
        assert (str(caught.value), caught.value.kind) == (f"{value.replace(', 255', '')}{hint}", "id out of range")
    with pytest.raises(DataError) as caught:
        Masks(NAMED, list).reader("black_and_white")(path)
    assert str(caught.value).endswith("; when this was chosen, all masks held 0 and 255 only")
    path.write_bytes(b"")
    with pytest.raises(DataError) as caught:
        Masks(NAMED, list).reader()(path)
    assert str(caught.value).endswith("; replace the file or remove it from the data set")
    Image.fromarray(np.array([[(9, 9, 8)]], np.uint8)).save(path)
    named = Legend.of_layout("theirs", ClassTable.named("ab"), Path("d"))
    with pytest.raises(DataError, match=r"colour .*; these are theirs: for classes of your own, write d/classes\.txt"):
        Masks(named, list).reader("colors")(path)


def test_readers_of_other_readers(tmp_path):
    path, other = saved(tmp_path / "a.png", 0, 1, 255), saved(tmp_path / "b.png", 1, 1)
    read, table = reader(read_label, ClassTable.named("abc")), (2, 0, *range(2, 256))
    assert read_mapped(path, read, table).tolist() == [[2, 0, 255]]
    assert read_mapped(path, read, table).dtype == np.uint8
    assert read_or_background(path, read, frozenset([other]), 5).tolist() == [[0, 1, 255]]
    assert read_or_background(other, read, frozenset([other]), 5).tolist() == [[5, 5]]
    assert read_or_background(other, read, frozenset([other]), 5).dtype == np.uint8
    mapped = functools.partial(read_mapped, read_label=read, ids=table)
    assert read_of_either(path, read, mapped, frozenset([other])).tolist() == [[0, 1, 255]]
    assert read_of_either(other, read, mapped, frozenset([other])).tolist() == [[0, 0]]
    shape, content = write_pixels(pixels_in(tmp_path), [np.array([[4, 5, 6], [7, 8, 9]], np.uint8)])
    window = Window(content, shape, (1, 1, 2, 3))
    window.write(window.path(tmp_path, "a"))
    assert read_or_window(window.path(tmp_path, "a"), read).tolist() == [[8, 9]]
    assert read_or_window(path, read).tolist() == [[0, 1, 255]]


def test_what_values_mean_through_other_readers():
    """The same as without them, but for those that map ids."""
    read = reader(read_value_label, ClassTable.named("ab"), NAMED.ids)
    plain = [0, *[254] * 6, 1, *[254] * 247, 255, *[254] * 65279, 255]
    for function, given in ((read_or_background, {"without": frozenset(), "background": 0}), (read_or_window, {})):
        found = stored_values(functools.partial(function, read_label=read, **given))
        assert (found.ids.tolist(), found.ids.dtype, found.of_palettes) == (plain, np.uint8, True)
    table = (9, 254, *range(2, 254), 3, 8)
    found = stored_values(functools.partial(read_mapped, read_label=read, ids=table))
    expected = [{0: 9, 1: 254, 254: 254, 255: 8}[value] for value in plain]
    assert (found.ids.tolist(), found.ids.dtype, found.of_palettes) == (expected, np.uint8, True)
    assert stored_values(functools.partial(read_mapped, read_label=lambda path: None, ids=table)) is None
    assert stored_values(Masks(NAMED, list).reader()).ids.tolist() == plain
    assert not stored_values(Masks(NAMED, list).reader("greys")).of_palettes
    assert stored_values(Masks(COLORED, list).reader()) is None


class Own:
    def __repr__(self):
        return "own"


def test_a_reader_in_words_that_are_the_same_in_every_process():
    masks = "keras_fcn.images.masks"
    assert described(read_label) == f"{masks}.read_label"
    assert described(reader(read_grey_label, Own(), (1, 2))) == (
        f"keras_fcn.datasets.labels.reading._with_arguments(arguments=(own, (1, 2)), read={masks}.read_grey_label)"
    )
    assert described(functools.partial(read_color_label, "p", frozenset("ba"))) == (
        f"{masks}.read_color_label('p', ('a', 'b'))"
    )
    assert described(("b", "a")) == "('b', 'a')"
    assert described([Own()]) == "[own]"
    assert described(Own.__repr__) == f"{__name__}.Own.__repr__"
    assert " at 0x" in described(lambda: None)
