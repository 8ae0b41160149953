"""Published data sets: the classes of their tables, and what lies beside the masks."""

import numpy as np
import pytest
from layouts import (
    NAMES,
    require_truth,
    save,
    voc_colors,
    write,
    write_ade20k,
    write_cityscapes,
    write_labelme,
    write_pets,
)
from PIL import Image

from keras_fcn.datasets import find_layout, open_pairs
from keras_fcn.datasets.layouts.published import cityscapes
from keras_fcn.errors import UserError

TRAIN_IDS = {
    7: 0, 8: 1, 11: 2, 12: 3, 13: 4, 17: 5, 19: 6, 20: 7, 21: 8, 22: 9, 23: 10, 24: 11, 25: 12, 26: 13, 27: 14, 28: 15,
    31: 16, 32: 17, 33: 18,
}  # fmt: skip
"""Cityscapes' ids of the classes that are evaluated, and their trainIds (cityscapesscripts/helpers/labels.py)."""


@pytest.mark.parametrize(
    ("layout", "expected"), [("auto", TRAIN_IDS), ("cityscapes_all", {i: i - 4 for i in range(4, 34)})]
)
def test_every_id_of_cityscapes(tmp_path, layout, expected):
    write_cityscapes(tmp_path, "abcdefgh")
    every = np.arange(34, dtype=np.uint8)[None]
    save(tmp_path / "gtFine/train/ulm/a_gtFine_labelIds.png", every)
    pairs = open_pairs(tmp_path, "train", layout)
    ids = pairs.read_label(pairs.labels[0])[0]
    assert {value: index for value, index in enumerate(ids.tolist()) if index < 255} == expected
    names = dict(zip(expected.values(), expected))
    assert [pairs.classes.names[index] for index in sorted(names)][:2] == (
        ["road", "sidewalk"] if layout == "auto" else ["static", "dynamic"]
    )
    assert pairs.classes.names[-1] == "bicycle"


def test_published_colours_of_cityscapes():
    classes = cityscapes.CLASSES
    some = {"road": (128, 64, 128), "pole": (153, 153, 153), "rider": (255, 0, 0), "bicycle": (119, 11, 32)}
    assert {name: classes.colors[classes.names.index(name)] for name in some} == some
    assert (len(classes.names), len(cityscapes.ALL_CLASSES.names)) == (19, 30)


def test_train_ids_are_taken_as_they_are(tmp_path):
    truth = write_cityscapes(tmp_path, kinds=("labelIds", "labelTrainIds"))
    pairs = open_pairs(tmp_path, "train")
    assert {path.stem.rpartition("_")[2] for path in pairs.labels} == {"labelTrainIds"}
    assert pairs.mask_notes == ("masks are labelTrainIds, taken as they are",)
    require_truth(pairs, truth)
    (tmp_path / "gtFine/val/ulm/j_gtFine_labelTrainIds.png").unlink()  # one is missing: ids of all are read
    assert {path.stem.rpartition("_")[2] for path in open_pairs(tmp_path, "train").labels} == {"labelIds"}
    write(tmp_path / "classes.csv", "id,name\n" + "".join(f"{value},c{value}\n" for value in range(34)))
    assert open_pairs(tmp_path, "train").classes.names[7] == "c7"


def test_cityscapes_without_such_masks_is_one_line(tmp_path):
    write_cityscapes(tmp_path, "abcdefgh", kinds=())
    with pytest.raises(UserError, match=r"gtFine/train: holds no masks whose names end in _gtFine_labelIds.png"):
        open_pairs(tmp_path, "train", "cityscapes")
    with pytest.raises(UserError, match=r"has no split 'test'; folders of gtFine: train, val"):
        open_pairs(tmp_path, "test", "cityscapes_all")
    with pytest.raises(UserError, match=r"is in no known layout"):  # instances and pictures of colours alone
        open_pairs(tmp_path, "train")


def test_ade20k_without_its_names_says_so(tmp_path):
    truth = write_ade20k(tmp_path)
    pairs = open_pairs(tmp_path, "val")
    assert pairs.classes.names == ("wall", "building, edifice")
    assert pairs.mask_notes == (
        "classes are named by objectInfo150.txt", "value 0, other, is void: it counts nowhere"
    )  # fmt: skip
    (tmp_path / "objectInfo150.txt").unlink()
    for path in list((tmp_path / "images/training").iterdir()):
        path.rename(path.with_name(f"ADE_train_{path.name}"))
        mask = tmp_path / f"annotations/training/{path.stem}.png"
        truth[f"ADE_train_{path.stem}"] = truth[path.stem]
        mask.rename(mask.with_name(f"ADE_train_{mask.name}"))
    pairs = open_pairs(tmp_path, "train")
    assert (pairs.layout, pairs.classes.num_classes, pairs.classes.names[149]) == ("ADE20K", 150, "class150")
    assert pairs.mask_notes[0].startswith("classes are called class1 to class150; with objectInfo150.txt beside")
    require_truth(pairs, truth)


def test_lists_of_pets(tmp_path):
    truth = write_pets(tmp_path, "abcdef")
    write(
        tmp_path / "annotations/list.txt",
        "#Image CLASS-ID SPECIES BREED ID\n" + "".join(f"{n} 1 1 1\n" for n in "abcdef"),
    )
    write(tmp_path / "annotations/trainval.txt", "".join(f"{n} 1 1 1\n" for n in "abcd"))
    write(tmp_path / "annotations/test.txt", "e 5 2 4\nf 25 2 18\n")
    found = {split: open_pairs(tmp_path, split).names for split in ("train", "val", "trainval", "test")}
    assert sorted(found["train"] + found["val"]) == found["trainval"] == list("abcd")
    assert found["test"] == ["e", "f"]
    pairs = open_pairs(tmp_path, "trainval")
    assert pairs.classes.names == ("background", "pet")
    require_truth(pairs, truth)


def test_camvid_of_kaggle_is_read_by_its_colours(tmp_path):
    colors = {"Animal": (64, 128, 64), "Void": (0, 0, 0), "Bicyclist": (0, 128, 192)}
    write(
        tmp_path / "class_dict.csv", "name,r,g,b\n" + "".join(f"{n},{r},{g},{b}\n" for n, (r, g, b) in colors.items())
    )
    for split in ("train", "val", "test"):
        save(tmp_path / f"{split}/{split}1.png", np.zeros((3, 2, 3), np.uint8))
        save(tmp_path / f"{split}_labels/{split}1_L.png", np.uint8([[color] * 2 for color in colors.values()]))
    pairs = open_pairs(tmp_path, "val")
    assert (find_layout(tmp_path), pairs.classes.names) == ("folders", ("Animal", "Bicyclist"))
    assert pairs.read_label(pairs.labels[0]).tolist() == [[0, 0], [255, 255], [1, 1]]


def test_masks_of_an_older_labelme(tmp_path):
    truth = write_labelme(tmp_path, NAMES[:4])
    (tmp_path / "SegmentationClass").rename(tmp_path / "SegmentationClassPNG")
    (tmp_path / "SegmentationClassNpy").rename(tmp_path / "SegmentationClass")
    pairs = open_pairs(tmp_path, "all")
    assert (find_layout(tmp_path), pairs.classes.names) == ("labelme", ("_background_", "cat", "猫"))
    assert Image.open(pairs.labels[0]).getpalette() == voc_colors()
    require_truth(pairs, truth)
    assert pairs.findings == ()
