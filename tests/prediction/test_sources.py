"""Finding images, and planning the files that are written for them."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import Call
from PIL import Image

from keras_fcn.errors import UserError
from keras_fcn.prediction.plan import plan, remove_temporary_files
from keras_fcn.prediction.sources import find_images
from keras_fcn.system.files import new_folder, replaced_file, temporary_path


def make_photos(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (9, 9)).save(root / name, format="PNG")


def masks(sources, out="out", **options):
    """The masks planned, relative to the folder of masks."""
    tasks = plan(sources, str(out), ["masks"], **options).left
    return [os.path.relpath(task.targets["masks"], f"{out}/masks").replace(os.sep, "/") for task in tasks]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """The tests are in a folder of their own."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_folders_keep_their_structure(folder):
    make_photos(folder, "in/b.png", "in/day/a.JPG", "in/day/b.jpeg", "single.jpg")
    (folder / "in/notes.txt").write_text("not an image")
    assert masks(find_images(["in", "single.jpg"])) == ["b.png", "day/a.png", "day/b.png", "single.png"]
    task = plan(find_images(["in"]), "out", ["overlays", "json", "probabilities"]).tasks[1]
    assert task.targets == {
        "overlays": "out/overlays/day/a.jpg",
        "json": "out/json/day/a.json",
        "probabilities": "out/probabilities/day/a.npz",
    }


def test_names_of_any_language_with_blanks_and_dots(folder):
    names = ["猫 1.jpg", "été/ñ.v2.png", "🐈.jpeg", "a [1]*.png"]
    make_photos(folder / "in", *names)
    assert sorted(masks(find_images(["in"]))) == sorted(["猫 1.png", "été/ñ.v2.png", "🐈.png", "a [1]*.png"])
    assert masks(find_images(["in/a [1]*.png"])) == ["a [1]*.png"]  # a file of this name is no pattern


def test_images_that_differ_in_their_suffix_only_get_masks_of_their_own(folder):
    make_photos(folder, "in/a.png", "in/a.jpg")
    assert masks(find_images(["in"])) == ["a.jpg.png", "a.png.png"]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("in/*.png", ["b.png"]),
        ("in/**/*.jpg", ["day/a.png", "day/late/c.png"]),
        ("in/d*/?.jpg", ["day/a.png"]),
        ("in/day/[abc].*", ["a.png"]),
        ("i[n]/*.png", ["in/b.png"]),
        ("set [1]/*.png", ["d.png"]),  # a folder of this name is no pattern
        ("set [1]/d*/?.png", ["day/e.png"]),
    ],
)
def test_patterns_that_no_shell_expanded(folder, pattern, expected):
    make_photos(folder, "in/b.png", "in/day/a.jpg", "in/day/late/c.jpg", "in/day/.hidden.jpg")
    make_photos(folder, "set [1]/d.png", "set [1]/day/e.png")
    (folder / "in/day/a.txt").write_text("not an image")
    assert masks(find_images([pattern])) == expected


def test_a_list_on_the_standard_input(folder):
    make_photos(folder, "in/b.png", "in/ü.jpg", "c.jpg")
    found = find_images(["-", "c.jpg"], ["in/ü.jpg\n", "\n", "in/b.png\r\n", "in/b.png"])
    assert [source.location for source in found] == ["in/ü.jpg", "in/b.png", "c.jpg"]


def test_each_file_once_and_nothing_hidden_or_of_our_own(folder):
    make_photos(folder, "in/b.png", "in/._b.png", "in/.cache/x.png", "in/out/masks/b.png")
    assert [source.location for source in find_images(["in", "in/b.png", "./in/b.png"], out="in/out")] == ["in/b.png"]


def test_videos_are_taken_where_they_are_named_only(folder):
    make_photos(folder, "in/b.png", "in/frame_0001.png")
    (folder / "in/clip.MP4").write_bytes(b"")
    assert [source.is_video for source in find_images(["in"])] == [False, False]
    make_photos(folder, "set [1]/frame_0001.png")
    assert find_images(["set [1]/frame_%04d.png"])[0].location == "set [1]/frame_%04d.png"
    found = find_images(["in/clip.MP4", "in/*.MP4", "in/frame_%04d.png"])
    assert [(source.location, str(source.name), source.is_video) for source in found] == [
        ("in/clip.MP4", "clip.MP4", True),
        ("in/frame_%04d.png", "frame_.png", True),
    ]
    assert [task.targets for task in plan(found, "out", ["masks", "overlays"]).tasks] == [
        {"masks": "out/masks/clip", "overlays": "out/overlays/clip.mp4"},
        {"masks": "out/masks/frame_", "overlays": "out/overlays/frame_.mp4"},
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "nowhere: no such file or folder; give images, folders, quoted patterns or videos"),
        (["https://example.org/a.png"], "https://example.org: pages of the web are not read; download the files, and"),
        (["empty"], "empty: holds no image"),
        (["empty/*"], "empty/*: matches no image"),
        (["one/b.png"], "out/masks/b.png: exists already; choose another --out, or --skip-existing to resume, or"),
        (["one/a.png", "--overwrite", "--skip-existing"], "--overwrite and --skip-existing exclude each other"),
        (["one/a.png", "--alpha", "2"], "--alpha must be in 0 to 1. Received: 2.0"),
        (["one/a.png", "--batch-size", "0"], "--batch-size must be at least 1. Received: 0"),
        (
            ["one/a.png", "--write", "masks", "masks"],
            "--write takes one or more outputs, each once. Received: masks masks",
        ),
        (["one/a.png", "--write", "drawings"], "drawings"),
        ([], "predict.py needs images, folders or videos after the model"),
    ],
)
def test_nothing_is_overwritten_or_left_out(folder, arguments, message):
    make_photos(folder, "one/a.png", "one/b.png", "two/a.png", "out/masks/b.png")
    (folder / "empty").mkdir()
    call = Call("predict.py", "nowhere-model", *arguments, "--out", "out")
    assert (call.status, call.out) == (2, "")
    assert message in call.err
    assert len(call.err.splitlines()) == 1


def test_an_empty_list_is_nothing_to_predict():
    with pytest.raises(UserError, match="the list of images is empty"):
        find_images(["-"], ["\n"])


def test_existing_files_are_kept_or_replaced_as_asked(folder):
    make_photos(folder, "in/a.png", "in/b.png", "out/masks/a.png")
    sources = find_images(["in"])
    assert masks(sources, existing="overwrite") == ["a.png", "b.png"]
    assert masks(sources, existing="skip") == ["b.png"]
    both = plan(sources, "out", ["masks", "overlays"], "skip")
    assert [task.targets for task in both.left] == [
        {"overlays": "out/overlays/a.jpg"},
        {"masks": "out/masks/b.png", "overlays": "out/overlays/b.jpg"},
    ]


def test_temporary_files_of_a_killed_prediction_are_removed(folder):
    """Only those of processes that do not live: this one does, and processes of other machines cannot be asked."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        dead = process.pid
    host = temporary_path(folder / "a.png").name.split("-")[1].split(".")[0]
    kept = [
        f".{os.getpid()}-{host}.a.png",
        f".{os.getpid()}.a.png",
        f".{dead}-ffffff.a.png",
        f".{dead}.b.png",
        ".a.png",
    ]
    make_photos(
        folder, "in/a.png", *(f"out/masks/{name}" for name in (f".{dead}.a.png", f".{dead}-{host}.a.png", *kept))
    )
    assert masks(find_images(["in"])) == ["a.png"]
    assert sorted(path.name for path in (folder / "out/masks").iterdir()) == sorted(kept)
    remove_temporary_files({"out/masks/a.png"}, of_other_machines=True)
    assert sorted(path.name for path in (folder / "out/masks").iterdir()) == sorted(set(kept) - {kept[2]})


def test_names_as_long_as_file_systems_take_are_written(folder):
    for name in ("x" * 251 + ".png", "猫" * 83 + ".png"):
        with replaced_file(folder / name) as temporary:
            assert len(os.fsencode(temporary.name)) <= 120
            assert temporary.suffix == ".png"
            temporary.write_text("whole")
        assert (folder / name).read_text() == "whole"
    with new_folder(folder / ("x" * 255)) as temporary:
        assert len(temporary.name) <= 120


def test_a_folder_without_permission_is_named(folder, monkeypatch):
    """Python's own patterns leave it out without a word."""
    make_photos(folder, "in/day1/a.png", "in/day2/b.png")
    scan = os.scandir

    def scandir(path):
        if Path(path).name == "day2":
            raise PermissionError(errno.EACCES, "Permission denied")
        return scan(path)

    monkeypatch.setattr(os, "scandir", scandir)
    for text in ("in", "in/*/*.png", "in/**/*.png"):
        with pytest.raises(UserError, match=r"in/day2: cannot be listed \(Permission denied\)$"):
            find_images([text])
    assert masks(find_images(["in/day1/*.png", "in/day2/b.png"])) == ["a.png", "b.png"]


def test_the_input_folder_may_be_the_output_folder_too(folder):
    make_photos(folder, "in/b.png", "in/day/a.png", "in/masks/b.png", "in/overlays/day/a.png", "in/other/c.png")
    expected = ["in/b.png", "in/day/a.png", "in/other/c.png"]
    (folder / "link").symlink_to("in")
    for out in ("in", "./in/", "in/../in", "link"):
        assert [source.location for source in find_images(["in"], out=out)] == expected
        assert [source.location for source in find_images(["in/**/*.png"], out=out)] == expected
    assert [source.location for source in find_images(["in/day"], out="in")] == ["in/day/a.png"]
    with pytest.raises(UserError, match="in/masks: holds only outputs in in, no image; choose another out"):
        find_images(["in/masks"], out="in")


def test_an_output_folder_that_cannot_be_written_is_named_before_anything_is_predicted(folder):
    make_photos(folder, "in/a.png", "file", "out/a.png")
    (folder / "out/masks").write_text("in the way")
    for out, path in (("file", "file"), ("file/deep", "file/deep"), ("out", "out/masks")):
        call = Call("predict.py", "nowhere-model", "in", "--out", out, "--write", "masks", "--overwrite")
        assert (call.status, call.out) == (2, "")
        assert call.err.startswith(f"error: {path}"), call.err
        assert "cannot be written" in call.err
    assert not (folder / "out/overlays").exists()


def test_a_list_is_named_as_the_folder_that_holds_it_is(folder):
    make_photos(folder, "in/cam1/0.png", "in/cam2/0.png", "in/cam2/1.jpg")
    listed = find_images(["-"], ["in/cam2/1.jpg\n", "./in/cam1/0.png\n", "in/../in/cam2/0.png\n"])
    assert sorted(masks(listed)) == masks(find_images(["in"])) == ["cam1/0.png", "cam2/0.png", "cam2/1.png"]
    assert masks(find_images(["-"], ["in/cam1/0.png"])) == ["0.png"]


def test_files_of_one_name_are_told_apart_by_their_folders(folder):
    make_photos(folder, "one/a.png", "two/a.png", "two/deep/b.png")
    assert masks(find_images(["one", "two"])) == ["one/a.png", "two/a.png", "two/deep/b.png"]
    assert masks(find_images(["one/a.png", str(folder / "two/a.png")])) == ["one/a.png", "two/a.png"]
    assert masks(find_images(["one/*", "two/*"])) == ["one/a.png", "two/a.png"]
    os.chdir(folder / "one")
    assert masks(find_images(["a.png", "../two/a.png"])) == ["one/a.png", "two/a.png"]


def test_linked_folders_are_followed_and_circles_end(folder):
    make_photos(folder, "in/a.png", "store/b.png")
    (folder / "in/linked").symlink_to("../store")
    (folder / "in/up").symlink_to("..")
    for inputs in ("in", "in/**/*.png", "in/**"):
        assert masks(find_images([inputs])) == ["a.png", "linked/b.png"]


def test_what_is_left_out_is_told(folder):
    make_photos(folder, "in/a.png", "in/b.tif", "in/c.WEBP", "in/d.bmp")
    for name in ("e.jxl", "f.jxl", "g.psd", "clip.mp4", "notes.txt", ".hidden.jxl"):
        (folder / "in" / name).write_bytes(b"")
    found = find_images(["in"])
    assert masks(found) == ["a.png", "b.png", "c.png", "d.png"]
    line = "left out 2 .jxl and 1 .psd (convert them to JPEGs or PNGs), 1 .mp4 (videos have to be named), 1 .txt"
    assert (found.left_out, found.unread) == ([f"in: {line}"], 3)
    assert find_images(["in/a.png", "in/*.bmp"]).left_out == []
    for path in (folder / "in").glob("*.*"):
        if path.suffix.lower() in (".png", ".tif", ".webp", ".bmp"):
            path.unlink()
    with pytest.raises(UserError, match=r"^in: holds no image \(.*\); left out 2 .jxl and 1 .psd \(convert them"):
        find_images(["in"])
