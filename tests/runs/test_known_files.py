"""Facts about files, remembered while the files do not change."""

import os
import shutil

import pytest

from keras_fcn.runs import known_files as module
from keras_fcn.runs.known_files import KnownFiles, known_files, remembering


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(b"content")
    return path


@pytest.fixture
def reads(monkeypatch):
    """The files that are read for their digests."""
    read, original = [], module.content_digest
    monkeypatch.setattr(module, "content_digest", lambda path: read.append(path) or original(path))
    return read


def later(known, folder, version="1"):
    """What another process reads of it."""
    known.write(folder / "files.json")
    return KnownFiles.read(folder / "files.json", version)


def test_an_unchanged_file_is_neither_read_nor_looked_at_again(file, tmp_path, reads):
    known = KnownFiles("1")
    assert known.find(file, "size", lambda: [7, 1]) == known.find(file, "size", pytest.fail) == [7, 1]
    assert reads == [file]
    again = later(known, tmp_path)
    assert again.find(file, "size", pytest.fail) == [7, 1]
    assert again.find(file, "other", lambda: 2) == 2
    assert again.digest(file) == known.digest(file)
    assert reads == [file]


def test_what_moves_or_is_touched_is_known_by_its_content(file, tmp_path, reads):
    known = KnownFiles("1")
    known.find(file, "size", lambda: 7)
    again = later(known, tmp_path)
    os.utime(file, ns=(1, 1))
    copied = shutil.copy(file, tmp_path / "b.png")
    assert again.find(file, "size", pytest.fail) == again.find(copied, "size", pytest.fail) == 7
    assert reads == [file, file, copied]


def test_another_content_of_the_same_size_is_looked_at(file, tmp_path):
    known = KnownFiles("1")
    known.find(file, "size", lambda: 7)
    again, before = later(known, tmp_path), known.digest(file)
    file.write_bytes(b"CONTENT")
    os.utime(file, ns=(1, 1))
    assert again.find(file, "size", lambda: 8) == 8
    assert again.digest(file) == known.digest(file) != before


def test_files_that_change_later_are_found_once(file, tmp_path, reads):
    known, other, gone = KnownFiles(), tmp_path / "touched.png", tmp_path / "gone.png"
    for path in (file, shutil.copy(file, other), shutil.copy(file, gone)):
        known.find(path, "size", lambda: 7)
    assert known.changed() == []
    del reads[:]
    file.write_bytes(b"CONTENT")
    os.utime(other, ns=(1, 1))
    gone.unlink()
    assert known.changed() == [str(file), str(gone)]
    assert reads == [file, other, gone]
    assert known.changed() == []
    assert len(reads) == 3
    file.write_bytes(b"another")
    os.utime(file, ns=(2, 2))
    assert known.changed() == [str(file)]


def test_other_programs_and_what_cannot_be_remembered_look_again(file, tmp_path):
    known = KnownFiles("1")
    known.find(file, "size", lambda: 7)
    assert later(known, tmp_path, version="2").find(file, "size", lambda: 8) == 8
    assert known.find(file, "", lambda: 9) == 9
    with pytest.raises(ZeroDivisionError):
        known.find(file, "error", lambda: 1 // 0)
    assert known.find(file, "error", lambda: 1) == 1
    (tmp_path / "files.json").write_text("{")
    assert KnownFiles.read(tmp_path / "files.json", "1").find(file, "size", lambda: 8) == 8
    assert known.digest(tmp_path / "none.png") == ""


def test_they_are_known_within_a_block():
    with remembering(KnownFiles()) as known:
        assert known_files() is known
    assert known_files() is not known
