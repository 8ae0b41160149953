"""CVAT's labelmap.txt: its classes, their order, colours and positions; every fault with its line."""

from pathlib import Path

import pytest

from keras_fcn.datasets.labels.labelmap import is_labelmap, legend_of_colors, read_labelmap
from keras_fcn.errors import UserError

FORM = "but name:red,green,blue:parts:actions are 4, the last two mostly empty, as in cat:255,0,0:: Received: "
RANGE = "must be three numbers from 0 to 255, as in cat:255,0,0:: Received: "


def written(tmp_path, text):
    path = tmp_path / "labelmap.txt"
    path.write_text(text, encoding="utf-8")
    return path


def test_classes_colours_void_and_positions(tmp_path):
    path = written(tmp_path, "# c\ncat:255,0,0::\n\n_Ignored_:9,9,9::\n_Background_:1,2,3:a,b:c\nox : 0 , 7,0 ::\n")
    legend = read_labelmap(path)
    assert legend.classes.names == ("_Background_", "cat", "ox")
    assert legend.classes.colors == ((1, 2, 3), (255, 0, 0), (0, 7, 0))
    assert legend.classes.void_color == (9, 9, 9)
    assert legend.ids == (1, 255, 0, 2, *[254] * 251, 255)
    assert (legend.has_colors, legend.has_ids, legend.is_own, legend.hint) == (True, False, True, "")
    assert legend.notes == ("labelmap.txt: '_Ignored_' is void: it counts nowhere",)
    assert legend.source == str(path)


def test_labels_without_colors_have_the_palettes_in_their_order(tmp_path):
    """As Datumaro writes and paints them when a project has no colours."""
    path = written(tmp_path, "# label:color_rgb:parts:actions\ncat:::\nbackground:::\ndog:::\n")
    classes = read_labelmap(path).classes
    assert classes.names == ("background", "cat", "dog")
    assert classes.colors == ((128, 0, 0), (0, 0, 0), (0, 128, 0))


@pytest.mark.parametrize(
    ("colors", "void"),
    [
        (["1,1,1"], (224, 224, 192)),  # VOC's, the last of its palette
        (["224,224,192"], (96, 224, 192)),  # that before it
        (["224,224,192", "96,224,192"], (224, 96, 192)),
    ],
)
def test_void_has_vocs_colour_unless_a_class_has_it(tmp_path, colors, void):
    lines = "".join(f"c{index}:{color}::\n" for index, color in enumerate(colors))
    legend = read_labelmap(written(tmp_path, lines))
    assert (legend.classes.void_color, legend.notes) == (void, ())


def test_the_values_of_others_than_positions_order_classes():
    labels = {"b": (1, 1, 1), "void": (2, 2, 2), "background": (3, 3, 3)}
    legend = legend_of_colors(Path("c.csv"), labels, {}, values=(9, 255, 4))
    assert legend.classes.names == ("background", "b")
    assert legend.ids == (*[254] * 4, 0, *[254] * 4, 1, *[254] * 245, 255)
    assert legend.has_ids
    legend = legend_of_colors(Path("c.csv"), labels, {}, values=(1, 254, 4))
    assert legend.classes.names == ("b", "background")
    assert (legend.ids[1], legend.ids[4], legend.ids[254:]) == (0, 1, (255, 255))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a:0,0,0::\nb:::\n", f": line 2: the colour of 'b' {RANGE}nothing"),
        ("a:0,0::\n", f": line 1: the colour of 'a' {RANGE}0,0"),
        ("a:0,0,0,0::\n", f": line 1: the colour of 'a' {RANGE}0,0,0,0"),
        ("a:0,0,256::\n", f": line 1: the colour of 'a' {RANGE}0,0,256"),
        ("a:0,0,²::\n", f": line 1: the colour of 'a' {RANGE}0,0,²"),
        ("a:0,0,0000000000::\n", f": line 1: the colour of 'a' {RANGE}0,0,0000000000"),
        ("a:0,0,0,x::\n", f": line 1: the colour of 'a' {RANGE}0,0,0,x"),
        ("a:0,0,0\n", f": line 1 has 2 fields, {FORM}a:0,0,0"),
        (":0,0,0::\n", f": line 1 has 4 fields, {FORM}:0,0,0::"),
        ("#\na:0,0,0::\na:1,1,1::\n", ": line 3: the name 'a' is already in line 2; give each class its own name"),
        ("a:0,1,2::\nb:0,1,2::\n", ": line 2: the colour 0,1,2 is already in line 1; give each class its own colour"),
        ("#\nvoid:0,1,2::\na:1,1,1::\nIgnore:9,1,2::\n",
         ": line 2 and line 4 are both void (void, Ignore); keep one, or rename what is a class"),
        ("void:0,1,2::\n", ": names no class; write a line such as cat:255,0,0:: for each"),
        ("", ": names no class; write a line such as cat:255,0,0:: for each"),
        ("".join(f"c{index}:::\n" for index in range(257)),
         ": line 257: the colour 0,0,0 is already in line 1; give each class its own colour"),
        ("".join(f"c{index}:{index},0,0::\n" for index in range(255)),
         ": a class table holds 1 to 254 classes. Received: 255"),
    ],
)  # fmt: skip
def test_faults_are_told_with_their_line(tmp_path, text, message):
    path = written(tmp_path, text)
    with pytest.raises(UserError) as caught:
        read_labelmap(path)
    assert str(caught.value) == f"{path}{message}"


def test_numbers_of_nine_digits_are_numbers(tmp_path):
    assert read_labelmap(written(tmp_path, "a:000000001,0,255::\n")).classes.colors == ((1, 0, 255),)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("# x\n\na:1,2,3::\nb b::c:d\n", True),
        ("a:1,2::\n", True),  # a fault, but of a labelmap
        ("a: 1 , 2 ,3 ::\n", True),
        ("# x\n", False),
        ("", False),
        ("a:1,2,3::\nb\n", False),
        ("a:1,2,3:\n", False),
        ("a:1,2,3:::\n", False),
        (":1,2,3::\n", False),
        ("a:1,2,x::\n", False),
        ("a:1,2,::\n", False),
    ],
)
def test_files_of_other_names_that_are_labelmaps(tmp_path, text, expected):
    assert is_labelmap(written(tmp_path, text)) is expected
