"""`python -m keras_fcn.convert`: any layout as VOC's folders or COCO's JSON, with the same ids; no more is touched."""

import dataclasses
import json

import annotated
import layouts
import mask_forms
import numpy as np
import pytest
from conftest import Call
from layouts import digest
from pycocotools.coco import COCO

from keras_fcn.commands.to_coco import write_coco
from keras_fcn.datasets import find_layout, open_pairs
from keras_fcn.errors import UserError
from keras_fcn.images.classes import ClassTable

CONVERT = "keras_fcn/convert.py"


@pytest.mark.parametrize("layout", ["camvid", "labelme_json", "coco"])
def test_ids_splits_classes_and_colours_stay(tmp_path, layout):
    truth = (layouts.WRITERS | annotated.WRITERS)[layout](tmp_path / "data")
    before = digest(tmp_path / "data")
    call = Call(CONVERT, tmp_path / "data", tmp_path / "out")
    assert (call.status, call.err) == (0, "")
    assert digest(tmp_path / "data") == before
    assert find_layout(tmp_path / "out") == "cvat"
    for split in ("train", "val"):
        old, new = open_pairs(tmp_path / "data", split), open_pairs(tmp_path / "out", split)
        layouts.require_truth(new, truth)
        assert new.classes == old.classes
        assert new.names == old.names
        assert [image.read_bytes() for image in new.images] == [image.read_bytes() for image in old.images]
        assert f"{len(old)} of {split}" in call.out


@pytest.mark.parametrize("layout", ["cvat", "label_studio", "coco_panoptic", "cvat_images", "folders"])
def test_there_and_back_by_coco_no_pixel_differs(tmp_path, layout):
    truth = (layouts.WRITERS | annotated.WRITERS)[layout](tmp_path / "data")
    call = Call(CONVERT, tmp_path / "data", tmp_path / "out", "--to", "coco")
    assert (call.status, call.err) == (0, "")
    assert find_layout(tmp_path / "out") == "coco"
    shift = layout == "coco_panoptic"  # without background, which COCO's objects leave
    assert ("the data set has no background" in call.out) == shift
    for split in ("train", "val"):
        old, new = open_pairs(tmp_path / "data", split), open_pairs(tmp_path / "out", split)
        assert new.classes.names == (*["background"] * shift, *old.classes.names)
        assert [image.read_bytes() for image in new.images] == [image.read_bytes() for image in old.images]
        tool = COCO(tmp_path / f"out/annotations/instances_{split}.json")
        for number, (image, label) in enumerate(zip(new.images, new.labels), 1):
            expected = truth[image.relative_to(tmp_path / "out/images").with_suffix("").as_posix().split("/")[-1]]
            np.testing.assert_array_equal(new.read_label(label), np.where(expected == 255, 255, expected + shift))
            ids = np.zeros(expected.shape, int)
            for each in tool.imgToAnns[number]:
                assert not ids[tool.annToMask(each) > 0].any()
                ids[tool.annToMask(each) > 0] = each["category_id"]
            np.testing.assert_array_equal(ids, np.where(expected == 255, len(old.classes.names), expected))


def test_a_class_that_coco_would_take_for_void_is_refused(tmp_path):
    layouts.write_folders(tmp_path / "data", ["a", "b"])
    pairs = dataclasses.replace(
        open_pairs(tmp_path / "data", "all"), classes=ClassTable.named(["background", "ignore"])
    )
    with pytest.raises(UserError, match=r"cannot hold the class 'ignore', which means void there; rename it"):
        write_coco(tmp_path / "out", [pairs], {}, int)


def test_images_of_the_same_name_in_two_splits_keep_their_folders(tmp_path):
    for split in ("train", "val"):
        layouts.write_folders(tmp_path / "data" / split, ["a", "b"])
    assert Call(CONVERT, tmp_path / "data", tmp_path / "out").status == 0
    assert [path.name for path in sorted((tmp_path / "out/SegmentationClass").rglob("*.png"))] == ["a.png", "b.png"] * 2
    assert (tmp_path / "out/ImageSets/Segmentation/val.txt").read_text(
        encoding="utf-8"
    ) == "val/images/a\nval/images/b\n"


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (
            lambda root: (root / "out").mkdir() or (root / "out/mine").touch(),
            "out: already exists; choose another folder",
        ),
        (lambda root: (root / "data/images/a.jpg").unlink(), "image 0: the image 'a.jpg' is missing"),
        (lambda root: rename(root, "a:b"), "labelmap.txt cannot hold the class name 'a:b'; rename it in the data set"),
        (lambda root: rename(root, "#"), "labelmap.txt cannot hold the class name '#'"),
    ],
)
def test_faults_leave_nothing_half_written(tmp_path, fault, message):
    images = [{"id": number, "file_name": f"{name}.jpg"} for number, name in enumerate("abc")]
    about = {"images": images, "annotations": [], "categories": [{"id": 1, "name": "cat"}]}
    for image in images:
        layouts.save(tmp_path / "data/images" / image["file_name"], np.zeros((8, 9, 3), np.uint8))
    layouts.write(tmp_path / "data/coco.json", json.dumps(about))
    fault(tmp_path)
    before = digest(tmp_path)
    call = Call(CONVERT, tmp_path / "data", tmp_path / "out")
    assert call.status == 2
    assert message in call.err
    assert digest(tmp_path) == before


def rename(root, name):
    path = root / "data/coco.json"
    path.write_text(path.read_text(encoding="utf-8").replace('"cat"', f'"{name}"'), encoding="utf-8")


def test_how_the_masks_were_read_is_said(tmp_path):
    mask_forms.folders(tmp_path / "data", mask_forms.white, "background\ncrack\n")
    call = Call(CONVERT, tmp_path / "data", tmp_path / "out")
    assert (call.status, call.err) == (0, "")
    assert "masks hold only 0 and 255: 0 is 'background', 255 is 'crack' (classes.txt)" in call.out
    assert open_pairs(tmp_path / "out", "train").classes.names == ("background", "crack")
