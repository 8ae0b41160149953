import errno
import io
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from conftest import ROOT

from keras_fcn.datasets.download.extraction import extract
from keras_fcn.errors import UserError


def member(name, contents=b"", **attributes):
    info = tarfile.TarInfo(name)
    info.size = len(contents)
    for key, value in attributes.items():
        setattr(info, key, value)
    return info, io.BytesIO(contents)


def write_tar(path: Path, *members) -> Path:
    with tarfile.open(path, "w") as archive:
        archive.addfile(*member("set/inner/first.txt", b"first"))
        for info, contents in members:
            archive.addfile(info, contents)
        archive.addfile(*member("set/inner/last.txt", b"last" * 500))
    return path


def names_below(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_a_tar_becomes_a_folder(tmp_path):
    tar = write_tar(tmp_path / "a.tar", member("set/inner/deep/more.txt", b"more"))
    assert extract(tar, tmp_path / "out/set", "set/inner") == tmp_path / "out/set"
    assert names_below(tmp_path / "out") == ["set", "set/deep", "set/deep/more.txt", "set/first.txt", "set/last.txt"]
    assert (tmp_path / "out/set/deep/more.txt").read_text() == "more"
    assert (tmp_path / "out/set").stat().st_mode & 0o700 == 0o700


@pytest.mark.parametrize(
    ("hostile", "message"),
    [
        (member("../x", b"x"), r"'\.\./x', which leads out of its folder"),
        (member("set/../../x", b"x"), "which leads out of its folder"),
        (member("..\\x", b"x"), "which leads out of its folder"),
        (member("/tmp/x", b"x"), "'/tmp/x', which leads out of its folder"),
        (member("set/x", type=tarfile.SYMTYPE, linkname="/etc/passwd"), "'set/x', which is a link"),
        (member("set/x", type=tarfile.SYMTYPE, linkname="inner/first.txt"), "'set/x', which is a link"),
        (member("set/x", type=tarfile.LNKTYPE, linkname="set/inner/first.txt"), "'set/x', which is a link"),
        (member("set/x", type=tarfile.CHRTYPE), "'set/x', which is a device"),
        (member("set/x", type=tarfile.FIFOTYPE), "'set/x', which is a device"),
    ],
    ids=lambda value: value[0].name if isinstance(value, tuple) else "",
)
def test_a_hostile_tar_is_not_extracted(tmp_path, hostile, message):
    tar = write_tar(tmp_path / "a.tar", hostile)
    with pytest.raises(UserError, match=rf"a.tar: holds .*{message}"):
        extract(tar, tmp_path / "deep/out/set", "set/inner")
    assert names_below(tmp_path) == ["a.tar", "deep", "deep/out"]


# The first file takes 1024 bytes, header included; 512 + 2048 of the last; then zeros.
@pytest.mark.parametrize("length", [0, 100, 700, 1024, 1300, 1536, 2000, 3584])
def test_a_truncated_tar_leaves_nothing(tmp_path, length):
    tar = write_tar(tmp_path / "a.tar")
    tar.write_bytes(tar.read_bytes()[:length])
    with pytest.raises(UserError, match=r"a.tar: is a damaged tar or none \(.*\); download it again"):
        extract(tar, tmp_path / "out/set", "set/inner")
    assert names_below(tmp_path) == ["a.tar", "out"]


def test_a_tar_of_something_else_leaves_nothing(tmp_path):
    with pytest.raises(UserError, match=r"a.tar: holds no folder VOCdevkit/VOC2012"):
        extract(write_tar(tmp_path / "a.tar"), tmp_path / "out/set", "VOCdevkit/VOC2012")
    assert names_below(tmp_path / "out") == []


@pytest.mark.parametrize(
    ("stop", "raised"), [(KeyboardInterrupt(), KeyboardInterrupt), (OSError(28, "No space left on device"), UserError)]
)
def test_a_stopped_extraction_leaves_nothing(tmp_path, monkeypatch, stop, raised):
    tar = write_tar(tmp_path / "a.tar")
    real = tarfile.TarFile.extract

    def extract_one(self, info, path):
        real(self, info, path)
        raise stop

    monkeypatch.setattr(tarfile.TarFile, "extract", extract_one)
    with pytest.raises(raised, match=None if raised is KeyboardInterrupt else r"No space left on device.* 0.0 GB free"):
        extract(tar, tmp_path / "out/set", "set/inner")
    assert names_below(tmp_path / "out") == []


def test_a_killed_extraction_is_not_taken_for_complete(tmp_path):
    tar = write_tar(tmp_path / "a.tar")
    program = (
        "import os, sys, tarfile; from pathlib import Path\n"
        "from keras_fcn.datasets.download.extraction import extract\n"
        "tarfile.TarFile.extract = lambda self, info, path: (Path(path, 'half').touch(), os.kill(os.getpid(), 9))\n"
        "extract(Path(sys.argv[1]), Path(sys.argv[2]), 'set/inner')"
    )
    done = subprocess.run([sys.executable, "-c", program, tar, tmp_path / "out/set"], cwd=ROOT, check=False)
    assert done.returncode == -9
    assert any(name.endswith("half") for name in names_below(tmp_path / "out"))
    assert not (tmp_path / "out/set").exists()
    assert names_below(extract(tar, tmp_path / "out/set", "set/inner")) == ["first.txt", "last.txt"]
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["set"]


def test_a_folder_that_is_complete_is_one_though_the_temporary_one_stays(tmp_path, monkeypatch):
    def failing_rmtree(path, ignore_errors=False):
        if not ignore_errors:
            raise OSError(errno.EIO, "Input/output error", path)

    monkeypatch.setattr(shutil, "rmtree", failing_rmtree)
    assert extract(write_tar(tmp_path / "a.tar"), tmp_path / "out/set", "set/inner") == tmp_path / "out/set"
    assert (tmp_path / "out/set/first.txt").read_text() == "first"
