import dataclasses
import json
import re
import shlex
import shutil

import numpy as np
import pytest
from conftest import ROOT, Call
from layouts import write_folders
from PIL import Image
from tiny_runs import silent

from keras_fcn.commands.check import choose_examples
from keras_fcn.commands.train import parse_train_options
from keras_fcn.datasets.toy import draw_toy_dataset
from keras_fcn.images.classes import VOC_CLASS_NAMES, ClassTable, voc_palette
from keras_fcn.system.options import as_words, option
from keras_fcn.training.train import run_training

CHECK = "keras_fcn/check.py"


@pytest.fixture
def voc(tmp_path):
    """A data set of six training and two validation pairs, to be damaged."""
    return draw_toy_dataset(tmp_path / "voc", {"train": 6, "val": 2})


def check(voc, tmp_path, *words, picture=True):
    drawn = ["--picture", tmp_path / "check.png"] if picture else []
    call = Call(CHECK, voc, *words, *drawn, "--json", tmp_path / "check.json")
    report = json.loads((tmp_path / "check.json").read_text()) if (tmp_path / "check.json").exists() else None
    return call, report


def test_a_clean_data_set_is_counted_as_numpy_counts_it(voc, tmp_path):
    call, report = check(voc, tmp_path)
    assert (call.status, call.err) == (0, "")
    assert ClassTable.from_dict(report["classes"]) == ClassTable.voc()
    for split, count in (("train", 6), ("val", 2)):
        labels = [np.asarray(Image.open(path)) for path in sorted((voc / "SegmentationClass").glob(f"{split}*"))]
        counts = report["splits"][split]
        assert (counts["pairs"], counts["sound_pairs"], counts["findings"]) == (count, count, [])
        for index, name in enumerate(VOC_CLASS_NAMES):
            assert counts["pixels"][name] == sum((label == index).sum() for label in labels)
            assert counts["images"][name] == sum((label == index).any() for label in labels)
        pixels = sum(label.size for label in labels)
        assert counts["void_share"] == pytest.approx(sum((label == 255).sum() for label in labels) / pixels)
        assert counts["largest"] == np.max([label.shape for label in labels], axis=0).tolist()
        assert counts["smallest"] == np.min([label.shape for label in labels], axis=0).tolist()
    assert "PASCAL VOC, 21 classes" in call.out
    assert "\nFindings: none\n" in call.out
    with Image.open(tmp_path / "check.png") as picture:
        assert picture.width > 1000
        colors = {color for _, color in picture.convert("RGB").getcolors(1 << 24)}
        assert {tuple(color) for color in voc_palette()[[4, 6]].tolist()} & colors


def damage_colors(path, change):
    with Image.open(path) as mask:
        rgb = np.array(mask.convert("RGB"))
    Image.fromarray(change(rgb)).save(path)


def compress(path):
    with Image.open(path) as mask:
        mask.convert("RGB").save(path.with_suffix(".jpg"), quality=75)
    Image.open(path.with_suffix(".jpg")).save(path)
    path.with_suffix(".jpg").unlink()


def smooth(path):
    """Draws the outlines as a drawing program with anti-aliasing does."""
    with Image.open(path) as mask:
        big = np.where(np.asarray(mask) > 0, 255, 0).astype(np.uint8)
    Image.fromarray(voc_palette()[np.where(big > 0, 8, 0)]).resize(big.shape[::-1], Image.Resampling.BILINEAR).resize(
        (big.shape[1] * 3, big.shape[0] * 3), Image.Resampling.NEAREST
    ).resize(big.shape[::-1], Image.Resampling.BICUBIC).rotate(10, Image.Resampling.BILINEAR).save(path)


def paint(path, color):
    def change(rgb):
        rgb[:3, :4] = color
        return rgb

    damage_colors(path, change)


@pytest.mark.parametrize(
    ("damage", "kind", "words"),
    [
        (lambda path: paint(path, (1, 99, 7)), "unknown colour", "colour (1, 99, 7) (12 pixels)"),
        (lambda path: paint(path, (66, 0, 1)), "unknown colour", "cat is (64, 0, 0): paint it in that colour"),
        (
            lambda path: damage_colors(path, lambda rgb: rgb[..., ::-1].copy()),
            "swapped channels",
            "red and blue swapped",
        ),
        (compress, "compressed mask", "export it as a PNG"),
        (smooth, "anti-aliased mask", "without anti-aliasing"),
        (lambda path: path.write_bytes(path.read_bytes()[:-90]), "undecodable file", "cannot be decoded"),
        (lambda path: Image.new("L", (20, 30), 3).save(path), "size mismatch", "is 30x20 pixels (height x width)"),
        (lambda path: Image.new("L", (20, 30), 77).save(path), "id out of range", "class id 77 (600 pixels)"),
        (lambda path: path.unlink(), "missing mask", "the mask of 'train_0002' is missing"),
    ],
)
def test_every_fault_is_found_and_named(voc, tmp_path, damage, kind, words):
    damage(voc / "SegmentationClass/train_0002.png")
    call, report = check(voc, tmp_path, picture=False)
    assert call.status == 1
    (finding,) = report["splits"]["train"]["findings"]
    assert (finding["kind"], finding["is_fatal"]) == (kind, True)
    assert words in finding["message"]
    assert "train_0002" in finding["message"]
    assert finding["message"] in call.out
    assert f"1 x {kind}" in call.out
    assert report["splits"]["train"]["sound_pairs"] == 5
    assert report["splits"]["val"]["findings"] == []


def test_examples_show_many_classes():
    #                  sky  cat  dog  cow
    pixels = np.array([[90, 10, 0, 0], [0, 0, 0, 0], [50, 50, 0, 0], [80, 0, 20, 0], [99, 0, 0, 1], [100, 0, 0, 0]])
    assert choose_examples(pixels, 1) == [2]
    assert sorted(choose_examples(pixels, 3)) == [2, 3, 4]
    assert sorted(choose_examples(pixels, 9)) == [0, 2, 3, 4, 5]


def test_class_names_are_drawn_as_they_are(tmp_path):
    """Matplotlib takes what is between dollars for a formula."""
    ground_truth = write_folders(tmp_path)
    (tmp_path / "classes.txt").write_text("_background_\n$x^$\n猫 🐈\nnever\n", encoding="utf-8")
    call, report = check(tmp_path, tmp_path)
    assert (call.status, call.err) == (0, "")
    assert report["splits"]["val"]["images"]["never"] == 0
    assert "In no image of" not in call.out
    assert "1 of 4 classes has no pixel in train (never); its 8 masks hold " in call.out
    assert sum(report["splits"][split]["pixels"]["$x^$"] for split in ("train", "val")) == sum(
        int((ids == 1).sum()) for ids in ground_truth.values()
    )


def test_what_concerns_every_split_is_said_once(voc, tmp_path):
    """A mask in no list; besides, a class that val alone lacks, and a fault of one split."""
    shutil.copy(voc / "SegmentationClass/val_0000.png", voc / "SegmentationClass/extra.png")
    for path in (voc / "SegmentationClass").glob("val*"):
        with Image.open(path) as mask:
            Image.new("L", mask.size).save(path)
    (voc / "SegmentationClass/val_0001.png").write_bytes(b"")
    call, report = check(voc, tmp_path)
    both, val = call.out.split("Findings in ")[1:]
    assert both.startswith("train and val: 1 x not listed\n  ")
    assert val.startswith("val: 1 x undecodable file\n  ")
    assert [len(report["splits"][split]["findings"]) for split in ("train", "val")] == [1, 2]
    (line,) = re.findall(r"^In no image of val: (.*)$", call.out, re.MULTILINE)
    trained = report["splits"]["train"]["images"]
    assert line.split(", ") == [name for name, count in trained.items() if count and name != "background"]


def test_all_faults_are_listed_at_once(voc, tmp_path):
    (voc / "JPEGImages/train_0001.jpg").write_text("a text")
    shutil.copy(voc / "SegmentationClass/train_0000.png", voc / "SegmentationClass/train_0003.png")
    (voc / "JPEGImages/train_0005.jpg").unlink()
    call, report = check(voc, tmp_path)
    assert call.status == 1
    kinds = sorted(finding["kind"] for finding in report["splits"]["train"]["findings"])
    assert kinds == ["missing photo", "size mismatch", "undecodable file"]


def test_what_cannot_be_checked_at_all_is_one_line(tmp_path):
    (tmp_path / "empty").mkdir()
    for folder, message in (("none", "no such folder"), ("empty", "is in no known layout")):
        call, report = check(tmp_path / folder, tmp_path)
        assert (call.status, report) == (2, None)
        assert message in call.err
        assert len(call.err.splitlines()) == 1
    assert not (tmp_path / "check.png").exists()


def test_a_picture_that_cannot_be_written_is_no_finding(voc, tmp_path):
    (tmp_path / "check.png").mkdir()
    call, _ = check(voc, tmp_path)
    assert call.status == 2
    assert call.err == f"error: {tmp_path / 'check.png'}: cannot be written (Is a directory); " + (
        "choose a path that you may write to\n"
    )


def test_nothing_is_written_unless_asked_for(voc, tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    call = Call(CHECK, voc)
    assert call.status == 0
    assert call.out.endswith("\n--picture FILE draws examples and a histogram of the classes\n")
    assert not list((tmp_path / "here").iterdir())


def test_train_py_takes_the_command_of_the_plan(toy, tmp_path):
    call, report = check(toy, tmp_path)
    (command,) = re.findall(r"^  python train\.py (.*)$", call.out, re.MULTILINE)
    words = shlex.split(command)
    assert words == report["plan"]["options"]
    assert words[:4] == ["--data", str(toy), "--config", "small_dataset"]
    assert parse_train_options(words).settings.minutes > 0
    shown = {" ".join([option(each["setting"]), *as_words(each["value"])]) for each in report["plan"]["settings"]}
    assert all(f"  {text}" in call.out or f"  ({text})" in call.out for text in shown)


@pytest.mark.slow
@pytest.mark.usefixtures("no_pictures")
def test_the_command_of_the_plan_trains(toy, tmp_path):
    """With the narrow network instead of one that takes minutes, and a single epoch."""
    _, report = check(toy, tmp_path)
    config = parse_train_options(report["plan"]["options"]).settings
    run = dataclasses.replace(config.run, epochs=1, minutes=None)
    network = dataclasses.replace(config.network, backbone="resnet18_v2", weights="none")
    changed = dataclasses.replace(config, run=run, network=network, freeze_backbone=1)
    assert len(run_training(changed, tmp_path / "run", report=silent).read_history()) == 1


def test_a_plan_says_how_the_data_are_read(tmp_path):
    write_folders(tmp_path)
    (tmp_path / "classes.txt").write_text("ground\ncat\ndog\n")
    call, _ = check(tmp_path, tmp_path, "--merge", "cat=a cat", "--splits", "val", "train", picture=False)
    data = "--merge 'cat=a cat' --split val --val-split train"
    assert f"  python train.py --data {tmp_path} {data} --config small_dataset " in call.out


def test_data_with_faults_have_no_plan_yet(voc, tmp_path):
    (voc / "JPEGImages/train_0001.jpg").write_text("a text")
    call, report = check(voc, tmp_path)
    assert report["plan"] is None
    assert "\nA plan follows when the findings are mended.\n" in call.out


def test_it_is_found_as_a_module():
    assert (ROOT / CHECK).is_file()
    assert "python -m keras_fcn.check" in (ROOT / "README.md").read_text()
