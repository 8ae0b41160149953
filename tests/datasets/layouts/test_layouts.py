"""Every layout, written as its tool writes it, is recognized and read to exactly the ids that were written."""

import annotated
import layouts
import pytest
from conftest import Call
from layouts import (
    digest,
    require_truth,
    write_cvat,
    write_folders,
    write_voc,
)

from keras_fcn.datasets import LAYOUTS, Layout, find_layout, open_pairs
from keras_fcn.datasets.layouts.folders import read_folders
from keras_fcn.errors import UserError

WRITERS = layouts.WRITERS | annotated.WRITERS


@pytest.mark.parametrize("layout", list(WRITERS))
def test_each_layout_is_recognized_and_read_and_left_as_it_was(tmp_path, layout):
    truth = WRITERS[layout](tmp_path)
    before = digest(tmp_path)
    assert find_layout(tmp_path) == layout
    pairs = [open_pairs(tmp_path, split) for split in ("train", "val")]
    for each in pairs:
        assert len(each) > 0
        require_truth(each, truth)
        assert each.findings == ()
    assert pairs[0].classes == pairs[1].classes
    assert not set(pairs[0].names) & set(pairs[1].names)
    assert digest(tmp_path) == before


def test_every_writer_stands_for_a_layout():
    of_their_own = {"voc_aug", "cityscapes_all", "datumaro"}  # these have tests of their own
    assert sorted(WRITERS) == sorted(LAYOUTS.keys() - of_their_own)


def test_a_layout_can_be_forced(tmp_path):
    write_voc(tmp_path)
    write_folders(tmp_path)
    assert find_layout(tmp_path) == "voc"
    assert open_pairs(tmp_path, "train").classes.num_classes == 21
    assert open_pairs(tmp_path, "train", "folders").classes.names == ("background", "class1", "class2")


@pytest.mark.parametrize("layout", list(LAYOUTS))
def test_a_forced_layout_that_is_none_is_one_line(tmp_path, layout):
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="empty") as caught:
        open_pairs(tmp_path / "empty", "train", layout)
    assert "\n" not in str(caught.value)


def test_a_layout_is_added_by_an_entry(tmp_path, monkeypatch):
    write_folders(tmp_path)
    entry = Layout(lambda root: True, lambda root, split: read_folders(root, split), "anything")
    monkeypatch.setitem(LAYOUTS, "mine", entry)
    with pytest.raises(UserError, match=r"layout='yours': no such layout; there are auto, .*, folders, mine$"):
        open_pairs(tmp_path, "train", "yours")
    call = Call("keras_fcn/check.py", tmp_path, "--layout", "mine", "--picture", tmp_path / "check.png")
    assert (call.status, call.err) == (0, "")


@pytest.mark.parametrize("layout", list(WRITERS))
def test_hidden_files_and_suffixes_in_upper_case(tmp_path, layout):
    truth = WRITERS[layout](tmp_path)
    for path in sorted(tmp_path.rglob("*")):
        if path.suffix in (".jpg", ".png"):
            path.rename(path.with_suffix(path.suffix.upper()))
    for folder in [path for path in tmp_path.rglob("*") if path.is_dir()]:
        for name in (".DS_Store", "._a.png", "._kitchen.jpg", "._kitchen_mask.png"):
            (folder / name).write_bytes(b"not an image")
    pairs = open_pairs(tmp_path, "train")
    require_truth(pairs, truth)
    assert pairs.findings == ()


@pytest.mark.parametrize("writer", [write_cvat, write_folders])
def test_an_outer_folder_names_the_inner_one(tmp_path, writer):
    writer(tmp_path / "export")
    with pytest.raises(UserError, match=rf"no known layout, but the folder in it is; give {tmp_path}/export$"):
        open_pairs(tmp_path, "train")
