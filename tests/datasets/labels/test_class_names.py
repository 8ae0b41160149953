"""Lists of class names as people write them: comments, ids, void, and what is neither."""

import numpy as np
import pytest

from keras_fcn.datasets.labels.class_names import read_class_names
from keras_fcn.errors import UserError


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
    ],
)
def test_what_was_understood_is_said(tmp_path, text, notes):
    assert legend_of(tmp_path, text).notes == notes


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("# only\n", "lists no classes"),
        ("0 background\ncat\n", "line 1 begins with a number, line 2 does not; write its id before each"),
        ("0\n1\n2\n", "line 1 is a number, and so are all; write its id before each name"),
        ("background 0 0 0\ncat 255 0 0\n", r"line 1 holds a colour, .*labelmap.txt, as in cat:255,0,0::"),
        ("background:0,0,0::\ncat:255,0,0::\n", "line 1 holds a colour"),
        ("0 0 0 background\n255 0 0 cat\n", "line 1 holds a colour"),
        ("background, 0\ncat, 1\n", "line 1: write the id before the name, as in `10 road`. Received: background, 0"),
        ("0 background\n0 cat\n", "line 2: the id 0 is already in line 1"),
        ("0 cat\n1 cat\n", "line 2: the name 'cat' is already in line 1"),
        ("0 cat\n256 dog\n", "line 2: ids are 0 to 254, and 255 is void. Received: 256"),
        ("0 cat\n255 dog\n", "values of classes are 0 to 254, 255 is void. Received: 255 dog"),
        ("void\nignore\n", "names no class"),
        ("# a\ncat\n\ndog\n", "line 3 is empty"),
    ],
)
def test_faults_are_named_with_their_line(tmp_path, text, message):
    with pytest.raises(UserError, match=rf"classes.txt: .*{message}") as caught:
        legend_of(tmp_path, text)
    assert "\n" not in str(caught.value)
