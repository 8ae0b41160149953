"""Folders as other programs keep them for their own tests: read rightly, or refused by a line that says what to do."""

import re

import numpy as np
import pytest
from layouts import save, write
from test_pattern_search import masks, photos

from keras_fcn.datasets import open_pairs
from keras_fcn.errors import UserError

NOTE = "no known layout, but these patterns pair all "


def opened(root, split="train"):
    """Returns the names of images and masks of a split, and what was said first."""
    pairs = open_pairs(root, split)
    names = [[path.relative_to(root).as_posix() for path in paths] for paths in (pairs.images, pairs.labels)]
    return list(zip(*names)), (*pairs.mask_notes, "")[0]


def refused(root, split="train"):
    with pytest.raises(UserError) as caught:
        open_pairs(root, split)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_images_of_several_suffixes_in_one_folder(tmp_path):
    photos(tmp_path, "pics/a.v1.jpg", "pics/b.PNG", "pics/c.jpeg")
    masks(tmp_path, *(f"seg/{name}.png" for name in ("a.v1", "b", "c")))
    found, note = opened(tmp_path, "all")
    assert found == [(f"pics/{name}", f"seg/{name.rpartition('.')[0]}.png") for name in ("a.v1.jpg", "b.PNG", "c.jpeg")]
    assert note == f"{NOTE}3 images with 3 masks: --images 'pics/{{name}}.*' --masks 'seg/{{name}}.png'"


def test_masks_and_images_of_several_suffixes_in_one_folder(tmp_path):
    photos(tmp_path, "a.jpg", "b.png", "c.jpg")
    masks(tmp_path, "a_m.png", "b_m.png", "c_m.png")
    found, note = opened(tmp_path, "all")
    assert found == [("a.jpg", "a_m.png"), ("b.png", "b_m.png"), ("c.jpg", "c_m.png")]
    assert note.endswith("--images '{name}.*' --masks '{name}_m.png'")


@pytest.mark.parametrize("form", ["{split}/rgb/{name}.jpg", "rgb_{split}/{name}.jpg"])
def test_a_split_without_masks_is_announced_and_left_out(tmp_path, form):
    for split, names in (("train", "abcd"), ("val", "e"), ("test", "fg")):
        photos(tmp_path, *(form.format(split=split, name=name) for name in names))
        if split != "test":
            masks(tmp_path, *(form.format(split=split, name=name).replace("rgb", "gt")[:-3] + "png" for name in names))
    found, note = opened(tmp_path)
    assert len(found) == 4
    assert note.startswith(f"{NOTE}5 images with 5 masks (2 images of test have none and are left out): --images ")
    assert "has no split 'test'" in refused(tmp_path, "test")


def test_a_split_whose_masks_do_not_pair_is_not_left_out(tmp_path):
    for split in ("train", "val"):
        photos(tmp_path, *(f"{split}/{n}.jpg" for n in range(3)))
    masks(tmp_path, *(f"train/{n}_m.png" for n in range(3)), *(f"val/mask{n}_x.png" for n in (5, 6, 7)))
    assert "--masks '{split}/{name}_m.png' would pair 6 of its 12 pictures" in refused(tmp_path)


def test_training_images_are_divided_where_val_has_no_masks(tmp_path):
    photos(tmp_path, *(f"train/{n}_sat.jpg" for n in range(5)), "valid/8_sat.jpg", "test/9_sat.jpg")
    masks(tmp_path, *(f"train/{n}_mask.png" for n in range(5)))
    train, note = opened(tmp_path)
    assert (len(train), len(opened(tmp_path, "val")[0])) == (4, 1)
    assert "(2 images of test, val have none and are left out)" in note


def test_pictures_of_image_and_classes_together_are_left_out(tmp_path):
    for name in "abc":  # as labelme_json_to_dataset and labelme_export_json write them
        photos(tmp_path, f"{name}_json/img.png", f"{name}_json/label_viz.png")
        masks(tmp_path, f"{name}_json/label.png")
        write(tmp_path / f"{name}_json/label_names.txt", "_background_\nshelf\ncup\n")
    found, note = opened(tmp_path, "all")
    assert found == [(f"{name}_json/img.png", f"{name}_json/label.png") for name in "abc"]
    patterns = "--images '{name}/img.png' --masks '{name}/label.png'"
    assert note == f"{NOTE}3 images with 3 masks: {patterns}; 3 pictures such as a_json/label_viz.png are left out"
    assert open_pairs(tmp_path, "all").classes.names == ("_background_", "shelf", "cup")


def test_two_regions_without_splits(tmp_path):
    for region in ("Rural", "Urban"):
        photos(tmp_path, *(f"{region}/images/{n}.png" for n in range(3)))
        masks(tmp_path, *(f"{region}/masks/{n}.png" for n in range(3)))
    found, note = opened(tmp_path, "all")
    assert (len(found), note[-59:]) == (6, "--images '*/images/{name}.png' --masks '*/masks/{name}.png'")
    assert len(opened(tmp_path, "Urban")[0]) == 3


@pytest.mark.parametrize(
    "form", ["{name}/images/{name}.png {name}/masks/{mask}.png", "images/{name}.png masks/{name}/{mask}.png"]
)
def test_masks_of_single_objects_are_refused_by_name(tmp_path, form):
    image, mask = form.split()
    for name in ("n1", "n2", "n3"):
        photos(tmp_path, image.format(name=name))
        masks(tmp_path, *(mask.format(name=name, mask=f"{each}{name}") for each in "ab"), ids=(0, 255))
    message = refused(tmp_path)
    assert re.search(
        r"; 3 images have a folder of masks each, such as .* with 2 for .*n\d.png: masks of single obj", message
    )
    assert message.endswith("paint those of each into one PNG of class ids")


def test_two_versions_of_labels_are_listed(tmp_path):
    names = [f"2018_camera_{n:09}" for n in range(3)]
    photos(tmp_path, *(f"images/{name}.png" for name in names))
    masks(tmp_path, *(f"annotations/{name}_19LabelTrainIds.png" for name in names))
    masks(tmp_path, *(f"annotations/{name}_34LabelTrainIds.png" for name in names), ids=range(5))
    message = refused(tmp_path)
    assert "2 pairs of patterns fit; choose one: " in message
    for number, values in ((19, "3 values up to 2"), (34, "5 values up to 4")):
        assert f"'annotations/{{name}}_{number}LabelTrainIds.png' (3 pairs; masks hold {values})" in message


@pytest.mark.parametrize("folder", ["depth", "instances", "panoptic", "Disparity", "vis", "overlays", "optical_flow"])
def test_pictures_of_something_else_are_no_masks_by_their_name(tmp_path, folder):
    photos(tmp_path, "rgb/a.jpg", "rgb/b.jpg")
    masks(tmp_path, f"{folder}/a.png", f"{folder}/b.png")
    assert re.search(rf"seems to show \w+, not classes; if it .*, give .* --masks '{folder}/", refused(tmp_path))
    pairs = open_pairs(tmp_path, "train", images="rgb/{name}.jpg", masks=f"{folder}/{{name}}.png")
    assert pairs.classes.num_classes == 3


def test_overlays_beside_masks_are_listed(tmp_path):
    photos(tmp_path, "RGB/a.jpg", "RGB/b.jpg", "overlay/a.jpg", "overlay/b.jpg")
    masks(tmp_path, "GT/a.png", "GT/b.png")
    save(tmp_path / "depth/a.png", np.full((16, 17), 5000, np.uint16))
    save(tmp_path / "depth/b.png", np.full((16, 17), 5000, np.uint16))
    assert "4 pairs of patterns fit; choose one: " in refused(tmp_path)


def test_names_that_differ_in_known_folders_are_paired_by_their_rule(tmp_path):
    photos(tmp_path, "images/img_1.jpg", "images/img_2.jpg", "images/img_3.jpg")
    masks(tmp_path, "masks/lab_1.png", "masks/lab_2.png")
    found, note = opened(tmp_path, "all")
    assert found == [("images/img_1.jpg", "masks/lab_1.png"), ("images/img_2.jpg", "masks/lab_2.png")]
    assert note == "masks are called lab_{name} where images are called img_{name}"
    masks(tmp_path, "masks/other.png")
    assert "none of its 3 images and 3 masks have the same name" in refused(tmp_path)


FURTHER = {
    "letters at the end": ("{name}.jpg", "masks/{name}m.png"),
    "splits twice": ("{split}/{split}-org-img/{name}.jpg", "{split}/{split}-label-img/{name}_lab.png"),
    "videos": ("uavid_{split}/*/Images/{name}.png", "uavid_{split}/*/Labels/{name}.png"),
    "levels of labels": ("leftImg8bit/{split}/*/{name}_leftImg8bit.png", "gtFine/{split}/*/{name}_gtFine_l3Ids.png"),
    "two suffixes": ("img/{name}.jpg", "img/{name}.jpg.png"),
}  # fmt: skip


@pytest.mark.parametrize("case", FURTHER)
def test_further_names_are_found(case, tmp_path):
    patterns = FURTHER[case]
    for split in ("train", "val"):
        for number in range(3 if split == "train" else 1):
            values = {"name": f"00{number}", "split": split}
            image, mask = (text.replace("*", f"seq{number % 2}").format(**values) for text in patterns)
            photos(tmp_path, image)
            masks(tmp_path, mask)
    assert opened(tmp_path)[1].endswith(f"--images '{patterns[0]}' --masks '{patterns[1]}'")


def test_masks_of_voc_with_another_ending(tmp_path):
    photos(tmp_path, "JPEGImages/a1.jpg", "JPEGImages/a2.jpg", "JPEGImages/b1.jpg")
    masks(tmp_path, *(f"SegmentationClass/{name}_seg8.png" for name in ("a1", "a2", "b1")))
    write(tmp_path / "ImageSets/Segmentation/train.txt", "a1\na2\n")
    write(tmp_path / "ImageSets/Segmentation/val.txt", "b1\n")
    pairs = open_pairs(tmp_path, "train")
    assert (pairs.layout, pairs.names, pairs.labels[0].name) == ("PASCAL VOC", ["a1", "a2"], "a1_seg8.png")
    assert pairs.mask_notes[0] == "masks are called {name}_seg8 where images are called {name}"


def test_lists_of_paddleseg(tmp_path):
    photos(tmp_path, *(f"JPEGImages/{name}.jpg" for name in "abcde"))
    masks(tmp_path, *(f"Annotations/{name}.png" for name in "abcde"))
    for split, names in (("train", "abc"), ("val", "d"), ("test", "e")):
        write(tmp_path / f"{split}_list.txt", "".join(f"JPEGImages/{n}.jpg Annotations/{n}.png\n" for n in names))
    write(tmp_path / "labels.txt", "background\ndisc\ncup\n")
    assert [len(opened(tmp_path, split)[0]) for split in ("train", "val", "test")] == [3, 1, 1]
    assert open_pairs(tmp_path, "train").classes.names == ("background", "disc", "cup")


def test_lists_name_images_of_all_regions(tmp_path):
    for region in ("aachen", "tonga"):
        photos(tmp_path, *(f"{region}/images/{region}_{n}.png" for n in (1, 2)))
        masks(tmp_path, *(f"{region}/labels/{region}_{n}.png" for n in (1, 2)))
    write(tmp_path / "train.txt", "aachen_1.png\ntonga_1.png\naachen_2.png\n")
    write(tmp_path / "val.txt", "tonga_2.png\n")
    assert opened(tmp_path, "val")[0] == [("tonga/images/tonga_2.png", "tonga/labels/tonga_2.png")]
    assert len(opened(tmp_path)[0]) == 3


def test_masks_of_the_field_of_view_beside_those_of_an_expert_are_no_guess(tmp_path):
    photos(tmp_path, "training/images/21_training.png", "training/images/22_training.png")
    masks(tmp_path, "training/mask/21_training_mask.png", "training/mask/22_training_mask.png", ids=(0, 255))
    masks(tmp_path, "training/1st_manual/21_manual1.png", "training/1st_manual/22_manual1.png", ids=(0, 1))
    assert re.search("training/mask and .*1st_manual both hold masks; move one", refused(tmp_path))


def test_other_folders_beside_known_ones_are_named(tmp_path):
    for split in ("train", "val"):
        photos(tmp_path, *(f"{split}/images/{n}.jpg" for n in "ab"), f"{split}/overlays/a.jpg")
        masks(tmp_path, *(f"{split}/masks/{n}.png" for n in "ab"))
    photos(tmp_path, "test/1.jpg", "test/2.jpg")
    write(tmp_path / "notes/readme.txt", "x")
    assert opened(tmp_path)[1] == "not read: test/ (2 .jpg), train/overlays/ (1 .jpg), val/overlays/ (1 .jpg)"
