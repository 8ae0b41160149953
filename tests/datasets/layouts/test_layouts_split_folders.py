"""Exports of Roboflow and CamVid: their classes, splits and faults."""

import numpy as np
import pytest
from layouts import (
    NAMES,
    kinds,
    require_truth,
    save,
    write,
    write_camvid,
    write_roboflow,
)
from PIL import Image

from keras_fcn.datasets import inspect_pairs, open_pairs
from keras_fcn.errors import UserError

# Roboflow


def test_roboflow_values_stand_for_classes_in_their_order(tmp_path):
    truth = write_roboflow(tmp_path)
    pairs = [open_pairs(tmp_path, split) for split in ("train", "val", "test")]
    assert [len(each) for each in pairs] == [6, 2, 2]
    assert pairs[1].images[0].parent.name == "valid"
    for each in pairs:
        assert each.classes.names == ("background", "cat", "chair")
        require_truth(each, truth)


def test_roboflow_values_without_a_class_are_refused(tmp_path):
    write_roboflow(tmp_path)
    mask = tmp_path / "train/kitchen_mask.png"
    values = np.array(Image.open(mask))
    values[values == 3] = 1
    Image.fromarray(values).save(mask)
    message = rf"kitchen_mask.png: value 1 \({(values == 1).sum()} pixels\) stands for no class; .* are 0, 3, 7;"
    with pytest.raises(UserError, match=message):
        inspect_pairs(open_pairs(tmp_path, "train")).require_sound()


def test_roboflow_images_of_face_masks_are_images(tmp_path):
    write_roboflow(tmp_path, [*NAMES[:5], "face_mask", *NAMES[6:]])
    image = tmp_path / "train/face_mask.jpg"
    save(image.with_suffix(".png"), np.array(Image.open(image)))
    image.unlink()
    assert "face_mask" in open_pairs(tmp_path, "train").names
    assert open_pairs(tmp_path, "train").findings == ()


def test_roboflow_masks_may_be_arrays(tmp_path):
    truth = write_roboflow(tmp_path)
    masks = sorted(tmp_path.rglob("*_mask.png"))
    for path in masks:
        np.save(path.with_suffix(".npy"), np.asarray(Image.open(path)))
        path.unlink()
    np.save(masks[0].with_name("depth.npy"), np.zeros((4, 5), np.float32))
    require_truth(open_pairs(tmp_path, "train"), truth)
    (tmp_path / "train/kitchen_mask.png").touch()
    with pytest.raises(UserError, match=r"_mask\.npy and .*_mask\.png have the same name; rename or remove one"):
        open_pairs(tmp_path, "train")


def test_roboflow_orphans_are_found(tmp_path):
    write_roboflow(tmp_path)
    (tmp_path / "train/kitchen.jpg").unlink()
    (tmp_path / "train/f_mask.png").unlink()
    assert kinds(open_pairs(tmp_path, "train")) == ["mask alone", "photo alone"]


def test_roboflow_class_files_must_agree(tmp_path):
    write_roboflow(tmp_path)
    write(tmp_path / "valid/_classes.csv", "Pixel Value,Class\n0,background\n3,cat\n7,chair")
    assert len(open_pairs(tmp_path, "val")) == 2
    write(tmp_path / "valid/_classes.csv", "Pixel Value,Class\n0,background\n3,dog\n7,chair")
    message = r"train/_classes.csv and .*valid/_classes.csv disagree: value 3 is 'cat' in the one and 'dog' in the"
    for split in ("train", "val", "test"):
        with pytest.raises(UserError, match=message):
            open_pairs(tmp_path, split)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1 must be `Pixel Value, Class`. Received: nothing"),
        ("filename, cat\n", "line 1 must be `Pixel Value, Class`. Received: filename, cat"),
        ("Pixel Value, Class\n", "names no class"),
        ("Pixel Value, Class\n0, a\nx, b\n", "line 3 must be a pixel value and a class name.* Received: x, b"),
        ("Pixel Value, Class\n0, a\n1\n", "line 3 must be"),
        ("Pixel Value, Class\n0, a\n255, b\n", "line 3: pixel values of classes are 0 to 254"),
        ("Pixel Value, Class\n0, a\n0, b\n", "line 3: repeats the value 0"),
        ("Pixel Value, Class\n0, a\n1, a\n", "line 3: repeats .* the name 'a'"),
    ],
)
def test_faults_of_a_roboflow_class_file_are_named_with_their_line(tmp_path, text, message):
    write_roboflow(tmp_path, text=text)
    with pytest.raises(UserError, match=f"_classes.csv: {message}"):
        open_pairs(tmp_path, "train")


@pytest.mark.parametrize("split", ["all", "valid2", ".."])
def test_roboflow_and_camvid_name_their_splits(tmp_path, split):
    write_roboflow(tmp_path / "roboflow")
    write_camvid(tmp_path / "camvid")
    for layout in ("roboflow", "camvid"):
        with pytest.raises(UserError, match=r"splits there: train, val(id)?, test"):
            open_pairs(tmp_path / layout, split, layout)


# CamVid


def test_camvid_has_segnets_classes_and_no_background(tmp_path):
    write_camvid(tmp_path)
    classes = open_pairs(tmp_path, "test").classes
    assert classes.num_classes == 11
    assert dict(zip(classes.names, classes.colors))["Pavement"] == (60, 40, 222)
    assert (classes.names[0], classes.names[10], classes.void_color) == ("Sky", "Bicyclist", (0, 0, 0))
    assert classes.background is None


def test_camvid_values_beyond_void_are_refused(tmp_path):
    write_camvid(tmp_path)
    save(tmp_path / "trainannot/f.png", np.full((2, 2), 12, np.uint8))
    with pytest.raises(UserError, match=r"f.png: .*12 \(4 pixels\)"):
        inspect_pairs(open_pairs(tmp_path, "train")).require_sound()
