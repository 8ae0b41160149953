"""What is remarked about pairs that are read: by images made here, without a network."""

import dataclasses
import shutil

import numpy as np
import pytest
from conftest import Call
from PIL import Image

from keras_fcn.datasets import inspect_pairs, open_pairs
from keras_fcn.datasets.inspection.leaks import repeats
from keras_fcn.errors import Remark, UserError
from keras_fcn.runs import known_files
from keras_fcn.runs.data_options import DataOptions
from keras_fcn.training.inputs.data import open_training_data


def write_pairs(root, images):
    """Writes pairs by name: an image, its EXIF orientation, and the size of its mask, with an orientation or none."""
    for folder in ("images", "masks"):
        (root / folder).mkdir(parents=True)
    for name, (image, orientation, size, own) in images.items():
        for path, picture, turn in (
            (root / f"images/{name}.png", image, orientation),
            (root / f"masks/{name}.png", np.arange(np.prod(size), dtype=np.uint8).reshape(size) % 2, own),
        ):
            exif = Image.Exif()
            exif[0x0112] = turn
            Image.fromarray(picture).save(path, exif=exif)
    return root


PLAIN, SQUARE = np.full((6, 9, 3), 200, np.uint8), np.full((6, 6, 3), 200, np.uint8)


def test_images_whose_orientation_no_size_shows_are_counted(tmp_path):
    root = write_pairs(
        tmp_path / "data",
        {
            "a plain": (PLAIN, 1, (6, 9), 1),
            "b shown by its size": (PLAIN, 6, (9, 6), 1),
            "c turned with its mask": (PLAIN, 3, (6, 9), 3),
            "d half": (PLAIN, 3, (6, 9), 1),
            "e mirrored": (PLAIN, 2, (6, 9), 1),
            "f square": (SQUARE, 8, (6, 6), 1),
        },
    )
    (found,) = inspect_pairs(open_pairs(root, "all")).findings
    assert (type(found), found.kind, found.is_fatal, found.count) == (Remark, "turned image", False, 3)
    assert str(found).startswith(
        f"{root}/images/d half.png: has an EXIF orientation and its mask has none, so have 3 of 6"
    )


def test_polygons_have_no_orientation(tmp_path):
    """Their file is no picture, so that it is not asked for one."""
    root = write_pairs(tmp_path / "data", {"a": (PLAIN, 3, (6, 9), 1)})
    pairs = open_pairs(root, "all")
    (label,) = pairs.labels
    polygons = label.with_suffix(".json")
    polygons.write_text("{}")
    read = dataclasses.replace(pairs, labels=(polygons,), read_label=lambda _: np.zeros((6, 9), np.uint8))
    assert inspect_pairs(read).findings == ()


@pytest.mark.parametrize("most", [3000, 40_000])
def test_dark_images_of_16_bits_are_remarked_before_training(tmp_path, most):
    dark = np.full((6, 9), most, np.uint16)
    root = write_pairs(tmp_path / "data", {str(number): (dark, 1, (6, 9), 1) for number in range(5)})
    lines = []
    open_training_data(DataOptions(data=str(root)), "none", None, lines.append)
    told = [line for line in lines if line.startswith("Remark ") and "is the same image" not in line]
    assert len(told) == (2 if most == 3000 else 0)
    assert all("no value of 16 bits is above 3,000 of 65,535" in line for line in told)
    assert not any("left out" in line for line in lines)


def test_images_of_several_pictures_are_remarked_once_and_masks_are_refused(tmp_path):
    root = write_pairs(tmp_path / "data", dict.fromkeys("abcd", (PLAIN, 1, (6, 9), 1)))
    page = Image.fromarray(PLAIN)
    for name, count in (("b", 3), ("c", 2)):
        (root / f"images/{name}.png").unlink()
        page.save(root / f"images/{name}.tif", save_all=True, append_images=[page] * (count - 1))
    (found,) = inspect_pairs(open_pairs(root, "all")).findings
    assert (type(found), found.kind, found.count) == (Remark, "several pictures", 2)
    assert str(found).startswith(f"{root}/images/b.tif and 1 more: hold up to 3 pictures each, of which the first is")
    call = Call("keras_fcn/check.py", root, "--picture", tmp_path / "check.png")
    assert (call.status, call.out.count("pictures each")) == (0, 1)
    mask = Image.fromarray(np.zeros((6, 9), np.uint8))
    mask.save(root / "masks/a.png", save_all=True, append_images=[Image.fromarray(np.ones((6, 9), np.uint8))])
    with pytest.raises(UserError, match=r"masks/a.png: holds 2 pictures, and nothing says which of them is the mask"):
        inspect_pairs(open_pairs(root, "all")).require_sound()


def test_images_of_both_splits_are_known_by_their_contents(tmp_path):
    rng = np.random.default_rng(0)
    for split in ("train", "val"):
        images = {str(index): (rng.integers(0, 255, (6, 9, 3), np.uint8), 1, (6, 9), 1) for index in range(4)}
        write_pairs(tmp_path / split, images)
    assert lines_about(tmp_path) == []
    for folder in ("images", "masks"):
        for name, copy in (("1", "a copy"), ("3", "z")):
            shutil.copy(tmp_path / f"train/{folder}/{name}.png", tmp_path / f"val/{folder}/{copy}.png")
    expected = (
        f"{tmp_path}/val/images/a copy.png: is the same image as {tmp_path}/train/images/1.png of train; of the 6 "
        "images of val, 2 are in train, so its metrics are too good: keep each image in one split"
    )
    assert lines_about(tmp_path) == [f"Remark   {expected}"]
    call = Call("keras_fcn/check.py", tmp_path, "--picture", tmp_path / "check.png")
    assert call.status == 0
    assert f"Findings in val: 1 x in both splits\n  {expected}" in call.out


def test_images_that_a_split_holds_twice_are_said_and_whether_masks_agree(tmp_path):
    rng = np.random.default_rng(0)
    write_pairs(tmp_path, {str(index): (rng.integers(0, 255, (6, 9, 3), np.uint8), 1, (6, 9), 1) for index in range(4)})
    pairs = open_pairs(tmp_path, "all")
    assert repeats(pairs, inspect_pairs(pairs)) == []
    for name in ("5", "6"):
        shutil.copy(tmp_path / "images/1.png", tmp_path / f"images/{name}.png")
        shutil.copy(tmp_path / "masks/1.png", tmp_path / f"masks/{name}.png")
    twice = f"{tmp_path}/images/5.png: is the same image as {tmp_path}/images/1.png"
    start = f"{twice}; of the 6 images of all, 2 repeat another"
    pairs = open_pairs(tmp_path, "all")
    assert list(map(str, repeats(pairs, inspect_pairs(pairs)))) == [f"{start}, mask included"]
    Image.fromarray(np.zeros((6, 9), np.uint8)).save(tmp_path / "masks/6.png")
    expected = f"{start}; 1 of them with another mask: keep the right one"
    assert list(map(str, repeats(pairs, inspect_pairs(pairs)))) == [expected]
    call = Call("keras_fcn/check.py", tmp_path, "--splits", "all", "--picture", tmp_path / "check.png")
    assert (call.status, call.out.count(expected)) == (0, 1)


def lines_about(root):
    """The lines of a training's log that are about its images."""
    lines = []
    open_training_data(DataOptions(str(root)), "none", None, lines.append)
    return lines[1:]


def test_a_file_whose_content_cannot_be_read_again_is_a_finding(toy, monkeypatch):
    """Without its digest, the run that begins with it would be told that its data have changed."""
    pairs = open_pairs(str(toy), "val")
    broken, digest = pairs.labels[1], known_files.content_digest
    monkeypatch.setattr(known_files, "content_digest", lambda path: "" if path == broken else digest(path))
    with pytest.raises(UserError, match=f"{broken}: cannot be read to its end"):
        inspect_pairs(pairs).require_sound()
