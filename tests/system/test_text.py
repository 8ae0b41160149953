import pytest
import yaml

from keras_fcn.system.text import display_width, load_json, load_yaml, reason_of, table


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


LAUGHS = "a: &a [x, x]\n" + "".join(
    f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]\n" for old, new in zip("abcdefgh", "bcdefghi")
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (LAUGHS, "its aliases stand for more values than are read"),
        ("a: &a [*a]", "its aliases stand for more values than are read"),
        ("[" * 5000, "it is nested too deeply"),
        ("#" * (1 << 20) + "\na: 1", "it has more than 1 MiB"),
        ("a: !!python/object/apply:os.getcwd []", "could not determine a constructor"),
        ("a: 1\n---\nb: 2", "expected a single document"),
    ],
)
def test_yaml_that_takes_more_than_it_holds_is_refused(text, message):
    with pytest.raises(yaml.YAMLError, match=message):
        load_yaml(text)


@pytest.mark.parametrize("text", ["", "a: &a [1, b]\nc: [*a, *a]", "<<: &a {b: 1}\nc: {<<: *a, d: 2}", "- 2020-01-01"])
def test_other_yaml_is_read_as_by_pyyaml(text):
    assert load_yaml(text) == yaml.safe_load(text)


def test_json_that_is_nested_deeply_is_a_value_error():
    with pytest.raises(ValueError, match="its values are nested too deeply"):
        load_json("[" * 100_000)
    assert load_json(b'{"a": [1]}') == {"a": [1]}


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
