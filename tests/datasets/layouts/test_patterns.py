"""Images and masks told by patterns: folders as people have them, and what is wrong with patterns."""

import dataclasses
import re

import numpy as np
import pytest
from conftest import Call
from layouts import kinds, save, write

from keras_fcn.commands.evaluate import EvaluateOptions
from keras_fcn.datasets import inspect_pairs, open_pairs
from keras_fcn.errors import UserError
from keras_fcn.runs.config import TrainConfig
from keras_fcn.runs.config_files import read_config
from keras_fcn.runs.folder import RunFolder
from keras_fcn.system.files import write_json
from keras_fcn.training.inputs.data import open_training_data

SIZE = 8, 9


def put(root, *names, ids=None):
    """Writes images, or masks of these ids in stripes."""
    for number, name in enumerate(names):
        pixels = np.random.default_rng(number).integers(0, 256, (*SIZE, 3), np.uint8)
        save(root / name, pixels if ids is None else np.resize(np.uint8(ids), SIZE))


def listed(root, split, images, masks):
    """Returns the paths of images and masks of a split, relative to the folder."""
    pairs = open_pairs(root, split, images=images, masks=masks)
    return [
        (image.relative_to(root).as_posix(), mask.relative_to(root).as_posix())
        for image, mask in zip(pairs.images, pairs.labels, strict=True)
    ]


FOLDERS = {
    "loveda": (
        "{split}/*/images_png/{name}.png",
        "{split}/*/masks_png/{name}.png",
        [(f"Train/{r}/images_png/{n}.png", f"Train/{r}/masks_png/{n}.png") for r in ("Rural", "Urban") for n in "12"],
        [("Val/Urban/images_png/1.png", "Val/Urban/masks_png/1.png")],
    ),
    "mmseg": (
        "img_dir/{split}/{name}.tif",
        "ann_dir/{split}/{name}_15label.png",
        [(f"img_dir/train/{n}.tif", f"ann_dir/train/{n}_15label.png") for n in "ab"],
        [("img_dir/val/c.tif", "ann_dir/val/c_15label.png")],
    ),
    "prepped": (
        "images_prepped_{split}/{name}.png",
        "annotations_prepped_{split}/{name}.png",
        [(f"images_prepped_train/{n}.png", f"annotations_prepped_train/{n}.png") for n in "ab"],
        [("images_prepped_test/c.png", "annotations_prepped_test/c.png")],
    ),
    "zones": (
        "{split}/{name}__*.png",
        "{split}/{name}_zones__*.png",
        [(f"train/a__1_{n}.png", f"train/a_zones__1_{n}.png") for n in "23"],
        [("val/b__1_2.png", "val/b_zones__1_2.png")],
    ),
    "cityscapes": (
        "leftImg8bit/{split}/*/{name}_leftImg8bit.png",
        "gtFine/{split}/*/{name}_gtFine_labelIds.png",
        [(f"leftImg8bit/train/ulm/u_{n}_leftImg8bit.png", f"gtFine/train/ulm/u_{n}_gtFine_labelIds.png") for n in "12"],
        [("leftImg8bit/val/bonn/b_1_leftImg8bit.png", "gtFine/val/bonn/b_1_gtFine_labelIds.png")],
    ),
    "depths": (
        "in/**/{name}.JPG",
        "gt/**/{name}.png",
        [("in/a.jpg", "gt/a.png"), ("in/x/a.jpg", "gt/x/a.png"), ("in/x/y/b.jpg", "gt/x/y/b.png")],
        [],
    ),
    "one folder": ("{name}.png", "{name}_m.png", [(f"{n}.png", f"{n}_m.png") for n in "ab"], []),
    "prefixes": ("image_{name}.png", "gt_{name}.png", [(f"image_000{n}.png", f"gt_000{n}.png") for n in "12"], []),
    "wildcards that differ": (
        "in/{name}_*.png", "gt/{name}_*.png", [("in/a_11.png", "gt/a_5.png"), ("in/b_12.png", "gt/b_6.png")], []
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", FOLDERS)
def test_folders_as_people_have_them_are_paired(case, tmp_path):
    images, masks, train, other = FOLDERS[case]
    put(tmp_path, *(image for image, _ in train + other))
    put(tmp_path, *(mask for _, mask in train + other), ids=[0, 1, 2])
    if "{split}" not in images:
        assert sorted(listed(tmp_path, "all", images, masks)) == train
    else:
        split = "test" if case == "prepped" else "val"
        if split == "val":  # otherwise training images are divided
            assert listed(tmp_path, "train", images, masks) == train
        assert listed(tmp_path, split, images, masks) == other
    pairs = open_pairs(tmp_path, "train" if "{split}" in images else "all", images=images, masks=masks)
    assert pairs.findings == inspect_pairs(pairs).findings == ()
    assert pairs.classes.num_classes == 3
    assert len(set(pairs.names)) == len(pairs)


def test_training_images_without_val_are_divided(tmp_path):
    put(tmp_path, *(f"rgb/{n}.png" for n in range(10)))
    put(tmp_path, *(f"out/{n}.png" for n in range(10)), ids=[0, 1])
    train, val = (listed(tmp_path, split, "rgb/{name}.png", "out/{name}.png") for split in ("train", "val"))
    assert (len(train), len(val), len({*train, *val})) == (8, 2, 10)


def test_lists_beside_the_folders_are_the_splits(tmp_path):
    put(tmp_path, *(f"rgb/{n}.png" for n in "abc"))
    put(tmp_path, *(f"out/{n}_t.png" for n in "abc"), ids=[0, 1])
    write(tmp_path / "train.txt", "a\nc\n")
    write(tmp_path / "val.txt", "b\n")
    patterns = "rgb/{name}.png", "out/{name}_t.png"
    assert listed(tmp_path, "train", *patterns) == [("rgb/a.png", "out/a_t.png"), ("rgb/c.png", "out/c_t.png")]
    assert listed(tmp_path, "val", *patterns) == [("rgb/b.png", "out/b_t.png")]


def test_classes_are_those_of_the_file_and_of_the_masks_of_all_splits(tmp_path):
    put(tmp_path, "x/train/a.png", "x/val/b.png")
    put(tmp_path, "y/train/a.png", ids=[0, 1])
    put(tmp_path, "y/val/b.png", ids=[0, 1, 2])
    put(tmp_path, "y/train/a_instances.png", ids=[0, 9])
    patterns = {"images": "x/{split}/{name}.png", "masks": "y/{split}/{name}.png"}
    pairs = open_pairs(tmp_path, "train", **patterns)
    assert (pairs.classes.num_classes, kinds(pairs)) == (3, ["mask alone"])  # {name} is a_instances, too
    (tmp_path / "y/train/a_instances.png").rename(tmp_path / "y/train/a.jpeg")
    pairs = open_pairs(tmp_path, "train", **patterns)
    assert pairs.classes.num_classes == 3
    assert pairs.mask_notes == ("1 .jpeg matches neither pattern and is not read (such as y/train/a.jpeg)",)
    write(tmp_path / "classes.txt", "ground\nroad\nsky\nsea\n")
    assert open_pairs(tmp_path, "train", **patterns).classes.names == ("ground", "road", "sky", "sea")


def test_what_has_no_partner_is_found(tmp_path):
    put(tmp_path, "x/a.png", "x/b.png", "x/c.png")
    put(tmp_path, "y/a.png", "y/b.png", "y/a_mask.png", ids=[0, 1])
    assert kinds(open_pairs(tmp_path, "all", images="x/{name}.png", masks="y/{name}.png")) == [
        "mask alone",
        "photo alone",
    ]


WRONG = {
    "images alone": (("x/{name}.png", None), "images says where images are; give masks, too"),
    "masks alone": ((None, "x/{name}.png"), "masks says where masks are; give images, too"),
    "no name": (("x/*.png", "y/{name}.png"), r"images takes .*\{name\} is missing. Received: x/\*.png"),
    "another word": (("x/{name}_{tile}.png", "y/{name}.png"), r"\{tile\} is none of these"),
    "nothing": (("z/{name}.png", "y/{name}.png"), r"images=.* nothing in .* 5 .png and 1 .jpg, such as j/a"),
    "no such suffix": (("x/{name}.tif", "y/{name}.png"), r"matches nothing in .*; there are 2 .png, such as x/a_1.png"),
    "one mask for two": (("x/{name}_*.png", "y/{name}.png"), r"a_1.png and .*a_2.png are both 'a' .* have one mask"),
    "nothing pairs": (("x/{name}.png", "y/{name}.png"), r"none of the 2 images and 2 masks .* x/a_1.png and y/a.png"),
    "no split": (("{split}/{name}_1.png", "y/{name}.png"), "has no split 'val'; splits by the patterns: x"),
    "no PNGs": (("x/{name}_1.png", "j/{name}.jpg"), r"masks='j/\{name\}.jpg' matches 1 .jpg, .* are PNGs, TIFFs and"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_wrong_patterns_are_one_line(case, tmp_path):
    (images, masks), message = WRONG[case]
    put(tmp_path, "x/a_1.png", "x/a_2.png")
    put(tmp_path, "y/a.png", "y/b.png", ids=[0, 1])
    put(tmp_path, "z2/c.png", "j/a.jpg")
    with pytest.raises(UserError, match=message):
        open_pairs(tmp_path, "val", images=images, masks=masks)


def test_two_masks_of_an_image_are_refused(tmp_path):
    put(tmp_path, "x/a.png")
    put(tmp_path, "y/1/a.png", "y/2/a.png", ids=[0, 1])
    message = re.escape(f"{tmp_path}/y/1/a.png and {tmp_path}/y/2/a.png are both 'a' by masks='y/**/{{name}}.png', so")
    with pytest.raises(UserError, match=message + " they would have one image"):
        open_pairs(tmp_path, "all", images="x/{name}.png", masks="y/**/{name}.png")


def test_patterns_of_the_same_files_are_refused(tmp_path):
    put(tmp_path, "x/a.png")
    with pytest.raises(UserError, match=r"both match .*a.png, one of 1; say what tells masks from images"):
        open_pairs(tmp_path, "all", images="x/{name}.png", masks="x/{name}.png")


@pytest.mark.parametrize("folder", ["x/val", "y/val"])
def test_an_empty_split_is_refused(folder, tmp_path):
    put(tmp_path, "x/train/a.png", "x/train/b.png", "x/val/c.png")
    put(tmp_path, "y/train/a.png", "y/train/b.png", "y/val/c.png", ids=[0, 1])
    (tmp_path / folder / "c.png").unlink()
    if folder == "x/val":
        (tmp_path / "y/val/c.png").unlink()
    with pytest.raises(UserError, match=r"val: holds no file that images|none of the 1 images of the split 'val' has"):
        open_pairs(tmp_path, "val", images="x/{split}/{name}.png", masks="y/{split}/{name}.png")


def test_patterns_exclude_a_layout(tmp_path):
    put(tmp_path, "x/a.png")
    with pytest.raises(UserError, match="images and layout='voc' exclude each other"):
        open_pairs(tmp_path, "all", "voc", images="x/{name}.png", masks="y/{name}.png")


# The commands

GIVEN = {"images": "rgb/{split}/{name}.png", "masks": "out/{split}/{name}_t.png"}
WORDS = [word for name, text in GIVEN.items() for word in (f"--{name}", text)]


@pytest.fixture
def root(tmp_path):
    root = tmp_path / "data"
    put(root, "rgb/train/a.png", "rgb/train/b.png", "rgb/val/c.png")
    put(root, "out/train/a_t.png", "out/train/b_t.png", "out/val/c_t.png", ids=[0, 1, 2])
    return root


def test_patterns_reach_the_check_and_the_conversion(root, tmp_path):
    call = Call("keras_fcn/check.py", root, *WORDS)
    assert (call.status, call.err) == (0, "")
    assert f"{root}: images and masks by patterns, 3 classes" in call.out
    assert Call("keras_fcn/convert.py", root, tmp_path / "voc", *WORDS).status == 0
    assert (tmp_path / "voc/ImageSets/Segmentation/train.txt").read_text() == "a\nb\n"
    (root / "out/train/b_t.png").unlink()
    call = Call("keras_fcn/convert.py", root, tmp_path / "less", *WORDS)
    check = f"python -m keras_fcn.check {root} --images '{GIVEN['images']}' --masks '{GIVEN['masks']}' says which"
    assert "1 file is left out (1 x photo alone): " + check in call.out


def test_patterns_are_kept_with_the_run(root, tmp_path):
    config = TrainConfig(data=str(root), **GIVEN)
    write_json(tmp_path / "run/config.json", config.to_dict())
    assert read_config(tmp_path / "run/config.json") == config
    data = open_training_data(config.dataset, "none", None, [].append)
    assert (len(data.pairs), len(data.validation), data.pairs.classes.num_classes) == (2, 1, 3)

    def patterns(**options):
        data = EvaluateOptions(models=(tmp_path / "run",), **options).dataset()
        return data.layout, data.images, data.masks

    assert patterns() == patterns(data=str(root)) == ("auto", *GIVEN.values())
    assert patterns(data="other") == ("auto", None, None)
    assert patterns(data="other", images="a", masks="b") == patterns(images="a", masks="b") == ("auto", "a", "b")
    assert patterns(layout="folders") == ("folders", None, None)


def test_masks_of_other_patterns_are_not_read_as_those_of_the_run(root, tmp_path):
    write_json(tmp_path / "run/config.json", TrainConfig(data=str(root), **GIVEN).to_dict())
    RunFolder(tmp_path / "run").keep_reading("black_and_white", ())
    evaluate = EvaluateOptions(models=(tmp_path / "run",))
    assert evaluate.reading(evaluate.dataset()) == "black_and_white"
    other = dataclasses.replace(evaluate.dataset(), masks="gt/{split}/{name}.png")
    assert evaluate.reading(other) == ""
