"""The scripts as a user calls them: from start to end, with wrong input, and from the command line's help."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
from conftest import ROOT, TINY, Call
from PIL import Image

from keras_fcn.datasets.toy import draw_toy_dataset
from keras_fcn.images.classes import voc_palette


def python(*words):
    """Runs a script as a process of its own, from the project's folder."""
    return subprocess.run([sys.executable, *map(str, words)], cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.usefixtures("no_pictures")
def test_from_images_to_masks_and_a_saved_model(toy, tmp_path):
    """What only needs a model of before is a process of its own; others train and export in one."""
    run, model = tmp_path / "run", tmp_path / "model"
    trained = Call("train.py", "--data", toy, "--run-dir", run, *TINY)
    assert (trained.status, trained.err) == (0, "")
    assert "Epoch 1/1" in trained.out
    for line in ("mean IoU", "pixel accuracy", "mean accuracy", "frequency-weighted IoU"):
        assert line in trained.out
    assert "Train on your own folder: python train.py --data DIR" in trained.out

    same = ["--data", toy, "--split", "val", "--trimap", 0, "--worst", 0]
    evaluated = python("evaluate.py", run, *same, "--json", tmp_path / "metrics.json")
    assert (evaluated.returncode, evaluated.stderr) == (0, "")
    assert json.loads((tmp_path / "metrics.json").read_text()) == json.loads((run / "metrics.json").read_text())
    assert evaluated.stdout.strip() in trained.out

    exported = Call("export/saved_model.py", run, model)
    assert (exported.status, exported.err) == (0, "")

    photos = toy / "JPEGImages"
    told = "13 of 13 segmented: masks/, overlays/ in {}/out{}\n"
    of_run = Call("predict.py", run, photos, "--out", tmp_path / "out0")
    assert (of_run.status, of_run.err, of_run.out) == (0, "", told.format(tmp_path, 0))
    of_model = python("predict.py", model, photos, "--out", tmp_path / "out1")
    assert (of_model.returncode, of_model.stderr, of_model.stdout) == (0, "", told.format(tmp_path, 1))
    for photo in photos.iterdir():
        masks = [tmp_path / f"out{number}/masks/{photo.stem}.png" for number in range(2)]
        assert masks[0].read_bytes() == masks[1].read_bytes()
        with Image.open(photo) as image, Image.open(masks[0]) as mask:
            assert (mask.mode, mask.size) == ("P", image.size)
            assert mask.getpalette() == voc_palette().ravel().tolist()
            with Image.open(tmp_path / f"out0/overlays/{photo.stem}.jpg") as overlay:
                assert overlay.width >= image.width  # as wide as the longest name of its legend at least
                assert overlay.height > image.height


def test_help_names_every_option():
    shown = Call("train.py", "--help")
    assert shown.status == 0
    for option in (
        "--data", "--split", "--model {fcn32s,fcn16s,fcn8s,fcn4s,fcn,deeplabv3,lraspp}", "--backbone", "--weights",
        "--epochs", "--batch-size", "--crop-size H W", "--learning-rate", "--weight-decay",
        "--seed", "--run-dir", "--resume", "--config",
    ):  # fmt: skip
        assert option in shown.out
    assert "The data to train and evaluate on." in shown.out
    assert "noqa" not in shown.out  # a comment beside a field would be its help


@pytest.fixture
def voc(tmp_path):
    """A data set of four training pairs, to be damaged."""
    return draw_toy_dataset(tmp_path / "voc", {"train": 4, "val": 2})


def rewrite(name, write):
    """Returns the damage of writing a file of the data set anew."""
    return lambda voc: write(voc / name)


def unknown_color(path):
    with Image.open(path) as mask:
        rgb = np.array(mask.convert("RGB"))
    rgb[:2, :5] = (1, 2, 3)
    Image.fromarray(rgb).save(path)


def unknown_id(path):
    with Image.open(path) as mask:
        ids = np.array(mask)
    ids[:2, :5] = 77
    Image.fromarray(ids).save(path)


def enlarge(path):
    with Image.open(path) as mask:
        mask.resize((mask.width * 2, mask.height)).save(path)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (shutil.rmtree, "/voc: no such folder"),
        (rewrite("ImageSets/Segmentation/val.txt", lambda path: path.write_text("")), "val.txt: lists no images"),
        (
            rewrite("SegmentationClass/train_0001.png", lambda path: path.unlink()),
            "the mask of 'train_0001' is missing",
        ),
        (rewrite("SegmentationClass/train_0002.png", enlarge), "train_0002.png: is "),
        (
            rewrite("JPEGImages/val_0001.jpg", lambda path: path.write_bytes(path.read_bytes()[:-900])),
            "val_0001.jpg: cannot be decoded",
        ),
        (
            rewrite("SegmentationClass/val_0000.png", lambda path: path.write_text("a text")),
            "val_0000.png: cannot be decoded",
        ),
        (rewrite("SegmentationClass/train_0003.png", unknown_color), "train_0003.png: colour (1, 2, 3) (10 pixels)"),
        (rewrite("SegmentationClass/train_0003.png", unknown_id), "train_0003.png: "),
    ],
)
def test_bad_data_is_one_line_and_no_run(voc, tmp_path, damage, message):
    damage(voc)
    call = Call("train.py", "--data", voc, "--run-dir", tmp_path / "run", *TINY)
    assert call.status == 2
    assert message in call.err
    assert call.err.startswith("error: ")
    assert len(call.err.splitlines()) == 1
    assert not (tmp_path / "run").exists()


def test_a_run_folder_that_exists_is_not_touched(voc, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run/notes.txt").write_text("mine")
    call = Call("train.py", "--data", voc, "--run-dir", tmp_path / "run", *TINY)
    assert call.status == 2
    assert call.err.startswith(f"error: {tmp_path}/run: already exists and is not a run; choose another --run-dir")
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["notes.txt"]


@pytest.mark.parametrize("words", [["--crop-size", "0", "64"], ["--epochs", "-1"], ["--colour", "red"]])
def test_bad_options_are_one_line(words):
    call = Call("train.py", *words)
    assert (call.status, len(call.err.splitlines())) == (2, 1)
    assert words[0] in call.err
    assert "train.py --help" in call.err


def test_an_image_that_cannot_be_decoded_does_not_stop_the_others(trained, toy, tmp_path):
    shutil.copytree(toy / "JPEGImages", tmp_path / "photos")
    (tmp_path / "photos/train_0004.jpg").write_bytes(b"\xff\xd8\xff")
    call = Call("predict.py", trained, tmp_path / "photos", "--out", tmp_path / "out")
    assert call.status == 1
    assert call.err.startswith(f"error: {tmp_path}/photos/train_0004.jpg: cannot be decoded")
    assert call.out == f"12 of 13 segmented: masks/, overlays/ in {tmp_path}/out\n"
    assert len(list((tmp_path / "out/masks").iterdir())) == 12


def test_evaluation_says_when_images_were_trained_on(trained, toy):
    call = Call("evaluate.py", trained, "--data", toy, "--split", "train")
    assert (call.status, call.err) == (0, "10 of the 10 images were trained on, so the metrics are too good\n")


def test_evaluation_refuses_wrong_input(trained, voc):
    for words, message in [
        ([trained, "--data", voc, "--split", "test"], "test.txt: no such split list; lists there: train, val"),
        ([trained / "none", "--data", voc], "none: no such file or folder"),
        ([trained / "best.keras"], "--data is needed: "),
        ([], "evaluate.py needs a run folder or a model"),
        ([trained, "--data", voc, "--trimap", "-1"], "--trimap must not be negative. Received: -1"),
        ([trained, trained], "trained: is there 2 times; name each model once"),
        ([trained, trained / "best.keras", "--submission", "x.tgz"], "--submission takes the predictions of one model"),
        (
            [trained, "--submission", "x.tgz", "--keep-temperature"],
            "--submission and --keep-temperature exclude each other",
        ),
        ([trained, "--data", voc, "--tile", "100", "64"], "--tile takes multiples of 32"),
    ]:
        call = Call("evaluate.py", *words)
        assert call.status == 2
        assert message in call.err
        assert len(call.err.splitlines()) == 1
