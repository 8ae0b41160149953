"""Which version of a folder is served, without TensorFlow: a version is what its file says."""

import logging
import os
import shutil
import weakref
from types import SimpleNamespace

import pytest

from export.server.model.versions import Versions
from keras_fcn.errors import UserError


class Cycle:
    """Stands for TensorFlow's functions."""

    def __init__(self):
        self.itself = self


class Loaded:
    """Stands for a loaded model."""

    def __init__(self, version, folder, file=None):
        self.version, self.content = version, (file or folder / "saved_model.pb").read_text()
        if "bad" in self.content:
            raise UserError(f"{folder}: is bad")
        self.functions = Cycle()


def write(folder, content):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "saved_model.pb").write_text(content)


@pytest.fixture
def folder(tmp_path):
    write(tmp_path / "1", "old")
    return tmp_path


@pytest.fixture
def warnings(caplog):
    caplog.set_level(logging.WARNING)
    return lambda: [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]


def test_another_model_under_the_same_number_is_served(folder):
    versions = Versions(folder, Loaded)
    assert not versions.refresh()
    shutil.rmtree(folder / "1")
    write(folder / "1", "another")
    assert versions.refresh()
    assert (versions.current.version, versions.current.content) == ("1", "another")
    assert not versions.refresh()


def test_a_copy_of_one_size_and_time_of_modification_is_another_model(folder, tmp_path_factory):
    other = tmp_path_factory.mktemp("other") / "1"
    write(other, "new")
    file = folder / "1/saved_model.pb"
    times = file.stat()
    os.utime(other / file.name, ns=(times.st_atime_ns, times.st_mtime_ns))
    versions = Versions(folder, Loaded)
    while file.stat().st_ctime_ns == times.st_ctime_ns:  # the clock of files ticks every few milliseconds
        shutil.copy2(other / file.name, file)
    assert (file.stat().st_size, file.stat().st_mtime_ns) == (times.st_size, times.st_mtime_ns)
    assert versions.refresh()
    assert versions.current.content == "new"


def test_files_that_change_while_they_are_loaded_are_loaded_again(folder):
    contents = iter(["newer", "newest"])

    def load(version, path):
        loaded = Loaded(version, path)
        if content := next(contents, None):
            write(path, content)
        return loaded

    versions = Versions(folder, load)
    assert [versions.refresh() for _ in range(3)] == [True, True, False]
    assert versions.current.content == "newest"


@pytest.mark.parametrize("what", ["1", "."])
def test_a_folder_that_is_gone_is_told_once_and_stays_served(folder, warnings, what):
    versions = Versions(folder, Loaded)
    (folder / what).rename(folder.parent / "elsewhere")
    for _ in range(3):
        assert not versions.refresh()
        assert "what was loaded as version 1 is still served" in versions.warning
    assert len(warnings()) == 1
    (folder.parent / "elsewhere").rename(folder / what)
    versions.refresh()
    assert (versions.warning, versions.current.content) == ("", "old")


def test_a_change_that_cannot_be_loaded_leaves_what_was_loaded(folder, warnings):
    versions = Versions(folder, Loaded)
    write(folder / "1", "bad one")
    for _ in range(3):
        assert not versions.refresh()
        assert versions.warning.startswith(f"{folder}/1: has changed and cannot be loaded; what was loaded")
    assert (versions.failures, len(warnings())) == (1, 2)
    write(folder / "1", "sound again")
    assert versions.refresh()
    assert (versions.warning, versions.current.content) == ("", "sound again")


def test_a_version_whose_disk_failed_is_tried_again_now_and_then(folder, warnings):
    tried, fails = [], True

    def load(version, path):
        tried.append(version)
        if version == "2" and fails:
            raise OSError(5, "Input/output error")
        return Loaded(version, path)

    versions = Versions(folder, load)
    write(folder / "2", "new")
    tried.clear()
    for checks, attempts in ((1, 1), (9, 1), (1, 2), (19, 2), (1, 3)):
        assert not any(versions.refresh() for _ in range(checks))
        assert len(tried) == attempts
    assert (versions.failures, len(warnings())) == (1, 1)
    fails = False
    assert [versions.refresh() for _ in range(40)] == [False] * 39 + [True]
    assert versions.current.content == "new"


def test_a_replaced_model_is_freed_when_no_request_uses_it(folder):
    versions = Versions(folder, Loaded)
    used, old = versions.current, weakref.ref(versions.current.functions)
    write(folder / "2", "new")
    assert versions.refresh()
    versions.refresh()
    assert old() is used.functions
    del used
    versions.refresh()
    assert old() is None


def test_a_version_that_fails_by_a_bug_is_tried_once_and_leaves_nothing_in_memory(folder, monkeypatch):
    left, said = [], []
    # pytest keeps what is logged, and with it the traceback.
    monkeypatch.setattr(logging.getLogger("keras_fcn.server"), "warning", lambda text, *_, **__: said.append(text))

    def load(version, path):
        loaded = Loaded(version, path)
        if version == "2":
            left.append(weakref.ref(loaded.functions))
            raise MemoryError(version)
        return loaded

    versions = Versions(folder, load)
    write(folder / "2", "new")
    for _ in range(3):
        assert not versions.refresh()
    assert (versions.current.version, versions.failures, len(said)) == ("1", 1, 1)
    assert [reference() for reference in left] == [None]


@pytest.mark.parametrize("name", ["model.onnx", "model.xml", "int8/model.tflite"])
def test_a_version_may_be_any_exported_file(tmp_path, name):
    for version in ("2", "10"):
        (tmp_path / version / name).parent.mkdir(parents=True)
        (tmp_path / version / name).write_text("file")
    found = []
    load = lambda *given: found.append(given) or SimpleNamespace(version=given[0])  # noqa: E731
    Versions(tmp_path, load)
    Versions(tmp_path, load, only="2")
    Versions(tmp_path / "2", load)
    Versions(tmp_path / "10" / name, load)
    assert found == [
        ("10", tmp_path / "10"),
        ("2", tmp_path / "2"),
        ("2", tmp_path / "2"),
        ("1", tmp_path / "10" / name),
    ]


def test_a_file_that_is_replaced_is_loaded_anew(tmp_path):
    file = tmp_path / "model.onnx"
    file.write_text("old")
    versions = Versions(file, lambda version, path: Loaded(version, path, path))
    assert not versions.refresh()
    file.write_text("newer")
    assert versions.refresh()
    assert versions.current.content == "newer"


@pytest.mark.parametrize(
    ("files", "only", "line"),
    [
        ({}, None, "holds no version, 1/ or another number with a model in it; export one with python -m export.saved"),
        ({"1/model.onnx": ""}, "7", "holds no version, 7/ with a model in it; export"),
        ({"config.json": ""}, None, "is a run, which is exported first: python -m export.saved_model RUN DIR, or"),
        ({"1/notes.txt": ""}, None, "holds no version"),
    ],
)
def test_a_folder_without_models_is_one_line(tmp_path, files, only, line):
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
    with pytest.raises(UserError, match=line) as caught:
        Versions(tmp_path, Loaded, only)
    assert "\n" not in str(caught.value)


def test_what_cannot_be_loaded_at_the_start_is_said_once(folder, warnings):
    write(folder / "3", "bad, and newer")
    assert Versions(folder, Loaded).current.version == "1"
    assert warnings() == [f"{folder}/3: is bad; it is not served"]
    write(folder / "1", "bad, too")
    with pytest.raises(UserError, match="3: is bad"):
        Versions(folder, Loaded)
    assert len(warnings()) == 1
