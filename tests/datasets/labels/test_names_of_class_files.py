"""Which files are looked at for classes, and which of them must hold some."""

from pathlib import Path

import pytest
from layouts import write

from keras_fcn.datasets.labels.class_files import above, find_legend, like_class_files
from keras_fcn.errors import UserError


def names_in(folder):
    legend = find_legend(folder)
    return legend and legend.classes.names


def test_a_folder_of_many_tables_holds_no_classes(tmp_path):
    """Of 16 of a suffix each is read, of more only those that are called so."""
    write(tmp_path / "any.csv", "id,name\n7,road\n8,sky\n")
    for number in range(15):
        write(tmp_path / f"n{number}.csv", "a,b\n")
    assert names_in(tmp_path) == ("road", "sky")
    write(tmp_path / "n15.csv", "a,b\n")
    assert names_in(tmp_path) is None
    write(tmp_path / "labels.csv", "id,name\n7,road\n9,sea\n")
    assert names_in(tmp_path) == ("road", "sea")


def test_inner_folders_of_few_files_are_looked_at(tmp_path):
    write(tmp_path / "f63/classes.txt", "a\nb\n")
    write(tmp_path / "f63/n.txt", "x\n")
    for number in range(63):
        write(tmp_path / f"f{number:02}/x.md", "")
    legend = find_legend(tmp_path)
    assert (legend.classes.names, legend.notes) == (("a", "b"), ("classes are those of f63/classes.txt",))
    assert find_legend(tmp_path, inner=False) is None
    write(tmp_path / "f63/m.txt", "x\n")  # three of a suffix are about an image each
    assert find_legend(tmp_path) is None
    (tmp_path / "f63/m.txt").unlink()
    write(tmp_path / "f62a/x.md", "")  # now it is the 65th
    assert find_legend(tmp_path) is None
    write(tmp_path / "f00/any.csv", "id,name\n7,road\n8,sky\n")  # by its name it is none
    assert find_legend(tmp_path) is None
    write(tmp_path / "f02/class.json", '{"7": "road", "8": "sky"}')
    assert find_legend(tmp_path).notes[0] == "classes are those of f02/class.json"


def test_files_of_a_name_or_size_that_classes_have_not(tmp_path):
    classes = "id,name\n7,road\n8,sky\n"
    for name in (".labels.csv", "labels", "labels.md", ".csv", "class_counts.csv"):
        write(tmp_path / name, classes)
    (tmp_path / "labels.csv").mkdir()
    write(tmp_path / "label.txt", "#" * (1 << 20) + "\nroad")
    write(tmp_path / "any.txt", "")
    assert names_in(tmp_path) is None
    assert like_class_files(tmp_path) == ()
    write(tmp_path / "label.txt", "#" * ((1 << 20) - 5) + "\nroad")
    assert names_in(tmp_path) == ("road",)
    write(tmp_path / "label.txt", "")
    assert like_class_files(tmp_path) == ("label.txt looks like a file of classes, but is not understood",)


@pytest.mark.parametrize("name", ["MY_CLASSES.CSV", "Labels.Json", "x.NAMES", "colour-map.txt", "taxonomy.yml"])
def test_names_of_files_in_any_case(tmp_path, name):
    lists = {".csv": "7,road,1,2,3\n", ".json": '["road"]', ".yml": "[road]"}
    write(tmp_path / name, lists.get(name[name.index(".") :].lower(), "road\n"))
    legend = find_legend(tmp_path)
    assert (legend.classes.names, legend.notes) == (("road",), ())


def test_a_file_of_another_name_is_noted(tmp_path):
    write(tmp_path / "any.csv", "id,name\n0,void\n1,sky\n")
    notes = find_legend(tmp_path).notes
    assert notes[0] == "classes are those of any.csv"
    assert "any.csv: 'void', value 0, is void: it counts nowhere" in notes


def test_a_file_above_is_read_alone(tmp_path, monkeypatch):
    root = tmp_path / "data"
    write(root / "x.md", "")
    line = f"{tmp_path}/labels.csv lists classes: put it into {root} if they are its"
    write(tmp_path / "other/classes.txt", "a\nb\n")
    assert above(root) == ()
    write(tmp_path / "labels.csv", "id,name\n7,road\n8,sky\n")
    assert above(root) == (line,)
    monkeypatch.chdir(tmp_path)
    assert above(Path("data")) == (line.replace(str(root), "data"),)
    write(tmp_path / "labels.csv", "id,name\n7,road\n8,road\n")
    write(tmp_path / "classes.txt", "")
    assert above(root) == ()


def test_faults_of_lists_by_name_and_by_colour(tmp_path):
    """A list of another name may be none of classes, unless it has colours; `classes.txt` and labelmap.txt must be."""
    write(tmp_path / "any.csv", "id,name\n7,road\n7,sky\n")
    assert names_in(tmp_path) is None
    assert like_class_files(tmp_path) == ()
    write(tmp_path / "any.csv", "name,r,g,b\nroad,1,2,3\nsky,1,2,3\n")
    with pytest.raises(UserError, match="line 3: the colour 1,2,3 is already"):
        find_legend(tmp_path)
    write(tmp_path / "any.csv", "a,b\n")
    for name in ("LabelMap.txt", "other.txt"):
        write(tmp_path / name, "a:1,2,3::\na:2,3,4::\n")
        with pytest.raises(UserError, match=rf"{name}: line 2: the name 'a' is already in line 1"):
            find_legend(tmp_path)
        (tmp_path / name).unlink()
    for suffix in ("xlsx", "xls", "ods", "xml", "pbtxt", "html", "pdf", "docx"):
        write(tmp_path / f"Label.{suffix}", "x")
    expected = [f"Label.{suffix} looks like a file of classes, but is not understood: save it as CSV"
                for suffix in ("docx", "html", "ods", "pbtxt", "pdf", "xls", "xlsx", "xml")]  # fmt: skip
    assert list(like_class_files(tmp_path)) == expected
