import pytest

from keras_fcn.system.text import display_width, reason_of, table


@pytest.mark.parametrize(
    ("text", "width"), [("", 0), ("cat", 3), ("猫", 2), ("東京都", 6), ("Zürich", 6), ("Zu\u0308rich", 6), ("🐈 a", 4)]
)
def test_names_in_any_script_are_as_wide_as_a_terminal_shows_them(text, width):
    assert display_width(text) == width


def test_columns_of_a_table_are_aligned_in_any_script():
    names = ["cat", "東京都", "Zu\u0308rich", "  1e5", "🐈"]
    lines = table(("class", "images", "IoU"), [(name, 1, "25.0") for name in names]).splitlines()
    assert lines[2:] == [name + " " * (16 - display_width(name)) + "1   25.0" for name in names]
    assert [line.split() for line in lines[:2]] == [["class", "images", "IoU"], ["-------", "--------", "-----"]]
    lines = table(("class", "size"), [("a", "1"), ("ab", "12")], "><").splitlines()
    assert lines[2:] == ["      a  1", "     ab  12"]


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ValueError(" no such\nthing "), "no such"),
        (ValueError(), "ValueError"),
        (FileNotFoundError(2, "No such file or directory", "a.png"), "No such file or directory"),
        (OSError("truncated"), "truncated"),
        (ValueError("x" * 300), "x" * 200),
    ],
)
def test_the_reason_of_a_foreign_error_is_one_line(error, reason):
    assert reason_of(error) == reason
