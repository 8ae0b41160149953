"""Splits of other names, lists of other forms, and training images without validation images."""

import shutil

import pytest
from layouts import (
    NAMES,
    require_truth,
    save,
    scene,
    splits,
    write,
    write_camvid,
    write_cvat,
    write_folders,
    write_labelme,
    write_roboflow,
    write_voc,
)

from keras_fcn.datasets import find_layout, inspect_pairs, open_pairs, open_splits
from keras_fcn.datasets.splits import followers, split_named, split_to_read
from keras_fcn.errors import UserError


@pytest.mark.parametrize(
    ("names", "split", "expected"),
    [
        (("training", "validation"), "train", "training"),
        (("Train", "Val"), "val", "Val"),
        (("train2017", "val2017"), "train", "train2017"),
        (("TRAIN", "train"), "train", "train"),
        (("trainval", "val"), "train", None),
        (("test", "Testing"), "test", "test"),
        (("Day",), "day", "Day"),
        (("days",), "day", None),
    ],
)
def test_names_of_splits(names, split, expected):
    assert split_named(names, split) == expected


@pytest.mark.parametrize(
    ("names", "split", "expected"),
    [
        (("Train", "Test"), "val", ("Train", True)),
        (("Train", "Test"), "test", ("Test", False)),
        (("train", "valid"), "val", ("valid", False)),
        (("test",), "val", (None, False)),
    ],
)
def test_only_training_images_are_divided(names, split, expected):
    assert split_to_read(names, split) == expected


@pytest.mark.parametrize("form", ["{split}/{kind}", "{kind}/{split}"])
@pytest.mark.parametrize(
    ("train", "val", "images", "masks"),
    [
        ("training", "validation", "Images", "annotations"),
        ("Train", "Val", "img", "gt"),
        ("train2017", "val2017", "image", "label"),
    ],
)
def test_folders_of_other_names(tmp_path, form, train, val, images, masks):
    truth = write_folders(tmp_path / "flat")
    for split, names in ((train, NAMES[:7]), (val, NAMES[7:])):
        for kind, of, suffix in ((images, "images", ".jpg"), (masks, "masks", ".png")):
            target = tmp_path / "set" / form.format(split=split, kind=kind)
            target.mkdir(parents=True)
            for name in names:
                shutil.copy(tmp_path / f"flat/{of}/{name}{suffix}", target)
    assert find_layout(tmp_path / "set") == "folders"
    assert splits(tmp_path / "set") == [set(NAMES[:7]), set(NAMES[7:])]
    require_truth(open_pairs(tmp_path / "set", "val"), truth)


def remove_all_but_train(root):
    for folder in ("valid", "val", "valannot", "test", "testannot"):
        shutil.rmtree(root / folder, ignore_errors=True)
    for path in root.glob("ImageSets/Segmentation/val.txt"):
        path.rename(path.with_name("Test.txt"))


@pytest.mark.parametrize("writer", [write_roboflow, write_camvid, write_voc])
def test_training_images_alone_are_divided(tmp_path, writer):
    truth = writer(tmp_path)
    before = set(open_pairs(tmp_path, "train").names)
    remove_all_but_train(tmp_path)
    pairs = [open_pairs(tmp_path, split) for split in ("train", "val")]
    train, val = (set(each.names) for each in pairs)
    assert (train | val, train & val, len(val)) == (before, set(), 1)
    for each in pairs:
        require_truth(each, truth)
        assert "a fifth of the images of " in each.note
        assert each.note.endswith(", chosen by their names, is val")


def test_training_images_stay_whole_beside_another_split_for_validation(tmp_path):
    write_voc(tmp_path)
    remove_all_but_train(tmp_path)
    assert [len(pairs) for pairs in open_splits(tmp_path, ("train", "val"))] == [6, 1]
    train, test = open_splits(tmp_path, ("train", "test"))
    assert (train.split, len(train), len(test), train.note) == ("train", 7, 3, "")


@pytest.mark.parametrize(
    "line",
    [
        "{}.jpg", "JPEGImages/{}.jpg", "/data/set/JPEGImages/{}.JPG", "./{}", "SET\\{}.jpg",
        "/JPEGImages/{}.jpg /SegmentationClass/{}.png", "{}.jpg,{}.png", "{}\t{}", '"{}.jpg" "{}.png"',
        "JPEGImages/{}.jpg;SegmentationClass/{}.png",
    ],
)  # fmt: skip
@pytest.mark.parametrize("writer", [write_voc, write_cvat])
def test_lists_with_suffixes_paths_or_two_columns(tmp_path, writer, line):
    truth = writer(tmp_path)
    write(tmp_path / "ImageSets/Segmentation/train.txt", "".join(line.format(name, name) + "\n" for name in NAMES[:6]))
    write(tmp_path / "ImageSets/Segmentation/val.txt", "".join(f"{name}\n" for name in NAMES[6:]))
    pairs = open_pairs(tmp_path, "train")
    assert pairs.names == NAMES[:6]
    assert [finding for finding in pairs.findings if finding.is_fatal] == []
    require_truth(pairs, truth)


def test_a_second_column_names_the_mask(tmp_path):
    write_voc(tmp_path)
    other = scene(99, 21)[1]
    save(tmp_path / "SegmentationClassAug/f.png", other)
    listed = tmp_path / "ImageSets/Segmentation/train.txt"
    write(listed, "JPEGImages/f.jpg SegmentationClassAug/f.png\n")
    assert open_pairs(tmp_path, "train").labels == (tmp_path / "SegmentationClassAug/f.png",)
    write(listed, "JPEGImages/f.jpg SegmentationClassAug/g.png\n")
    with pytest.raises(UserError, match=r"SegmentationClassAug/g.png: no such file$"):
        inspect_pairs(open_pairs(tmp_path, "train")).require_sound()
    write(listed, "JPEGImages/f.jpg\nf\n")
    with pytest.raises(UserError, match="lists 'f' more than once"):
        open_pairs(tmp_path, "train")


@pytest.mark.parametrize("ending", ["_label", "_gt", "_seg", "_L", "_P", "-mask", ".jpg", "_GT", "_labels"])
@pytest.mark.parametrize("writer", [write_folders, write_labelme, write_camvid])
def test_masks_with_common_endings(tmp_path, writer, ending):
    truth = writer(tmp_path)
    for folder in ("masks", "SegmentationClass", "trainannot"):
        for path in sorted((tmp_path / folder).glob("*.png")):
            path.rename(path.with_name(f"{path.stem}{ending}.png"))
    pairs = open_pairs(tmp_path, "train")
    assert pairs.findings == ()
    require_truth(pairs, truth)


def test_frames_that_nobody_annotated_are_left_out(tmp_path):
    truth = write_cvat(tmp_path)
    for name in NAMES[::2]:
        (tmp_path / f"SegmentationClass/{name}.png").unlink()
    train, val = (open_pairs(tmp_path, split) for split in ("train", "val"))
    assert (sorted([*train.names, *val.names]), len(val)) == (sorted(NAMES[1::2]), 1)
    require_truth(train, truth)
    assert [(finding.kind, finding.is_fatal) for finding in train.findings] == [("missing mask", False)] * 5
    for path in (tmp_path / "SegmentationClass").iterdir():
        path.rename(path.with_stem("none"))
        break
    write(tmp_path / "ImageSets/Segmentation/train.txt", f"{NAMES[0]}\n{NAMES[2]}\n")
    with pytest.raises(UserError, match=r"train.txt: none of the 2 images that it lists has a mask"):
        open_pairs(tmp_path, "train")


@pytest.mark.parametrize("writer", [write_voc, write_cvat])
def test_masks_in_no_list_are_counted(tmp_path, writer):
    writer(tmp_path)
    for path in (tmp_path / "ImageSets/Segmentation").iterdir():
        path.unlink()
    write(tmp_path / "ImageSets/Segmentation/train.txt", "".join(f"{name}\n" for name in NAMES[:7]))
    (finding,) = open_pairs(tmp_path, "train").findings
    assert (finding.kind, finding.is_fatal, finding.count) == ("not listed", False, 3)
    assert "no list has the images of 3 masks" in str(finding)


def test_frames_of_a_video_are_told(tmp_path):
    assert followers(["clip_041", "other_9", "x"], ["clip_40", "clip_42", "clip_99", "other_7", "y"]) == 1
    write_folders(tmp_path, [f"clip_{number:03}" for number in range(20)])
    note = open_pairs(tmp_path, "train").note
    assert note == open_pairs(tmp_path, "val").note
    assert "4 of these 4 are neighbours of training images by number: if they are frames of a video" in note


@pytest.mark.parametrize("writer", [write_cvat, write_labelme, write_folders, write_voc])
def test_images_without_mask_may_be_background(tmp_path, writer):
    truth = writer(tmp_path)
    folder = next(tmp_path / name for name in ("masks", "SegmentationClass") if (tmp_path / name).is_dir())
    for name in NAMES[3:5] + NAMES[8:9]:
        (folder / f"{name}.png").unlink()
        truth[name][...] = 0
    pairs = [open_pairs(tmp_path, split, unlabelled="background") for split in ("train", "val")]
    assert sorted([*pairs[0].names, *pairs[1].names]) == sorted(NAMES)
    for each in pairs:
        assert each.findings == ()
        require_truth(each, truth)


def test_background_needs_a_class_of_that_name(tmp_path):
    write_camvid(tmp_path)
    with pytest.raises(UserError, match=r"unlabelled='background': no class is called background; there are Sky, "):
        open_pairs(tmp_path, "train", unlabelled="background")


@pytest.mark.parametrize(
    ("images", "masks"), [("train", "train_masks"), ("Train_images", "Train_Labels"), ("training", "training_gt")]
)
def test_folders_of_splits_beside_each_other(tmp_path, images, masks):
    truth = write_folders(tmp_path, ending="_mask")
    (tmp_path / "images").rename(tmp_path / images)
    (tmp_path / "masks").rename(tmp_path / masks)
    pairs = open_pairs(tmp_path, "train")
    assert (len(pairs), len(open_pairs(tmp_path, "val"))) == (8, 2)
    require_truth(pairs, truth)


@pytest.mark.parametrize("folder", [".", "ImageSets/Segmentation", "ImageSets", "splits"])
def test_lists_beside_plain_folders_are_used(tmp_path, folder):
    truth = write_folders(tmp_path)
    write(tmp_path / folder / "train.txt", "".join(f"images/{name}.jpg masks/{name}.png\n" for name in NAMES[:5]))
    write(tmp_path / folder / "Val.txt", "".join(f"{name}\n" for name in NAMES[5:8]))
    pairs = [open_pairs(tmp_path, split, "folders") for split in ("train", "val")]
    assert [set(each.names) for each in pairs] == [set(NAMES[:5]), set(NAMES[5:8])]
    for each in pairs:
        require_truth(each, truth)
        assert [(finding.kind, finding.count) for finding in each.findings] == [("not listed", 2)]
    write(tmp_path / folder / "Val.txt", "nobody\n")
    with pytest.raises(UserError, match=r"Val.txt: the image of 'nobody' is missing"):
        open_pairs(tmp_path, "val", "folders")
    (tmp_path / folder / "Val.txt").unlink()
    assert [len(open_pairs(tmp_path, split, "folders")) for split in ("train", "val")] == [4, 1]
