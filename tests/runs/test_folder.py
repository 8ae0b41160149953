"""A run's folder whose files are damaged, and the folder of caches, without TensorFlow."""

import sys
from pathlib import Path

import pytest

from keras_fcn.datasets.layouts.annotations.common.cache import VARIABLE, cache_folder
from keras_fcn.errors import UserError
from keras_fcn.runs.folder import RunFolder


@pytest.mark.parametrize("text", ["epoch,step\n1,3\n", "\0", "epoch,step,val_mean_iou\n1,three,0.5\n"])
def test_a_damaged_history_is_named(tmp_path, text):
    run = RunFolder(tmp_path)
    assert run.read_history() == []
    run.history.write_text(text)
    with pytest.raises(UserError, match=r"history.csv: is damaged; put it back, or start a new run from its weights"):
        run.read_history()


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"reading": 5}', '{"reading": "ids"'])
def test_a_damaged_reading_of_masks_is_named(tmp_path, text):
    run = RunFolder(tmp_path)
    assert run.reading == ""
    (tmp_path / "masks.json").write_text(text)
    with pytest.raises(UserError, match=r"masks.json: is damaged; put it back, or remove it"):
        run.reading  # noqa: B018
    (tmp_path / "masks.json").write_text('{"reading": "ids", "notes": []}')
    assert run.reading == "ids"


@pytest.mark.parametrize(
    ("platform", "variables", "expected"),
    [
        ("linux", {}, "/home/me/.cache/keras_fcn"),
        ("linux", {"XDG_CACHE_HOME": "/fast"}, "/fast/keras_fcn"),
        ("linux", {"XDG_CACHE_HOME": "/fast", VARIABLE: "/mine"}, "/mine"),
        ("darwin", {}, "/home/me/Library/Caches/keras_fcn"),
        ("win32", {"LOCALAPPDATA": "/local", "XDG_CACHE_HOME": "/fast"}, "/local/keras_fcn"),
    ],
)
def test_the_folder_of_caches_is_the_system_s(monkeypatch, platform, variables, expected):
    for name in ("XDG_CACHE_HOME", "LOCALAPPDATA", VARIABLE):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"HOME": "/home/me", **variables}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "platform", platform)
    assert cache_folder() == Path(expected)


def test_a_user_without_a_home_has_caches_among_temporary_files(monkeypatch, tmp_path):
    def homeless():
        raise RuntimeError("Could not determine home directory.")

    for name in ("XDG_CACHE_HOME", VARIABLE):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", homeless)
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    assert cache_folder() == tmp_path / "keras_fcn"
