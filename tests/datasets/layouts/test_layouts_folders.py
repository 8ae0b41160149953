"""Plain folders of images and masks: nothing about them is guessed."""

import shutil

import numpy as np
import pytest
from layouts import (
    CVAT_COLORS,
    CVAT_NAMES,
    CVAT_VOID,
    LABELMAP,
    NAMES,
    painted,
    require_truth,
    save,
    scene,
    splits,
    write,
    write_folders,
)
from PIL import Image

from keras_fcn.datasets import find_layout, inspect_pairs, open_pairs
from keras_fcn.errors import UserError
from keras_fcn.images.classes import VOC_CLASS_NAMES


@pytest.mark.parametrize(("masks", "ending"), [("masks", ""), ("labels", "_mask"), ("annotations", "")])
def test_folders_of_several_names(tmp_path, masks, ending):
    truth = write_folders(tmp_path, masks=masks, ending=ending)
    pairs = open_pairs(tmp_path, "all")
    assert pairs.classes.names == ("background", "class1", "class2")
    require_truth(pairs, truth)
    train, val = splits(tmp_path)
    assert (train | val, train & val, len(val)) == (set(NAMES), set(), 2)


@pytest.mark.parametrize("form", ["{split}/{kind}", "{kind}/{split}"])
@pytest.mark.parametrize("val", ["val", "valid", "validation"])
def test_folders_of_splits(tmp_path, form, val):
    truth = write_folders(tmp_path / "flat")
    for split, names in (("train", NAMES[:7]), (val, NAMES[7:])):
        for kind, suffix in (("images", ".jpg"), ("masks", ".png")):
            target = tmp_path / "set" / form.format(split=split, kind=kind)
            target.mkdir(parents=True)
            for name in names:
                shutil.copy(tmp_path / f"flat/{kind}/{name}{suffix}", target)
    assert find_layout(tmp_path / "set") == "folders"
    assert splits(tmp_path / "set") == [set(NAMES[:7]), set(NAMES[7:])]
    require_truth(open_pairs(tmp_path / "set", "val"), truth)
    with pytest.raises(UserError, match=rf"set: has no split 'test'; splits there: train, {val}"):
        open_pairs(tmp_path / "set", "test")


def test_all_splits_have_the_classes_of_the_whole_set(tmp_path):
    for split, num_classes in (("train", 5), ("val", 3)):
        write_folders(tmp_path / split, num_classes=num_classes)
    assert open_pairs(tmp_path, "val").classes.num_classes == 5


def test_21_ids_are_not_vocs_classes(tmp_path):
    write_folders(tmp_path, num_classes=21)
    names = open_pairs(tmp_path, "train").classes.names
    assert names == ("background", *(f"class{index}" for index in range(1, 21)))
    assert names != VOC_CLASS_NAMES


@pytest.mark.parametrize("file", ["classes.txt", "class_names.txt"])
def test_folders_with_a_list_of_names(tmp_path, file):
    truth = write_folders(tmp_path)
    write(tmp_path / file, "floor\nred shirt\n鞋\nnever seen\n", "\r\n", bom=True)
    pairs = open_pairs(tmp_path, "all")
    assert pairs.classes.names == ("floor", "red shirt", "鞋", "never seen")
    require_truth(pairs, truth)
    write(tmp_path / file, "floor\nshirt\n")
    with pytest.raises(UserError, match=r"class id 2 .* is out of range: ids here are 0 to 1"):
        inspect_pairs(open_pairs(tmp_path, "all")).require_sound()


@pytest.mark.parametrize("write_mask", [save, lambda path, ids: save(path, ids, bytes(range(255, -1, -1)) * 3)])
def test_values_are_ids_whatever_a_palette_shows(tmp_path, write_mask):
    truth = write_folders(tmp_path)
    for name in NAMES:
        write_mask(tmp_path / f"masks/{name}.png", truth[name])
    require_truth(open_pairs(tmp_path, "all"), truth)


def test_folders_with_a_labelmap_are_read_by_colour(tmp_path):
    truth = write_folders(tmp_path, num_classes=4)
    for name in NAMES:
        save(tmp_path / f"masks/{name}.png", painted(truth[name], CVAT_COLORS, CVAT_VOID))
    write(tmp_path / "labelmap.txt", LABELMAP)
    pairs = open_pairs(tmp_path, "all")
    assert pairs.classes.names == CVAT_NAMES
    require_truth(pairs, truth)


@pytest.mark.parametrize("mode", ["L", "1", "RGB", "P"])
def test_black_and_white_masks_with_a_labelmap(tmp_path, mode):
    truth = {}
    for seed, name in enumerate(NAMES):
        image, ids = scene(seed, 2)
        truth[name] = ids % 255
        save(tmp_path / f"images/{name}.jpg", image)
        path = tmp_path / f"masks/{name}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(255 * truth[name]).convert(mode).save(path)
    write(tmp_path / "labelmap.txt", "background:0,0,0::\nobject:255,255,255::\n")
    pairs = open_pairs(tmp_path, "all")
    assert pairs.classes.names == ("background", "object")
    require_truth(pairs, truth)


def repaint(root, paint):
    """Writes other masks over those of `write_folders`."""
    for path in (root / "masks").iterdir():
        save(path, paint(np.array(Image.open(path))))


@pytest.mark.parametrize(
    ("paint", "message"),
    [
        (
            lambda ids: 0 * ids,
            "hold only 0, and 255 means void, so nothing is left to learn; write .*/classes.txt with",
        ),
        (lambda ids: ids * 0 + 255, "hold only 255, and 255 means void"),
        (
            lambda ids: np.minimum(ids, 2) * np.uint8(60),
            r"hold 3 values up to 120 \(0, 60, 120.*\), which look like shades",
        ),
        (lambda ids: ids % 3 * np.uint8(10), r"hold the ids 0, 10, 20 only, .*classes.txt with a name .* `20 road`"),
        (lambda ids: ids % 3 // 2 * np.uint8(7), "hold the ids 0, 7 only, and none between"),
        (
            lambda ids: np.where(ids == 1, 254, ids).astype(np.uint8),
            r"hold 3 values up to 254 \(0, 2, 254.*\), which look like shades",
        ),
        (
            lambda ids: painted(ids, [(0, 0, 0), (200, 0, 0), (0, 9, 0)], (255, 255, 255)),
            r"10 of its masks are in colour \((?=.*0,0,0)(?=.*200,0,0)(?=.*0,9,0)(?=.*255,255,255).*\), and no file "
            r"says which class a colour is; write .*/labelmap.txt with a line such as cat:255,0,0:: for each$",
        ),
        (
            lambda ids: np.stack([np.arange(ids.size).reshape(ids.shape) % 200 * 7 % 256, ids, ids], -1).astype(
                "uint8"
            ),
            r"in colour \(([\d,]+; ){7}[\d,]+ and \d+ more\)",
        ),
        (
            lambda ids: ids.astype(np.uint16) * 200,
            r"hold 4 values up to 51000 \(0, 200, 400, 51000\), but ids are 0 to",
        ),
    ],
    ids=["0", "255", "shades", "gaps", "a gap", "254", "colours", "many colours", "16 bits"],
)
def test_nothing_is_guessed(tmp_path, paint, message):
    write_folders(tmp_path)
    repaint(tmp_path, paint)
    with pytest.raises(UserError, match=message) as caught:
        open_pairs(tmp_path, "train")
    assert "\n" not in str(caught.value)


def test_palettes_that_differ_are_refused(tmp_path):
    write_folders(tmp_path, NAMES[:3])
    ids = np.array(Image.open(tmp_path / "masks/kitchen.png"))
    save(tmp_path / "masks/kitchen.png", ids, [0, 0, 0, 200, 0, 0, 0, 200, 0])
    save(tmp_path / f"masks/{NAMES[1]}.png", ids, [0, 0, 0, 0, 200, 0, 200, 0, 0])
    with pytest.raises(UserError, match=r"palette index 1 is (200,0,0|0,200,0) in one and .* indices are no ids"):
        open_pairs(tmp_path, "train")


def test_a_damaged_mask_is_left_to_the_inspection(tmp_path):
    write_folders(tmp_path)
    (tmp_path / "masks/f.png").write_bytes(b"\x89PNG")
    pairs = open_pairs(tmp_path, "all")
    with pytest.raises(UserError, match=r"f.png: cannot be decoded"):
        inspect_pairs(pairs).require_sound()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda root: shutil.copytree(root / "masks", root / "labels"), "masks and .*labels both hold masks; move"),
        (
            lambda root: save(root / "masks/f_mask.png", np.zeros((2, 2), np.uint8)),
            "f_mask.png and f.png are masks of the same",
        ),
        (lambda root: save(root / "images/f.png", np.zeros((2, 2), np.uint8)), "f.png and f.jpg have the same name"),
        (
            lambda root: [
                write(root / name, text) for name, text in (("classes.txt", "a\nb"), ("labelmap.txt", "a:1,2,3::"))
            ],
            "classes.txt and .*labelmap.txt contradict each other: 'b' is in .*classes.txt alone; remove or move",
        ),
        (lambda root: [path.unlink() for path in (root / "masks").iterdir()], "masks: holds no masks; export"),
        (
            lambda root: [path.rename(path.with_name(f"m{path.name}")) for path in sorted((root / "masks").iterdir())],
            "images: none of its 10 images and 10 masks have the same name",
        ),
    ],
)
def test_ambiguous_folders_are_refused(tmp_path, damage, message):
    write_folders(tmp_path)
    damage(tmp_path)
    with pytest.raises(UserError, match=message):
        open_pairs(tmp_path, "train")


def test_orphans_in_folders_are_found_and_left_out(tmp_path):
    write_folders(tmp_path)
    (tmp_path / "images/f.jpg").unlink()
    (tmp_path / "masks/g.png").unlink()
    pairs = open_pairs(tmp_path, "all")
    assert set(pairs.names) == set(NAMES) - {"f", "g"}
    assert [(finding.kind, finding.is_fatal) for finding in pairs.findings] == [
        ("photo alone", False),
        ("mask alone", False),
    ]
    inspect_pairs(pairs).require_sound()
