"""Exports of CVAT and labelme: their classes, lists and faults."""

import shutil

import pytest
from layouts import (
    CVAT_COLORS,
    CVAT_NAMES,
    CVAT_VOID,
    LABELMAP,
    NAMES,
    kinds,
    require_truth,
    splits,
    write,
    write_cvat,
    write_labelme,
)

from keras_fcn.datasets import inspect_pairs, open_pairs
from keras_fcn.errors import UserError

# CVAT


@pytest.mark.parametrize(("newline", "bom"), [("\n", False), ("\r\n", False), ("\r\n", True), ("\n", True)])
def test_cvat_classes_are_those_of_the_labelmap(tmp_path, newline, bom):
    truth = write_cvat(tmp_path, newline=newline, bom=bom)
    pairs = open_pairs(tmp_path, "all")
    assert (pairs.classes.names, pairs.classes.colors) == (CVAT_NAMES, CVAT_COLORS)
    assert (pairs.classes.void_color, pairs.classes.background) == (CVAT_VOID, 0)
    assert pairs.names == NAMES
    require_truth(pairs, truth)


@pytest.mark.parametrize("lists", [("train", "val"), ("Train", "Validation"), ("train", "valid", "test")])
def test_cvat_lists_are_used_where_there_are_some(tmp_path, lists):
    write_cvat(tmp_path, lists=lists)
    assert splits(tmp_path) == [set(NAMES[0 :: len(lists)]), set(NAMES[1 :: len(lists)])]
    with pytest.raises(UserError, match=r"ImageSets/Segmentation/trial.txt: no such split list; lists there: .*rain"):
        open_pairs(tmp_path, "trial")


def test_cvat_default_list_is_divided(tmp_path):
    write_cvat(tmp_path)
    train, val = splits(tmp_path)
    assert (train | val, train & val, len(val)) == (set(NAMES), set(), 2)
    assert open_pairs(tmp_path, "default").names == NAMES


def test_cvat_names_may_hold_folders(tmp_path):
    names = ["kitchen/a", "garden/a", "garden/hut/b", "c", "x y/厨房"]
    truth = write_cvat(tmp_path, names)
    pairs = open_pairs(tmp_path, "all")
    assert pairs.images[1] == tmp_path / "JPEGImages/garden/a.jpg"
    require_truth(pairs, truth, lambda path: path.relative_to(tmp_path / "JPEGImages").as_posix().removesuffix(".jpg"))


@pytest.mark.parametrize("leave", [lambda folder: shutil.rmtree(folder), lambda folder: None])
def test_cvat_without_images_says_where_they_belong(tmp_path, leave):
    write_cvat(tmp_path)
    for path in (tmp_path / "JPEGImages").iterdir():
        path.unlink()
    leave(tmp_path / "JPEGImages")
    with pytest.raises(UserError, match=r"JPEGImages: (holds no images|no such folder); .*put them there"):
        open_pairs(tmp_path, "train")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("cat:4,4,4::", r"line 8: the name 'cat' is already in line 2"),
        ("dog:255,0,0::", r"line 8: the colour 255,0,0 is already in line 2"),
        ("dog:9,9,9::", r"line 8: the colour 9,9,9 is already in line 5"),
        ("dog:4,4,4", r"line 8 has 2 fields, .* as in cat:255,0,0:: Received: dog:4,4,4$"),
        ("dog:4,4,4:::", r"line 8 has 5 fields"),
        (":4,4,4::", r"line 8 has 4 fields"),
        ("dog:::", r"line 8: the colour of 'dog' must be three numbers from 0 to 255, .* Received: nothing"),
        ("dog:4,4::", r"line 8: .* Received: 4,4$"),
        ("dog:4,4,256::", r"line 8: .* Received: 4,4,256$"),
        ("dog:4,-4,4::", r"line 8: .* Received: 4,-4,4$"),
        ("dog:4,x,4::", r"line 8: .* Received: 4,x,4$"),
        ("dog:4,²,4::", r"line 8: .* Received: 4,²,4$"),
        ("void:4,4,4::", r"line 5 and line 8 are both void \(__ignore__, void\)"),
    ],
)
def test_faults_of_a_labelmap_are_named_with_their_line(tmp_path, line, message):
    write_cvat(tmp_path, NAMES[:2])
    write(tmp_path / "labelmap.txt", LABELMAP + line)
    with pytest.raises(UserError, match=rf"labelmap.txt: {message}") as caught:
        open_pairs(tmp_path, "train")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"# label:color_rgb:parts:actions\n\n", "names no class"),
        (b"void:0,0,0::\n", "names no class"),
        ("cat:1,1,1::".encode("utf-16"), "is not UTF-8 text"),
        ("".join(f"c{i}:{i},0,0::\n" for i in range(255)).encode(), "holds 1 to 254 classes. Received: 255"),
    ],
)
def test_a_labelmap_as_a_whole(tmp_path, data, message):
    write_cvat(tmp_path, NAMES[:2])
    (tmp_path / "labelmap.txt").write_bytes(data)
    with pytest.raises(UserError, match=f"labelmap.txt: .*{message}"):
        open_pairs(tmp_path, "train")


@pytest.mark.parametrize("name", ["void", "Ignore", "__ignore__", "unlabeled", "_void_"])
def test_a_label_of_void_is_no_class(tmp_path, name):
    write_cvat(tmp_path, NAMES[:2])
    write(tmp_path / "labelmap.txt", LABELMAP.replace("__ignore__", name))
    classes = open_pairs(tmp_path, "train").classes
    assert (classes.names, classes.void_color) == (CVAT_NAMES, CVAT_VOID)


def test_void_takes_a_colour_that_no_class_has(tmp_path):
    write_cvat(tmp_path, NAMES[:2])
    write(tmp_path / "labelmap.txt", "sky:0,0,0::\nsnow:224,224,192::\n")
    classes = open_pairs(tmp_path, "train").classes
    assert (classes.names, classes.background) == (("sky", "snow"), None)
    assert classes.void_color not in classes.colors


def test_cvat_without_lists_is_divided_and_orphans_are_found(tmp_path):
    write_cvat(tmp_path)
    shutil.rmtree(tmp_path / "ImageSets")
    (tmp_path / "JPEGImages/f.jpg").unlink()
    (tmp_path / "SegmentationClass/g.png").unlink()
    train, val = splits(tmp_path)
    assert train | val == set(NAMES) - {"f", "g"}
    assert kinds(open_pairs(tmp_path, "train")) == ["mask alone", "photo alone"]


def test_a_missing_image_of_a_list_is_fatal(tmp_path):
    write_cvat(tmp_path)
    (tmp_path / "JPEGImages/f.jpg").unlink()
    with pytest.raises(UserError, match="the image of 'f' is missing"):
        inspect_pairs(open_pairs(tmp_path, "all")).require_sound()


def test_accents_match_however_they_are_stored(tmp_path):
    """macOS writes "é" as two characters into file names, lists hold one."""
    write_cvat(tmp_path, ["e\u0301te\u0301", "b"])
    write(tmp_path / "ImageSets/Segmentation/default.txt", "\u00e9t\u00e9\nb\n")
    assert len(open_pairs(tmp_path, "all")) == 2


# labelme


@pytest.mark.parametrize(
    "text", ["__ignore__\n_background_\ncat\n猫\n", "_background_\ncat\n猫", "x\r\ny\r\nz\r\n\r\n"]
)
def test_labelme_names_are_those_of_the_list(tmp_path, text):
    truth = write_labelme(tmp_path, text=text)
    pairs = open_pairs(tmp_path, "all")
    assert list(pairs.classes.names) == [name for name in text.split() if name != "__ignore__"]
    assert pairs.classes.colors == ((0, 0, 0), (128, 0, 0), (0, 128, 0))
    assert pairs.classes.background == (0 if "_background_" in text else None)
    require_truth(pairs, truth)
    train, val = splits(tmp_path)
    assert (train | val, train & val, len(val)) == (set(NAMES), set(), 2)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("\n\n", "lists no classes"),
        ("__ignore__\n", "lists no classes"),
        ("a\n\nb\n", "line 2 is empty"),
        ("__ignore__\na\nb\na\n", "line 4: the name 'a' is already in line 2"),
        ("a\n__ignore__\n", "line 2: __ignore__ may only be the first line"),
    ],
)
def test_faults_of_a_list_of_names_are_named_with_their_line(tmp_path, text, message):
    write_labelme(tmp_path, NAMES[:2], text)
    with pytest.raises(UserError, match=f"class_names.txt: {message}"):
        open_pairs(tmp_path, "train")


def test_labelme_masks_with_more_classes_than_names_are_refused(tmp_path):
    write_labelme(tmp_path, text="_background_\ncat\n")
    with pytest.raises(UserError, match=r"colour \(0, 128, 0\) .* belongs to no class"):
        inspect_pairs(open_pairs(tmp_path, "train")).require_sound()


def test_masks_that_are_jpegs_are_refused(tmp_path):
    write_labelme(tmp_path, NAMES[:2])
    for path in sorted((tmp_path / "SegmentationClass").iterdir()):
        path.rename(path.with_suffix(".jpg"))
    with pytest.raises(UserError, match=r"SegmentationClass: holds no masks, but 2 .jpg, whose colours are not exact"):
        open_pairs(tmp_path, "train")
