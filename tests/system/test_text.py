import pytest

from keras_fcn.system.text import display_width, left_justified


@pytest.mark.parametrize(
    ("text", "width"), [("", 0), ("cat", 3), ("猫", 2), ("東京都", 6), ("Zürich", 6), ("Zu\u0308rich", 6), ("🐈 a", 4)]
)
def test_names_in_any_script_are_padded_to_the_same_column(text, width):
    assert display_width(text) == width
    assert left_justified(text, 9) == text + " " * (9 - width)
