import contextlib
import dataclasses
import datetime
import errno
import json
import math
import os
import shutil
import types
from pathlib import Path

import numpy as np
import pytest

from export.formats.conversion import replace_together
from keras_fcn.datasets import open_pairs
from keras_fcn.errors import UserError
from keras_fcn.evaluation.results import Evaluation
from keras_fcn.evaluation.watch import Watch
from keras_fcn.runs import folder
from keras_fcn.runs.folder import RunFolder
from keras_fcn.runs.history import EpochRow
from keras_fcn.runs.lock import locked
from keras_fcn.system.files import (
    content_digest,
    new_folder,
    replaced_file,
    replaced_folder,
    temporary_folder,
    write_json,
)
from keras_fcn.training.records.writer import RunWriter


class HalfwayError(Exception):
    pass


def test_a_file_is_replaced_only_when_the_new_one_is_complete(tmp_path):
    path = tmp_path / "deep" / "table.csv"
    with replaced_file(path) as temporary:
        temporary.write_text("old")
    with pytest.raises(HalfwayError), replaced_file(path) as temporary:  # noqa: PT012
        assert temporary.suffix == ".csv"
        temporary.write_text("half of the n")
        raise HalfwayError
    assert path.read_text() == "old"
    assert list(path.parent.iterdir()) == [path]


def test_the_disk_has_what_must_last_before_it_takes_a_place_and_afterwards(tmp_path, monkeypatch):
    events, replace = [], Path.replace
    monkeypatch.setattr(os, "fsync", lambda descriptor: events.append(os.fstat(descriptor).st_ino))
    monkeypatch.setattr(Path, "replace", lambda *paths: events.append("replaced") or replace(*paths))
    with replaced_file(tmp_path / "picture.png") as temporary:
        temporary.write_text("new")
    with replaced_file(tmp_path / "best.keras", lasting=True) as temporary:
        temporary.write_text("new")
        new = [temporary.stat().st_ino, tmp_path.stat().st_ino]
    assert events == ["replaced", *new, "replaced", *new]


@pytest.mark.parametrize(("refused", "is_fault"), [(errno.EINVAL, False), (errno.EIO, True)])
def test_a_disk_that_fails_keeps_the_old_and_a_file_system_that_cannot_tell_is_believed(
    tmp_path, monkeypatch, refused, is_fault
):
    path = tmp_path / "best.keras"
    path.write_text("old")

    def fsync(_descriptor):
        raise OSError(refused, os.strerror(refused))

    monkeypatch.setattr(os, "fsync", fsync)
    line = r"best\.keras: cannot be written \(Input/output error\)"
    expected = pytest.raises(UserError, match=line) if is_fault else contextlib.nullcontext()
    with expected, replaced_file(path, lasting=True) as temporary:
        temporary.write_text("new")
    assert path.read_text() == ("old" if is_fault else "new")


def test_a_path_that_cannot_be_written_is_the_users_to_fix(tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    for path, reason in (("file/table.csv", "File exists"), ("folder", "Is a directory"), ("x" * 256, "name too long")):
        with pytest.raises(UserError, match=rf"{path}: cannot be written \(.*{reason}\)"):
            write_json(tmp_path / path, {})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]


def test_json_has_a_row_of_numbers_a_line_and_comes_back(tmp_path):
    value = {
        "matrix": [[1, 2], [3, 4]], "none": [], "mixed": [1.5, None, -2e-7, True], "names": ["[\n1,\n2\n]", "é"],
        "rows": [{"at": [0, 1]}], "name[": 3,
    }  # fmt: skip
    write_json(tmp_path / "value.json", value)
    text = (tmp_path / "value.json").read_text(encoding="utf-8")
    assert json.loads(text) == value
    assert '  "matrix": [\n    [1, 2],\n    [3, 4]\n  ],\n' in text
    assert '"at": [0, 1]\n' in text


def test_a_folder_appears_only_when_it_is_complete(tmp_path):
    with pytest.raises(HalfwayError), new_folder(tmp_path / "set") as temporary:  # noqa: PT012
        (temporary / "half").write_text("")
        raise HalfwayError
    assert list(tmp_path.iterdir()) == []
    with new_folder(tmp_path / "set") as temporary:
        (temporary / "whole").write_text("")
        assert not (tmp_path / "set").exists()
    assert [path.name for path in (tmp_path / "set").iterdir()] == ["whole"]


def test_a_folder_that_is_not_empty_is_never_replaced(tmp_path):
    (tmp_path / "set").mkdir()
    (tmp_path / "set/mine").write_text("mine")
    with pytest.raises(OSError, match="set"), new_folder(tmp_path / "set"):
        pass
    assert (tmp_path / "set/mine").read_text() == "mine"


@pytest.mark.parametrize("write", [new_folder, replaced_folder, temporary_folder])
def test_what_killed_processes_left_goes_when_the_next_one_writes(tmp_path, write):
    """None has the number 2 ** 31."""
    alive = f".{os.getppid()}.set"
    for name in (f".{1 << 31}.set", alive, f".{1 << 31}.other", ".mine"):
        (tmp_path / name / "half").mkdir(parents=True)
    with write(tmp_path / "set"):
        pass
    (tmp_path / "set").mkdir(exist_ok=True)
    assert {path.name for path in tmp_path.iterdir()} == {f".{1 << 31}.other", alive, ".mine", "set"}
    (tmp_path / f".{1 << 31}.history.csv").write_text("half")
    with RunFolder(tmp_path).locked():
        assert {path.name for path in tmp_path.iterdir()} == {alive, ".mine", "lock", "set"}


def test_the_lists_of_images_are_all_there_whenever_a_run_was_stopped(tmp_path, monkeypatch):
    run, replace, left = RunFolder(tmp_path), Path.replace, []

    def stop(path, target):
        if not left:
            raise KeyboardInterrupt
        return replace(path, left.pop() and target)

    monkeypatch.setattr(Path, "replace", stop)
    for written in range(4):
        left[:] = [True] * written
        with contextlib.suppress(KeyboardInterrupt):
            run.write_images([Path("a/b.jpg")], [Path("a/c.jpg")], ["12"])
    names = ("held_out_images.txt", "training_contents.txt", "training_images.txt")
    assert [(tmp_path / name).read_text() for name in names] == ["a/c.jpg\n", "12\n", "a/b.jpg\n"]


@pytest.fixture
def refused(monkeypatch):
    """Paths that no other file or folder can be renamed to."""
    paths, replace = [], Path.replace

    def refuse(path, target):
        if target in paths:
            paths.remove(target)
            raise OSError(errno.EIO, os.strerror(errno.EIO), str(target))
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", refuse)
    return paths


def test_a_folder_is_there_when_its_replacement_cannot_be_renamed(tmp_path, refused):
    path = tmp_path / "frames"
    path.mkdir()
    (path / "1.png").write_text("old")
    refused.append(path)
    with pytest.raises(UserError, match="Input/output error"), replaced_folder(path) as temporary:
        (temporary / "1.png").write_text("new")
    assert [(file, file.read_text()) for file in tmp_path.rglob("*.*")] == [(path / "1.png", "old")]
    with replaced_folder(path) as temporary:
        (temporary / "2.png").write_text("new")
    assert [*tmp_path.iterdir(), *path.iterdir()] == [path, path / "2.png"]


@pytest.mark.parametrize("failing", ["labels.json", "model.bin", "model.xml"])
@pytest.mark.parametrize("older", [(), ("labels.json",), ("labels.json", "model.bin", "model.xml")])
def test_files_of_an_export_are_replaced_together_or_not_at_all(tmp_path, refused, failing, older):
    names = ("labels.json", "model.bin", "model.xml")
    folder, directory = tmp_path / "folder", tmp_path / "directory"
    folder.mkdir(), directory.mkdir()
    for name in names:
        (folder / name).write_text("new")
    for name in older:
        (directory / name).write_text("old")
    refused.append(directory / failing)
    with pytest.raises(OSError, match=failing):
        replace_together(names, folder, directory)
    assert {path.name: path.read_text() for path in directory.iterdir()} == dict.fromkeys(older, "old")


def test_a_lock_whose_file_cannot_be_removed_is_free_afterwards(tmp_path, monkeypatch):
    def unlink(path, missing_ok=False):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "unlink", unlink)
    for _ in range(2):
        with locked(tmp_path / "lock", "is held"):
            assert (tmp_path / "lock").is_file()
    assert (tmp_path / "lock").is_file()  # it stayed, and kept nobody out


def test_json_that_cannot_be_written_leaves_the_old(tmp_path):
    write_json(tmp_path / "metrics.json", {"iou": 0.5, "name": "Zürich"})
    before = (tmp_path / "metrics.json").read_text()
    assert "Zürich" in before
    with pytest.raises(TypeError):
        write_json(tmp_path / "metrics.json", {"iou": object()})
    assert (tmp_path / "metrics.json").read_text() == before


def test_runs_get_a_folder_named_after_time_and_network(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    class Clock(datetime.datetime):
        @classmethod
        def now(cls, tz=None):
            return cls(2026, 11, 30, 7, 5, 9)

    monkeypatch.setattr(folder, "datetime", types.SimpleNamespace(datetime=Clock))
    name = "runs/20261130-070509-fcn32s-resnet18_v2"
    made = [RunFolder.make_default("fcn32s", "resnet18_v2") for _ in range(3)]
    assert [str(path) for path in made] == [name, f"{name}-2", f"{name}-3"]
    assert all(path.is_dir() for path in made)


def test_a_run_never_writes_over_another(tmp_path):
    run = RunFolder.create(tmp_path / "run", {"seed": 1})
    before = run.config.read_text()
    with pytest.raises(UserError, match=r"run: already exists; choose another run_dir, or resume it with resume="):
        RunFolder.create(tmp_path / "run", {"seed": 2})
    assert run.config.read_text() == before


def epoch(number, loss, **val_iou):
    return EpochRow(number, 3 * number, loss, 0.05, 7.5, 16.0, 0.125, 0.5, 0.25, 0.125, 0.375, val_iou)


def test_history_is_read_back(tmp_path):
    run = RunFolder.create(tmp_path / "run", {})
    assert run.read_history() == []
    rows = [epoch(1, 0.123456789, sky=0.25), epoch(2, 1e-7, sky=0.0)]
    run.write_history(rows)
    assert run.read_history() == rows
    columns = run.history.read_text().splitlines()[0].split(",")
    assert columns[:3] + columns[-4:] == [
        "epoch",
        "step",
        "loss",
        "val_frequency_weighted_iou",
        "val_watched",
        "val_tile",
        "val_iou/sky",
    ]


def test_the_history_of_an_early_run_has_fewer_columns(tmp_path):
    """It gets the others, without values, when the run is resumed."""
    run = RunFolder.create(tmp_path / "run", {})
    later = epoch(2, 0.25, sky=0.75)
    early = {
        name: value
        for name, value in later.to_json().items()
        if name not in ("waiting_share", "val_tile", "val_iou/sky")
    }
    run.history.write_text(f"{','.join(early)}\n{','.join(map(str, early.values()))}\n")
    run.write_history([*run.read_history(), later])
    first, second = run.read_history()
    assert math.isnan(first.waiting_share)
    assert math.isnan(first.val_iou["sky"])
    assert second == later == dataclasses.replace(first, waiting_share=0.125, val_iou={"sky": 0.75})


def test_a_run_is_resumed_with_the_images_it_began_with_only(tmp_path):
    run = RunFolder.create(tmp_path / "run", {})
    began = [Path(f"data/JPEGImages/{name}.jpg") for name in ("a", "b", "été 🐈")]
    run.write_images(began, [Path("data/JPEGImages/c.jpg")])
    moved = [Path("/elsewhere") / path for path in began]
    run.write_images(moved, [])
    with pytest.raises(UserError, match=r"training_images.txt: .* 1 are new, 2 are missing; put the data back"):
        run.write_images([moved[0], Path("data/JPEGImages/c.jpg")], [])
    with pytest.raises(UserError, match="another order of them: 0 are new, 0 are missing"):
        run.write_images(moved[::-1], [])


@pytest.mark.parametrize("are_kept", [True, False], ids=["contents kept", "a run of an early version"])
def test_images_that_were_trained_on_are_known_by_their_contents(tmp_path, are_kept):
    run = RunFolder.create(tmp_path / "run", {})
    names = ("train/0.jpg", "train/1.jpg", "val/0.jpg", "val/copy.jpg", "val/other.jpg")
    paths = [tmp_path / name for name in names]
    for path, content in zip(paths, ("a", "b", "c", "a", "d")):
        path.parent.mkdir(exist_ok=True)
        path.write_text(content)
    run.write_images(paths[:2], paths[2:], [content_digest(path) for path in paths[:2]] if are_kept else [])
    assert [run.trained_on(some) for some in (paths[:2], paths[2:], paths[2:3], [tmp_path / "gone.jpg"])] == [
        2,
        1,
        0,
        0,
    ]
    shutil.move(tmp_path / "train", tmp_path / "moved")
    assert run.trained_on([tmp_path / "moved/1.jpg"]) == int(are_kept)


def test_a_folder_that_is_not_a_run_was_trained_on_nothing(tmp_path):
    assert RunFolder(tmp_path / "model.keras").trained_on([Path("a/b.jpg")]) == 0


def test_an_epoch_that_cannot_be_written_says_how_to_resume(tmp_path, toy):
    run = RunFolder.create(tmp_path / "run", {})
    writer = RunWriter(run, open_pairs(toy, "val"), Watch(), finished_epochs=0, step=0)
    run.history.mkdir()
    evaluation = Evaluation(("cat",), 1, np.array([[1]]), {"a": 1.0})
    with pytest.raises(UserError, match=r"epoch 1 cannot be written \(.*\); make .* and resume with resume="):
        writer.add_epoch(epoch(1, 0.5), evaluation, segment=None, best=None)
    shutil.rmtree(run.root)
    with pytest.raises(UserError, match=f"^{run.root}: was removed or renamed while its training ran"):
        writer.add_epoch(epoch(1, 0.5), evaluation, segment=None, best=None)
    writer.draw_curves()
    assert not run.root.exists()
