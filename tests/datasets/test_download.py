import subprocess
import sys
import tarfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT
from download_server import Server

from keras_fcn.datasets import download, open_pairs
from keras_fcn.datasets.download import VOC2012, Archive, download_voc2012, fetch
from keras_fcn.datasets.toy import draw_toy_dataset
from keras_fcn.errors import UserError

CONTENTS = np.random.default_rng(0).bytes(1_000_003)


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    server = Server(CONTENTS)
    yield server
    server.close()


def part_of(folder: Path, contents: bytes) -> Path:
    path = folder / "a.tar.part"
    path.write_bytes(contents)
    return path


def only_file(folder: Path) -> bytes:
    (path,) = folder.iterdir()
    assert path.name == "a.tar"
    return path.read_bytes()


def test_the_published_archive():
    assert (VOC2012.size, len(VOC2012.sha1), len(VOC2012.urls)) == (1_999_639_040, 40, 3)
    assert all(url.endswith(f"/{VOC2012.name}") for url in VOC2012.urls)


def test_mirrors_are_tried_in_order_until_one_has_it(server, tmp_path):
    archive = server.archive("503", "404", "page", "shorter", "longer", "wrong", "good", "never-asked")
    assert fetch(archive, tmp_path / "data") == tmp_path / "data/a.tar"
    assert only_file(tmp_path / "data") == CONTENTS
    asked = [path.split("/")[1] for path, _, _ in server.requests]
    assert list(dict.fromkeys(asked)) == ["503", "404", "page", "shorter", "longer", "wrong", "good"]


def test_when_all_mirrors_fail_each_is_named_with_its_reason(server, tmp_path):
    archive = server.archive("503", "404", "page", "shorter", "wrong")
    with pytest.raises(UserError) as caught:
        fetch(archive, tmp_path)
    line, host, size = str(caught.value), server.host, len(CONTENTS)
    reasons = [
        "HTTP 503",
        "HTTP 404",
        "a web page instead of the file",
        f"a file of {size - 1} bytes instead of {size}",
    ]
    for reason in [*reasons, "another file of the same length: its SHA-1 is wrong"]:
        assert f"{host} ({reason})" in line
    assert f"download it by hand and put it at {tmp_path / 'a.tar'}" in line
    assert "\n" not in line
    assert list(tmp_path.iterdir()) == []


def test_a_mirror_that_is_not_there(tmp_path, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as closed:
        port = closed.server_port
    with pytest.raises(UserError, match=rf"127.0.0.1:{port} \(cannot be reached\)"):
        fetch(Archive("a.tar", 3, "", (f"http://127.0.0.1:{port}/a.tar",)), tmp_path)


def test_a_mirror_that_never_answers(tmp_path, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(download, "_TIMEOUT", (5, 0.05))
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as silent:  # listens, but nobody serves
        url = f"http://127.0.0.1:{silent.server_port}/a.tar"
        with pytest.raises(UserError, match=r"\(timeout\)"):
            fetch(Archive("a.tar", 3, "", (url,)), tmp_path)


def test_a_partial_download_is_resumed(server, tmp_path):
    part_of(tmp_path, CONTENTS[:700_000])
    fetch(server.archive("good"), tmp_path)
    assert server.requests == [("/good/a.tar", "bytes=700000-", len(CONTENTS) - 700_000)]
    assert only_file(tmp_path) == CONTENTS


def test_a_connection_that_breaks_in_the_middle_is_resumed(server, tmp_path):
    server.breaks_after = [300_000, 400_000]
    fetch(server.archive("breaks"), tmp_path)
    ranges = [asked for _, asked, _ in server.requests]
    starts = [int(asked.removeprefix("bytes=").removesuffix("-")) for asked in ranges[1:]]
    assert ranges[0] is None
    assert 200_000 < starts[0] <= 300_000 < 600_000 < starts[1] <= 700_000  # whole chunks are kept
    assert server.requests[2][2] == len(CONTENTS) - starts[1]
    assert only_file(tmp_path) == CONTENTS


def test_what_came_before_a_failure_is_kept_for_the_next_call(server, tmp_path):
    server.breaks_after = [500_000, 0]
    with pytest.raises(UserError, match=r"\(connection lost\)"):
        fetch(server.archive("breaks"), tmp_path)
    kept = (tmp_path / "a.tar.part").read_bytes()
    assert kept == CONTENTS[: len(kept)]
    assert not (tmp_path / "a.tar").exists()
    fetch(server.archive("breaks"), tmp_path)
    assert server.requests[-1] == ("/breaks/a.tar", f"bytes={len(kept)}-", len(CONTENTS) - len(kept))
    assert only_file(tmp_path) == CONTENTS


def test_the_next_mirror_resumes_the_download_of_the_first(server, tmp_path):
    server.breaks_after = [500_000, 0]
    fetch(server.archive("breaks", "good"), tmp_path)
    path, asked, sent = server.requests[-1]
    assert (path, int(asked[6:-1]) + sent) == ("/good/a.tar", len(CONTENTS))
    assert 0 < sent < 600_000
    assert only_file(tmp_path) == CONTENTS


@pytest.mark.parametrize("folder", ["ignores", "416"])
def test_a_server_that_cannot_resume_sends_everything_again(server, tmp_path, folder):
    part_of(tmp_path, CONTENTS[:700_000])
    fetch(server.archive(folder), tmp_path)
    assert server.requests[0][1] == "bytes=700000-"
    assert server.requests[-1][2] == len(CONTENTS)
    assert only_file(tmp_path) == CONTENTS


def test_an_answer_with_another_part_is_refused_and_the_part_kept(server, tmp_path):
    part = part_of(tmp_path, CONTENTS[:700_000])
    with pytest.raises(UserError, match="another part of the file than requested"):
        fetch(server.archive("other-part"), tmp_path)
    assert part.read_bytes() == CONTENTS[:700_000]


@pytest.mark.parametrize("length", [700_000, len(CONTENTS), len(CONTENTS) + 9])
def test_a_part_of_another_file_is_downloaded_again(server, tmp_path, length):
    part_of(tmp_path, bytes(length))
    fetch(server.archive("good"), tmp_path)
    assert server.requests[-1] == ("/good/a.tar", None, len(CONTENTS))
    assert only_file(tmp_path) == CONTENTS


def test_a_complete_part_is_not_downloaded_again(server, tmp_path):
    part_of(tmp_path, CONTENTS)
    fetch(server.archive("good"), tmp_path)
    assert server.requests == []
    assert only_file(tmp_path) == CONTENTS


def test_an_existing_archive_is_not_downloaded_again(server, tmp_path):
    (tmp_path / "a.tar").write_bytes(CONTENTS)
    assert fetch(server.archive("good"), tmp_path) == tmp_path / "a.tar"
    assert server.requests == []


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        (CONTENTS[:-5], r"a.tar: is 999998 bytes, but a.tar has 1000003; remove it .* or rename it to a.tar.part"),
        (bytes(len(CONTENTS)), r"a.tar: is damaged: its SHA-1 is [0-9a-f]{40}, not [0-9a-f]{40}; download it again"),
    ],
)
def test_a_damaged_archive_is_named_and_left_alone(server, tmp_path, contents, message):
    (tmp_path / "a.tar").write_bytes(contents)
    with pytest.raises(UserError, match=message):
        fetch(server.archive("good"), tmp_path)
    assert (tmp_path / "a.tar").read_bytes() == contents


def test_ctrl_c_says_how_to_resume(server, tmp_path, monkeypatch):
    monkeypatch.setattr("requests.models.Response.iter_content", interrupted_after(CONTENTS[:1000]))
    with pytest.raises(KeyboardInterrupt, match=r"a.tar.part keeps the partial download; the same command resumes it"):
        fetch(server.archive("good"), tmp_path)
    assert (tmp_path / "a.tar.part").read_bytes() == CONTENTS[:1000]


def interrupted_after(contents):
    def iter_content(self, size):
        yield contents
        raise KeyboardInterrupt

    return iter_content


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_disk_is_one_line(server, tmp_path):
    (tmp_path / "a.tar.part").symlink_to("/dev/full")
    with pytest.raises(
        UserError, match=r"a.tar.part: cannot be written \(No space left on device\); make room"
    ) as caught:
        fetch(server.archive("good"), tmp_path)
    assert "\n" not in str(caught.value)


def test_a_folder_that_cannot_be_made_is_one_line(server, tmp_path):
    (tmp_path / "data").write_text("a file")
    with pytest.raises(UserError, match=r"data/a.tar.part: cannot be written \(File exists\)"):
        fetch(server.archive("good"), tmp_path / "data")


@pytest.fixture
def voc_server(tmp_path, monkeypatch):
    """Serves a tiny VOC 2012 instead of the real one; the current folder is a new one."""
    made = draw_toy_dataset(tmp_path / "made/VOCdevkit/VOC2012", {"train": 3, "val": 1})
    with tarfile.open(tmp_path / "voc.tar", "w") as archive:
        archive.add(made.parent, "VOCdevkit")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    server = Server((tmp_path / "voc.tar").read_bytes())
    monkeypatch.setattr(download, "VOC2012", server.archive("404", "good", name=VOC2012.name))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    yield server
    server.close()


def test_voc2012_is_downloaded_once(voc_server):
    assert open_pairs("voc2012", "train").names == ["train_0000", "train_0001", "train_0002"]
    assert open_pairs("voc2012", "val").images == (Path("data/VOCdevkit/VOC2012/JPEGImages/val_0000.jpg"),)
    assert [path.split("/")[1] for path, _, _ in voc_server.requests] == ["404", "good"]
    assert len(open_pairs("data", "train")) == len(open_pairs("data/VOCdevkit", "train")) == 3
    (Path("data") / VOC2012.name).unlink()
    assert download_voc2012(Path("data")) == Path("data/VOCdevkit/VOC2012")
    assert len(voc_server.requests) == 2


def test_an_existing_tar_in_data_is_used(voc_server):
    Path("data").mkdir()
    (Path("data") / VOC2012.name).write_bytes(voc_server.contents)
    assert len(open_pairs("voc2012", "train")) == 3
    assert voc_server.requests == []


def test_the_path_of_the_tar_will_do(voc_server, tmp_path):
    assert len(open_pairs(tmp_path / "voc.tar", "train")) == 3
    assert Path("data/VOCdevkit/VOC2012/JPEGImages").is_dir()
    assert (tmp_path / "voc.tar").read_bytes() == voc_server.contents
    assert len(open_pairs(str(tmp_path / "voc.tar"), "val")) == 1
    assert voc_server.requests == []


def test_the_path_of_another_tar_is_refused(voc_server, tmp_path):
    other = tmp_path / "other.tar"
    other.write_bytes(voc_server.contents[:-512])
    with pytest.raises(UserError, match=r"other.tar: is \d+ bytes, but VOCtrainval.*unpack others and give the folder"):
        open_pairs(other, "train")
    assert not Path("data").exists()


def test_data_sets_are_listed_without_loading_the_downloader():
    program = "import sys, keras_fcn.datasets; print({'requests', 'tqdm', 'scipy'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
