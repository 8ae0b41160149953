"""How masks are read, chosen from what they hold and what a legend says: each branch by masks of a few pixels."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from keras_fcn.datasets.labels import choice
from keras_fcn.datasets.labels.choice import black_and_white, choose_reading, usual
from keras_fcn.datasets.labels.labelmap import legend_of_colors
from keras_fcn.datasets.labels.legend import Legend, bare, is_void
from keras_fcn.datasets.labels.reading import Masks
from keras_fcn.errors import UserError
from keras_fcn.images.classes import ClassTable, voc_palette

BLACK, WHITE, RED, GREEN = (0, 0, 0), (255, 255, 255), (255, 0, 0), (0, 255, 0)
FILE = Path("d/classes.txt")


def greys(*values, mode="L"):
    """Returns a mask of grey values, 8 bits each; also of 1 or 16, or in RGB."""
    if mode == "I":
        return Image.fromarray(np.array([values], np.uint16))
    return Image.fromarray(np.array([values], np.uint8)).convert(mode)


def palette(*colors):
    """Returns a mask of the indices of a palette, each once."""
    image = Image.fromarray(np.arange(len(colors), dtype=np.uint8)[None])
    image.putpalette(np.array(colors, np.uint8).tobytes())
    return image


def colored(*colors):
    return Image.fromarray(np.array([colors], np.uint8))


def named(*names):
    return Legend.of_values(FILE, dict(enumerate(names)))


def painted(**colors):
    """Returns the legend of a labelmap."""
    return legend_of_colors(Path("d/labelmap.txt"), colors, {name: name for name in colors})


def layout(*names):
    return Legend.of_layout("theirs", ClassTable.named(names), Path("d"))


TWO, THREE = named("a", "b"), named("a", "b", "c")
GAPS = Legend.of_values(FILE, {0: "a", 10: "b"})
VOC = Legend.of_layout("VOC's", ClassTable.voc(), Path("d"))
COLORED = painted(background=BLACK, cat=RED, dog=GREEN)
GREY_COLORS = painted(light=(200,) * 3, background=BLACK, dark=(100,) * 3)
IDS_AND_COLORS = legend_of_colors(Path("c.csv"), {"a": RED, "b": GREEN}, {}, values=(7, 8))
voc = [tuple(color) for color in voc_palette().tolist()]

READINGS = {
    "ids": (False, THREE, [greys(0, 1, 2)], "ids"),
    "a palette": (False, THREE, [palette(BLACK, RED, GREEN)], "ids"),
    "ids of gaps by colour": (True, GAPS, [palette(*voc[:11])], "ids"),
    "ids by colour": (True, THREE, [greys(0, 1, 2)], "colors"),
    "VOC": (True, VOC, [palette(*voc[:21])], "colors"),
    "VOC's indices are shuffled": (True, VOC, [palette(voc[1], voc[0])], "colors"),
    "own palette of own names": (True, THREE, [palette(BLACK, RED, GREEN)], "ids"),
    "own palette of a layout": (True, layout("a", "b", "c"), [palette(BLACK, RED, GREEN)], "colors"),
    "an index without class": (True, THREE, [palette(BLACK, RED, GREEN, (1, 2, 3))], "colors"),
    "own palettes that clash": (True, THREE, [palette(BLACK, RED), palette(BLACK, GREEN)], "colors"),
    "greys, by colour": (True, THREE, [palette(BLACK, (1,) * 3, (2,) * 3), greys(0, 1)], "colors"),
    "black and white": (False, TWO, [greys(0, 255)], "black_and_white"),
    "black and white, by colour": (True, TWO, [greys(0, 255)], "black_and_white"),
    "of a layout": (True, layout("a", "b"), [greys(0, 255), greys(0)], "black_and_white"),
    "1 bit": (False, TWO, [greys(0, 255, mode="1")], "ids"),
    "1 bit, by colour": (True, TWO, [greys(0, 255, mode="1")], "ids"),
    "1 bit of a layout": (True, layout("a", "b"), [greys(0, 255, mode="1")], "colors"),
    "1 and 8 bits": (False, TWO, [greys(0, 255, mode="1"), greys(0, 255)], "black_and_white"),
    "black alone": (False, THREE, [greys(0, 0)], "ids"),
    "white alone": (False, THREE, [greys(255, 255)], "ids"),
    "a later id": (False, THREE, [greys(0, 255), greys(0, 255), greys(0, 2)], "ids"),
    "greys at other indices": (False, THREE, [palette((2,) * 3, BLACK), greys(0, 1)], "greys"),
    "greys of no class": (False, TWO, [palette(BLACK, (3,) * 3), palette(BLACK, (3,) * 3)], "ids"),
    "greys at their own": (False, THREE, [palette(BLACK, (1,) * 3), greys(2)], "ids"),
    "256": (False, THREE, [greys(0, 257, 258, 512, mode="I")], "by_256"),
    "1000": (False, THREE, [greys(1, 1000, 1001, 2000, mode="I"), greys(0)], "by_1000"),
    "16 bits of ids": (False, THREE, [greys(0, 2, 255, mode="I")], "ids"),
    "colours": (False, COLORED, [colored(BLACK, RED)], "colors"),
    "palette in the file's colours": (False, COLORED, [palette(GREEN, BLACK, RED)], "colors"),
    "positions": (False, COLORED, [greys(0, 1, 2)], "line_numbers"),
    "positions in RGB": (False, COLORED, [greys(0, 0), greys(2, 2, mode="RGB")], "line_numbers"),
    "a position and void": (False, COLORED, [greys(0, 255), greys(1, 1)], "line_numbers"),
    "greys of colours": (False, GREY_COLORS, [greys(0, 200), greys(100)], "colors"),
    "first black": (False, GREY_COLORS, [greys(0), greys(0, 100)], "colors"),
    "void of a labelmap": (False, painted(background=BLACK, void=(1,) * 3, a=(2,) * 3), [greys(0, 2, 1)], "colors"),
    "zero alone": (False, COLORED, [greys(0)], "colors"),
    "void alone": (False, COLORED, [greys(255)], "colors"),
    "ids of a file of both": (False, IDS_AND_COLORS, [greys(7, 8)], "line_numbers"),
    "colours of a file of both": (False, IDS_AND_COLORS, [colored(RED, GREEN)], "colors"),
    "palette of other colours": (False, IDS_AND_COLORS, [palette(*[(1, 2, value) for value in range(9)])], "colors"),
    "two classes of a labelmap": (False, painted(background=BLACK, cat=RED), [greys(0, 255)], "black_and_white"),
}  # fmt: skip


def saved(folder, masks):
    paths = [folder / f"{number}.png" for number in range(len(masks))]
    for path, mask in zip(paths, masks):
        mask.save(path)
    return paths


@pytest.mark.parametrize("case", READINGS)
def test_the_reading_of_masks(tmp_path, case):
    by_color, legend, masks, reading = READINGS[case]
    assert choose_reading(saved(tmp_path, masks), legend, by_color) == reading
    assert reading in choice.READINGS


def test_a_palette_of_ids_is_not_read_by_a_files_colours(tmp_path):
    """Its indices 7 and 8 are the file's ids, in colours that are nobody's."""
    image = palette(*[(1, 2, value) for value in range(9)])
    image.putdata([7, 8, 7, 8, 7, 8, 7, 8, 7])
    assert choose_reading(saved(tmp_path, [image]), IDS_AND_COLORS, False) == "ids"
    other = palette(*[(3, 2, value) for value in range(9)])
    assert choose_reading(saved(tmp_path, [image, other]), IDS_AND_COLORS, False) == "colors"


TWO_NAMES = "export masks of ids, or write two names, that of 0 first"
REFUSED = {
    "names": (False, THREE, [greys(0, 255, 255), greys(0)], (
        "ROOT: the masks (2 in all) hold only 0 and 255 (50.0%), but d/classes.txt names 3 classes: 255 is void, so "
        f"nothing but 'a' is left; {TWO_NAMES}"
    )),
    "void, too": (False, named("a", "b", "void"), [greys(0, 0, 0, 255)], (
        "ROOT: the masks (1 in all) hold only 0 and 255 (25.0%), but d/classes.txt names 2 classes and void: 255 is "
        f"void, so nothing but 'a' is left; {TWO_NAMES}"
    )),
    "a layout": (True, VOC, [greys(0, 255)], (
        "ROOT: the masks (1 in all) hold only 0 and 255 (50.0%), but VOC's are expected: 255 is void, so nothing but "
        "'background' is left; export masks of ids, or put classes.txt beside them with two names, that of 0 first"
    )),
    "a labelmap": (False, COLORED, [greys(0, 255)], (
        "ROOT: the masks (1 in all) hold only 0 and 255 (50.0%), but d/labelmap.txt names 3 classes: 255 is void, so "
        f"nothing but 'background' is left; {TWO_NAMES}"
    )),
    "palettes": (False, THREE, [palette(BLACK, RED), palette(BLACK, GREEN)], (
        "ROOT/0.png and 1.png: palette index 1 is 255,0,0 in one and 0,255,0 in the other, so indices are no ids; "
        "replace d/classes.txt by d/labelmap.txt with a line such as cat:255,0,0:: for each colour"
    )),
    "either": (False, painted(b=(2,) * 3, a=(1,) * 3, background=BLACK), [greys(0, 2)], (
        "ROOT: the masks hold only 0, 2, and by d/labelmap.txt 0 is 'b' as the position of a line and 'background' as "
        "a colour; order the lines by their greys"
    )),
    "a class or void": (False, painted(background=BLACK, a=(2,) * 3, void=(1,) * 3), [greys(2, 2), greys(0, 1)], (
        "ROOT: the masks hold only 0, 1, 2, and by d/labelmap.txt 1 is 'a' as the position of a line and void as a "
        "colour; order the lines by their greys"
    )),
    "too large": (False, THREE, [greys(0, 300, mode="I"), greys(0, 5000, mode="I")], (
        "ROOT/1.png: it and others hold 3 values up to 5000 (0, 300, 5000), but ids are 0 to 254, and 255 is void; "
        "class * 256 + number of an object and class * 1000 + number do not fit; export masks of class ids"
    )),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_stays_unclear_is_one_line(tmp_path, case):
    by_color, legend, masks, message = REFUSED[case]
    paths = saved(tmp_path, masks)
    with pytest.raises(UserError) as caught:
        choose_reading(paths, legend, by_color)
    assert str(caught.value) == message.replace("ROOT", str(tmp_path))


def test_the_usual_reading():
    assert [usual(THREE, by_color) for by_color in (False, True)] == ["ids", "colors"]
    assert [usual(GAPS, by_color) for by_color in (False, True)] == ["ids", "ids"]
    assert [usual(COLORED, by_color) for by_color in (False, True)] == ["colors", "colors"]
    assert Masks(GAPS, list, True).usual == "ids"


def test_black_and_white_of_two_classes():
    assert black_and_white(TWO) == (0, 1)
    assert black_and_white(painted(a=RED, b=BLACK)) == (1, 0)
    assert black_and_white(painted(a=BLACK, b=RED)) == (0, 1)
    assert black_and_white(painted(a=RED, background=GREEN)) == (1, 0)  # the first line is 0


# Legends


def test_the_legend_of_a_layout():
    classes = ClassTable.named(("a", "b"))
    legend = Legend.of_layout("theirs", classes, Path("d"), notes=("n",))
    assert (legend.source, legend.classes, legend.notes) == ("theirs", classes, ("n",))
    assert legend.ids == (0, 1, *[254] * 253, 255)
    assert (legend.has_colors, legend.has_ids, legend.is_own) == (False, False, False)
    assert legend.hint == "these are theirs: for classes of your own, write d/classes.txt with a name per line"
    assert Legend.of_layout("theirs", classes, Path("d"), void=2).ids == (0, 1, 255, *[254] * 252, 255)


def test_the_legend_of_values():
    legend = Legend.of_values(FILE, {5: "b", 0: "a", 2: "Void", 255: "ignore"}, "h")
    assert (legend.classes.names, legend.hint, legend.is_own) == (("a", "b"), "h", True)
    assert legend.classes.colors == (voc[0], voc[5])
    assert legend.ids == (0, 254, 255, 254, 254, 1, *[254] * 249, 255)
    assert legend.notes == (
        "classes.txt: 'Void', value 2, is void: it counts nowhere",
        "classes.txt: 'ignore', value 255, is void: it counts nowhere",
        "classes.txt: 0 is 'a', 5 is 'b'",
    )
    assert Legend.of_values(FILE, {0: "a", 1: "b", 2: "c"}).notes == ()
    assert Legend.of_values(FILE, {0: "a", 3: "c", 1: "b"}).notes == ("classes.txt: 0 is 'a', 1 is 'b', 3 is 'c'",)
    for names, message in (
        ({}, "names no class; write a line for each, that of id 0 first"),
        ({255: "a"}, "values of classes are 0 to 254, 255 is void. Received: 255 a"),
        (dict(enumerate(map(str, range(255)))), "a class table holds 1 to 254 classes. Received: 255"),
    ):
        with pytest.raises(UserError) as caught:
            Legend.of_values(FILE, names)
        assert str(caught.value) == f"d/classes.txt: {message}"


def test_names_that_mean_void():
    for name in ("void", "Ignore", "__IGNORED__", "_unlabeled", "unlabelled_"):
        assert is_void(name)
    for name in ("void 1", "a_void", "-void-", ""):
        assert not is_void(name)
    assert bare("__A_b__") == "a_b"
