"""Facts about files, remembered while the files do not change."""

import json
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


@pytest.mark.parametrize(
    "name", ['a": ["b.png', "back\\slash\\.png", "new\nline\u2028.png", "t\tab, “é”.png", b"l\xe9.png"]
)
def test_names_of_all_letters_are_kept(tmp_path, reads, name):
    path = tmp_path / os.fsdecode(name)
    path.write_bytes(b"content")
    known = KnownFiles('the "first"')
    known.find(path, 'a kind", ["', lambda: [{"values": ['", "', "]", "\n"]}, 0.5])
    known.find(tmp_path / "none.png", "size", lambda: 3)
    again = later(known, tmp_path, 'the "first"')
    assert again.find(path, 'a kind", ["', pytest.fail) == [{"values": ['", "', "]", "\n"]}, 0.5]
    assert reads == [path, tmp_path / "none.png"]
    content = json.loads((tmp_path / "files.json").read_text(encoding="utf-8", errors="surrogatepass"))
    assert list(content["files"]) == [str(path)]


def test_what_is_damaged_is_looked_at_again(file, tmp_path):
    known, written = KnownFiles("1"), tmp_path / "files.json"
    for path in (file, shutil.copy(file, tmp_path / "b.png")):
        known.find(path, "size", lambda: [7])
    known.write(written)
    sound = written.read_text()
    broken = [sound[:-20], sound.replace('"size"', '"size'), sound.replace("[7]", "7]"), sound.replace('", "', '" "')]
    broken += [sound.replace("{}", ""), sound[1:], sound.replace("\n", ""), "", "{}", "[]\n" * 3, "\x00"]
    for text in broken:
        written.write_text(text)
        assert KnownFiles.read(written, "1").find(file, "size", lambda: [8]) in ([8], [7])
    written.write_text(broken[2])
    assert KnownFiles.read(written, "1").find(file, "size", lambda: [8]) == [8]
    written.write_bytes(b"\xff" + sound.encode())
    assert KnownFiles.read(written, "1").find(file, "size", lambda: [8]) == [8]


def test_it_is_written_again_only_if_something_is_new(file, tmp_path):
    known, written = KnownFiles("1"), tmp_path / "files.json"
    known.find(file, "size", lambda: 7)
    again = later(known, tmp_path)
    inode = written.stat().st_ino
    again.find(file, "size", pytest.fail)
    again.write(written)
    assert written.stat().st_ino == inode
    again.find(file, "other", lambda: 1)
    again.write(written)
    assert written.stat().st_ino != inode
    third = KnownFiles.read(written, "1")
    assert (third.find(file, "size", pytest.fail), third.find(file, "other", pytest.fail)) == (7, 1)
    written.unlink()
    third.write(written)
    assert KnownFiles.read(written, "1").find(file, "other", pytest.fail) == 1


def test_they_are_known_within_a_block():
    with remembering(KnownFiles()) as known:
        assert known_files() is known
    assert known_files() is not known
