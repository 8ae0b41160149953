"""Two processes that write the same folder: one waits, one is refused in a line, or both end with the same files."""

import contextlib
import os
import subprocess
import sys

import numpy as np
import pytest
from conftest import Call
from layouts import digest
from PIL import Image

from export.saved_model import export_saved_model
from keras_fcn.commands import convert
from keras_fcn.datasets import download, toy
from keras_fcn.datasets.layouts.annotations.common.cache import store_mask
from keras_fcn.datasets.toy import draw_scene, draw_toy_dataset
from keras_fcn.errors import UserError
from keras_fcn.images import masks
from keras_fcn.images.classes import ClassTable

SIZES = {"train": 2, "val": 1}


@contextlib.contextmanager
def holding(path, busy):
    """A process that holds a lock until it is killed at the end of the block."""
    program = "import sys; from pathlib import Path; from keras_fcn.runs.lock import locked\n"
    program += "with locked(Path(sys.argv[1]), sys.argv[2]): print('locked', flush=True); sys.stdin.read()"
    words = [sys.executable, "-c", program, str(path), busy]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "locked\n"
        try:
            yield process.pid
        finally:
            process.kill()


def test_one_process_downloads_voc(tmp_path, monkeypatch):
    """The lock of one that was killed is nobody's."""
    root, fetched = tmp_path / "VOCdevkit/VOC2012", []
    monkeypatch.setattr(download, "fetch", lambda *_: fetched.append(1))
    monkeypatch.setattr(download, "extract", lambda tar, folder, inside: folder)
    with holding(root.with_name(".VOC2012.lock"), "") as owner:
        with pytest.raises(UserError) as caught:
            download.download_voc2012(tmp_path)
        start, _, end = str(caught.value).partition(" on ")
        assert start == f"process {owner}"
        assert end.endswith(f", is making {root}; start this again when it has ended")
        assert fetched == []
    assert download.download_voc2012(tmp_path) == root
    assert fetched == [1]
    assert list(root.parent.iterdir()) == []


def test_two_processes_draw_the_toy_side_by_side(tmp_path):
    program = f"import sys; from keras_fcn.datasets.toy import draw_toy_dataset; draw_toy_dataset(sys.argv[1], {SIZES})"
    words = [sys.executable, "-c", program, str(tmp_path / "data/toy")]
    both = [subprocess.Popen(words, stderr=subprocess.PIPE) for _ in range(2)]
    assert [(process.communicate()[1], process.returncode) for process in both] == [(b"", 0)] * 2
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["toy"]
    assert digest(tmp_path / "data/toy") == digest(draw_toy_dataset(tmp_path / "alone", SIZES))


def test_the_toy_of_the_first_that_ends_is_kept(tmp_path, monkeypatch):
    root, inode = tmp_path / "data/toy", []

    def draw(*arguments):
        if not inode:
            monkeypatch.setattr(toy, "draw_scene", draw_scene)
            inode.append(draw_toy_dataset(root, SIZES).stat().st_ino)
        return draw_scene(*arguments)

    monkeypatch.setattr(toy, "draw_scene", draw)
    assert draw_toy_dataset(root, SIZES).stat().st_ino == inode[0]
    assert [path.name for path in root.parent.iterdir()] == ["toy"]


def test_a_folder_that_another_conversion_has_written_is_left_alone(tmp_path, monkeypatch):
    data, out, write = draw_toy_dataset(tmp_path / "data", SIZES), tmp_path / "out", convert._write_voc

    def write_both(*arguments):
        (out / "theirs").mkdir(parents=True)
        write(*arguments)

    monkeypatch.setattr(convert, "_write_voc", write_both)
    call = Call("keras_fcn/convert.py", data, out)
    assert (call.status, call.err.count("\n")) == (2, 1)
    assert call.err.startswith(f"error: {out}: cannot be written (Directory not empty)")
    assert [path.name for path in out.iterdir()] == ["theirs"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "out"]


def test_one_process_exports_to_a_folder(tmp_path):
    with holding(tmp_path / "models/.lock", "") as owner, pytest.raises(UserError) as caught:
        export_saved_model(None, tmp_path / "models")
    assert str(caught.value).startswith(f"process {owner} on ")
    assert str(caught.value).endswith(f", is exporting to {tmp_path}/models; start this again when it has ended")


def test_two_processes_keep_the_same_mask(tmp_path, monkeypatch):
    """While one writes a mask into the cache, the other does so from begin to end."""
    path, ids, pids = tmp_path / "cache/ab/mask.png", np.arange(12, dtype=np.uint8).reshape(3, 4), [1, 2]
    original = masks._palette_image

    def interrupted(*arguments):
        if len(pids) == 1:
            monkeypatch.setattr(os, "getpid", pids.pop)
            store_mask(path, ids, ClassTable.voc())
        return original(*arguments)

    monkeypatch.setattr(masks, "_palette_image", interrupted)
    monkeypatch.setattr(os, "getpid", pids.pop)
    store_mask(path, ids, ClassTable.voc())
    assert [path.name for path in path.parent.iterdir()] == ["mask.png"]
    np.testing.assert_array_equal(np.asarray(Image.open(path)), ids)
