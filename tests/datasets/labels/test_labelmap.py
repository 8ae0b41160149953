import pytest

from keras_fcn.datasets.labels.labelmap import read_labelmap
from keras_fcn.errors import UserError


def test_labels_without_colors_have_the_palettes_in_their_order(tmp_path):
    """As Datumaro writes and paints them when a project has no colours."""
    path = tmp_path / "labelmap.txt"
    path.write_text("# label:color_rgb:parts:actions\ncat:::\nbackground:::\ndog:::\n", encoding="utf-8")
    classes = read_labelmap(path).classes
    assert classes.names == ("background", "cat", "dog")
    assert classes.colors == ((128, 0, 0), (0, 0, 0), (0, 128, 0))


def test_colors_for_some_labels_only_are_refused(tmp_path):
    path = tmp_path / "labelmap.txt"
    path.write_text("background:0,0,0::\ncat:::\n")
    with pytest.raises(UserError, match=r"line 2: the colour of 'cat' must be three numbers .* Received: nothing"):
        read_labelmap(path)
