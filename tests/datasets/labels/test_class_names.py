"""Lists of class names as people write them: comments, ids, void, and what is neither."""

import numpy as np
import pytest

from keras_fcn.datasets.labels.class_names import holds_names, read_class_names
from keras_fcn.errors import UserError

EACH = "write its id before each name, as in `10 road`, or before none"


def legend_of(tmp_path, text):
    path = tmp_path / "classes.txt"
    path.write_text(text, encoding="utf-8")
    return read_class_names(path)


@pytest.mark.parametrize(
    ("text", "names", "values"),
    [
        ("background\ncat\n", ("background", "cat"), {0: 0, 1: 1}),
        ("# my classes\n\nbackground\n# the animal\ncat\n\n# end", ("background", "cat"), {0: 0, 1: 1}),
        ("0 background\n1 cat\n", ("background", "cat"), {0: 0, 1: 1}),
        ("0: sky\n10: road\n20: car\n30: tree\n", ("sky", "road", "car", "tree"), {0: 0, 10: 1, 20: 2, 30: 3}),
        ("7,chair\n0,background\n3,cat\n", ("background", "cat", "chair"), {0: 0, 3: 1, 7: 2}),
        ("1 - floor\n2 - wall 2\n", ("floor", "wall 2"), {1: 0, 2: 1}),
        ("0\tsky\n1=\t3d printer\n", ("sky", "3d printer"), {0: 0, 1: 1}),
        ("floor\n3d printer\nzone 1\n", ("floor", "3d printer", "zone 1"), {0: 0, 1: 1, 2: 2}),
        ("background\nvoid\ncat\n", ("background", "cat"), {0: 0, 1: 255, 2: 1}),
        ("_Unlabeled_\ncat\ndog\nignore\n", ("cat", "dog"), {0: 255, 1: 0, 2: 1, 3: 255}),
        ("__ignore__\n_background_\ncat\n", ("_background_", "cat"), {0: 0, 1: 1}),
        ("0 background\n1 cat\n255 void\n", ("background", "cat"), {0: 0, 1: 1}),
    ],
)  # fmt: skip
def test_lists_of_every_form(tmp_path, text, names, values):
    legend = legend_of(tmp_path, text)
    assert (legend.source, legend.has_colors, legend.has_ids, legend.is_own) == (
        str(tmp_path / "classes.txt"),
        False,
        False,
        True,
    )
    assert legend.hint == "where ids have gaps, write them before the names in classes.txt: `10 road`"
    expected = np.full(256, 254)
    expected[255] = 255
    expected[list(values)] = list(values.values())
    assert legend.classes.names == names
    np.testing.assert_array_equal(legend.ids, expected)


@pytest.mark.parametrize(
    ("text", "notes"),
    [
        ("background\ncat\n", ()),
        ("sky\nvoid\n", ("classes.txt: 'void', value 1, is void: it counts nowhere",)),
        ("0 sky\n10 tree", ("classes.txt: 0 is 'sky', 10 is 'tree'",)),
        (
            "1 sky\n2 void\n3 sea",
            (
                "classes.txt: 'void', value 2, is void: it counts nowhere",
                "classes.txt: 1 is 'sky', 3 is 'sea'",
            ),
        ),
    ],
)
def test_what_was_understood_is_said(tmp_path, text, notes):
    assert legend_of(tmp_path, text).notes == notes


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("# only\n", "lists no classes; write one name per line, that of id 0 first"),
        ("__ignore__\n", "lists no classes; write one name per line, that of id 0 first"),
        (
            "0 background\ncat\n",
            "line 1 begins with a number, line 2 does not; " + EACH,
        ),
        (
            "# a\ncat\n1 dog\n2 cow\n",
            "line 3 begins with a number, line 2 does not; " + EACH,
        ),
        ("0\n1\n2\n", "line 1 is a number, and so are all; write its id before each name: `0 road`"),
        (
            "background 0 0 0\ncat 255 0 0\n",
            "line 1 holds a colour, and so do all; write them to FOLDER/labelmap.txt, as in cat:255,0,0:: "
            "Received: background 0 0 0",
        ),
        (
            "#\nbackground:0,0,0::\ncat:255,0,0::\n",
            "line 2 holds a colour, and so do all; write them to FOLDER/labelmap.txt, as in cat:255,0,0:: "
            "Received: background:0,0,0::",
        ),
        (
            "0 0 0 background\n255 0 0 cat\n",
            "line 1 holds a colour, and so do all; write them to FOLDER/labelmap.txt, as in cat:255,0,0:: "
            "Received: 0 0 0 background",
        ),
        ("background, 0\ncat, 1\n", "line 1: write the id before the name, as in `10 road`. Received: background, 0"),
        ("0 background\n0 cat\n", "line 2: the id 0 is already in line 1; change one"),
        ("0 cat\n1 cat\n", "line 2: the name 'cat' is already in line 1; change one"),
        ("#\ncat\ndog\ncat\n", "line 4: the name 'cat' is already in line 2; rename one"),
        ("0 cat\n256 dog\n", "line 2: ids are 0 to 254, and 255 is void. Received: 256"),
        ("0 cat\n255 dog\n", "values of classes are 0 to 254, 255 is void. Received: 255 dog"),
        ("void\nignore\n", "names no class; write a line for each, that of id 0 first"),
        ("# a\ncat\n\ndog\n", "line 3 is empty; every id needs a name, so name it or remove the line"),
        ("cat\n__ignore__\n", "line 2: __ignore__ may only be the first line; void is 255 in the masks"),
    ],
)
def test_faults_are_named_with_their_line(tmp_path, text, message):
    with pytest.raises(UserError) as caught:
        legend_of(tmp_path, text)
    assert str(caught.value) == f"{tmp_path / 'classes.txt'}: {message.replace('FOLDER', str(tmp_path))}"


def test_lines_that_are_no_numbers_and_no_colours_only_in_part(tmp_path):
    """Each rule for all lines needs all of them."""
    for text in ("3\ncat\n", "cat 1 2 3\ndog\n", "cat, 1\ndog\n", "²\n³\n"):
        assert legend_of(tmp_path, text).classes.names == tuple(text.split("\n")[:2])


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["cat"], True),
        ([], False),
        (["#", "cat", "2 dog"], True),
        ([f"c{number}" for number in range(256)], True),
        ([f"c{number}" for number in range(257)], False),
        (["a", "b" * 60], True),
        (["a", "b" * 61], False),
        (["a", "", "b"], False),
        (["a.png", "b"], False),
    ],
)
def test_lists_that_may_be_of_names(tmp_path, lines, expected):
    path = tmp_path / "labels.txt"
    path.write_text("\n".join(lines), encoding="utf-8")
    assert holds_names(path) is expected
