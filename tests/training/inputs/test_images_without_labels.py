"""Images without labels in a training: which they are, that it resumes exactly, and what cannot be."""

import re
import shutil

import numpy as np
import pytest
from layouts import write_folders
from PIL import Image
from tiny_runs import Interruption, assert_same_run, silent, tiny

from keras_fcn.commands.check import CheckOptions
from keras_fcn.datasets import inspect_pairs, open_pairs
from keras_fcn.errors import UserError
from keras_fcn.runs.config import TrainConfig
from keras_fcn.runs.data_options import DataOptions
from keras_fcn.system.command_line import parse_options
from keras_fcn.training.inputs.data import open_training_data
from keras_fcn.training.inputs.unlabelled import open_unlabelled
from keras_fcn.training.train import run_training as train

pytestmark = pytest.mark.usefixtures("no_pictures")


@pytest.fixture
def others(tmp_path):
    """A folder of five images without labels, in folders, beside a file that is no image."""
    rng = np.random.default_rng(4)
    for number in range(5):
        path = tmp_path / f"others/{number % 2}/photo_{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (70, 100, 3), np.uint8)).save(path)
    (tmp_path / "others/notes.txt").write_text("nothing")
    (tmp_path / "others/raw.dng").write_text("a picture of another kind")
    return tmp_path / "others"


def test_labelled_images_and_copies_are_left_out(tmp_path, others):
    write_folders(tmp_path / "data", ["a", "b", "c"])
    shutil.copy(tmp_path / "data/images/b.jpg", others / "again.jpg")
    shutil.copy(others / "0/photo_2.png", others / "copy.png")
    pairs, lines = open_pairs(tmp_path / "data", "train"), []
    every = open_pairs(tmp_path / "data", "all")
    known = inspect_pairs(every).contents
    alone, inspection = open_unlabelled(str(others), pairs, known, lines.append)
    assert [path.name for path in alone.images] == [f"photo_{number}.png" for number in (0, 2, 4, 1, 3)]
    assert lines == [
        f"Files    left out of {others}: 1 .dng (convert them to JPEGs or PNGs)",
        "Files    1 of these images are in the data set, and left out: again.jpg",
        "Files    1 of these images are copies of others, and left out",
    ]
    assert inspection.sizes.tolist() == [[70, 100]] * 5
    assert not alone.read_label(alone.labels[0]).any()


def test_training_images_without_masks_are_taught(tmp_path):
    write_folders(tmp_path, [f"{number}" for number in range(10)])
    (tmp_path / "masks/3.png").unlink()
    pairs = open_pairs(tmp_path, "train")
    alone, _ = open_unlabelled("teach", pairs, (), silent)
    assert alone.images == pairs.unlabelled == (tmp_path / "images/3.jpg",)
    (tmp_path / "images/3.jpg").unlink()
    with pytest.raises(UserError, match="unlabelled='teach': all images of the split train have masks; give a folder"):
        open_unlabelled("teach", open_pairs(tmp_path, "train"), (), silent)


def test_what_a_teacher_labels_is_not_said_to_be_left_out(tmp_path):
    names = [f"{number}" for number in range(10)]
    write_folders(tmp_path, names)
    without = {split: open_pairs(tmp_path, split).images[0] for split in ("train", "val")}
    for image in without.values():
        (tmp_path / f"masks/{image.stem}.png").unlink()
    divided = {split: open_pairs(tmp_path, split).unlabelled for split in ("train", "val")}
    lines = {how: [] for how in ("leave_out", "teach")}
    for how, said in lines.items():
        open_training_data(DataOptions(data=str(tmp_path), unlabelled=how), "none", None, said.append)
    left = {how: [line for line in said if "left out" in line] for how, said in lines.items()}
    assert "2 files are left out (2 x photo alone)" in left["leave_out"][0]
    count = len(divided["val"])
    assert len(divided["train"]) == 2 - count
    assert len(left["teach"]) == (count > 0)
    assert all("1 file is left out (1 x photo alone)" in line for line in left["teach"])


def test_what_is_no_folder_of_images_is_one_line(tmp_path, others):
    write_folders(tmp_path / "data", ["a", "b", "c"])
    pairs = open_pairs(tmp_path / "data", "train")
    (tmp_path / "empty").mkdir()
    shutil.copytree(tmp_path / "data", tmp_path / "outside/data")
    for folder, message in {
        "outside": r"outside.*: holds the data set data \(folders\), whose masks would be taken for images",
        "nowhere": "nowhere.*: no such folder; it takes a folder of images, teach, leave_out or background",
        "empty": "empty.*: holds no image",
        "data": r"data.*: is a data set \(folders\), whose masks would be taken for images; give the folder of its",
    }.items():
        with pytest.raises(UserError, match=message):
            open_unlabelled(str(tmp_path / folder), pairs, (), silent)
    (others / "0/photo_0.png").write_bytes((others / "0/photo_0.png").read_bytes()[:300])
    with pytest.raises(UserError, match=re.escape(str(others / "0/photo_0.png"))):
        open_unlabelled(str(others), pairs, (), silent)
    with pytest.raises(UserError, match="cache_features and unlabelled='x' exclude each other"):
        TrainConfig(unlabelled="x", freeze_backbone=1, cache_features=1.0)
    with pytest.raises(UserError, match="pseudo_threshold must be"):
        TrainConfig(unlabelled="x", pseudo_threshold=1.0)
    with pytest.raises(UserError, match=r"pseudo_threshold=0\.5 needs unlabelled='teach' or unlabelled DIR"):
        TrainConfig(pseudo_threshold=0.5)


def test_masks_and_test_images_are_left_out(tmp_path, others):
    """Masks of no known layout, and images of the test split by their contents; refused if there is nothing else."""
    for split, count in {"train": 2, "val": 2, "test": 4}.items():  # scenes of the same number are the same
        write_folders(tmp_path / "data" / split, [f"{split}{number}" for number in range(count)])
    shutil.copy(tmp_path / "data/test/images/test3.jpg", others / "seen.jpg")
    for number in (1, 3):
        Image.fromarray(np.tri(70, 100, number, dtype=np.uint8)).save(others / f"1/photo_{number}_m.png")
    lines = []
    options = DataOptions(data=str(tmp_path / "data"), unlabelled=str(others))
    data = open_training_data(options, "none", None, lines.append)
    assert [path.name for path in data.unlabelled.images] == [f"photo_{number}.png" for number in (0, 2, 4, 1, 3)]
    masks = "look like masks, of at most 8 colours, and left out: photo_1_m.png, photo_3_m.png"
    assert f"Files    2 of these images {masks}" in lines
    assert "Files    1 of these images are in the test split, and left out: seen.jpg" in lines
    pairs = open_pairs(tmp_path / "data", "train")
    (tmp_path / "masks").mkdir()
    shutil.move(others / "1/photo_1_m.png", tmp_path / "masks/a.png")
    with pytest.raises(
        UserError, match="all of its 1 images look like masks, of at most 8 colours each; give the folde"
    ):
        open_unlabelled(str(tmp_path / "masks"), pairs, (), silent)
    shutil.copytree(tmp_path / "data/test/images", tmp_path / "test")
    test = open_pairs(tmp_path / "data", "test").images
    with pytest.raises(UserError, match="all of its 4 images are in the test split; it is there to be evaluated on"):
        open_unlabelled(str(tmp_path / "test"), pairs, (), silent, test)


def test_a_folder_that_is_not_there_is_told_before_files_are_checked(tmp_path):
    write_folders(tmp_path, ["a", "b", "c"])
    lines = []
    with pytest.raises(UserError, match=r"nowhere'?: no such folder"):
        open_training_data(DataOptions(data=str(tmp_path), unlabelled="nowhere"), "none", None, lines.append)
    assert lines == []
    with pytest.raises(
        UserError, match="--unlabelled nowhere: must be leave_out or background here; teach and a folder"
    ):
        parse_options(CheckOptions, [str(tmp_path), "--unlabelled", "nowhere"])


def test_a_run_with_a_teacher_resumes_exactly(toy, others, tmp_path, monkeypatch):
    """Its teacher comes back, and other images than it began with are refused."""
    config, lines = tiny(toy, unlabelled=str(others), pseudo_threshold=0.06, epochs=1), []
    whole = train(config, tmp_path / "whole", report=lines.append)
    said = next(line for line in "\n".join(lines).splitlines() if line.startswith("Teacher"))
    assert f"decay 0.99, labels as many crops of 5 images ({others}); below the probability 0.06" in said
    interruption = Interruption(monkeypatch, 2)
    with pytest.raises(KeyboardInterrupt):
        train(config, tmp_path / "parts", report=silent)
    interruption.undo()
    shutil.copytree(others, tmp_path / "kept")
    Image.linear_gradient("L").resize((100, 70)).save(others / "0/photo_0.png")
    with pytest.raises(UserError, match="the unlabelled data have changed since the run began: 1 of 5 images have"):
        train(config, resume=tmp_path / "parts", report=silent)
    shutil.rmtree(others)
    (tmp_path / "moved").mkdir()
    shutil.move(tmp_path / "kept", tmp_path / "moved/others")
    moved = tiny(toy, unlabelled=str(tmp_path / "moved/others"), pseudo_threshold=0.06, epochs=1)
    assert_same_run(whole, train(moved, resume=tmp_path / "parts", report=silent))
