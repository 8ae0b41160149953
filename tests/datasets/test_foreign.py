"""Folders that are in no known layout: the error says what they hold, and what to do."""

import json
import shutil

import pytest
from layouts import save, scene, write, write_folders

from keras_fcn.datasets import open_pairs
from keras_fcn.errors import UserError


def write_coco(root):
    about = {"images": [{"id": 1}], "annotations": [{"id": 1}] * 9999, "categories": [{"id": 1, "name": "cat"}]}
    save(root / "train/a.jpg", scene(0, 3)[0])
    write(root / "a/b/c/d/_annotations.coco.json", json.dumps(about))


def write_brushes(root):
    write_folders(root)
    shutil.rmtree(root / "masks")
    for tag in ("tree", "road"):
        save(root / f"masks/task-1-annotation-1-by-1-tag-{tag}-0.png", scene(0, 2)[1])


def write_xml(root):
    save(root / "images/a.jpg", scene(0, 3)[0])
    write(root / "a/b/c/d/annotations.xml", '<?xml version="1.0"?>\n<annotations>\n<image id="0" name="a.jpg">\n')


def write_boxes(root):
    save(root / "JPEGImages/a.jpg", scene(0, 3)[0])
    write(root / "Annotations/a.xml", "<annotation><object><bndbox><xmin>1</xmin></bndbox></object></annotation>")


@pytest.mark.parametrize(
    ("writer", "words"),
    [
        (write_coco, r"this looks like COCO JSON \(a/b/c/d/_annotations.coco.json\), .*; put it into this"),
        (write_brushes, r"this looks like Label Studio's brush masks, .*tag-road-0.png\), .*; paint those of a task"),
        (write_xml, r"this looks like CVAT's XML \(a/b/c/d/annotations.xml\), .*; give the folder that holds it"),
        (
            lambda root: write(root / "a.json", '{"project": {"pid": "1", "vid_list": ["1"]}, "config": {}}'),
            r"this looks like VGG Image Annotator 3's JSON \(a.json\), .*; annotate in version 2",
        ),
        (write_boxes, r"this looks like PASCAL VOC's boxes \(Annotations/a.xml\)"),
        (lambda root: write(root / "imagesTr/a.nii.gz", ""), r"this looks like NIfTI volumes"),
        (
            lambda root: [write(root / name, "") for name in ("Images/a.tif", "maks/a.png", "notes.md")],
            r"It holds Images/ \(1 .tif\), maks/ \(1 .png\), 1 .md; is maks/ meant to be masks/\?; put images",
        ),
        (
            lambda root: [write(root / f"{name}.{kind}", "") for name in ("a", "b") for kind in ("jpg", "mask.png")],
            r"It holds 2 .jpg and 2 .png; a.mask.png seems to be the mask of an image beside it: move",
        ),
        (lambda root: root.mkdir(), "It holds nothing; put images into images/ and masks of the same names"),
    ],
)  # fmt: skip
def test_a_folder_in_no_layout_is_told_by_what_it_holds(tmp_path, writer, words):
    writer(tmp_path / "set")
    with pytest.raises(UserError, match=words) as caught:
        open_pairs(tmp_path / "set", "train")
    assert "\n" not in str(caught.value)


def test_names_that_do_not_match_are_shown(tmp_path):
    write_folders(tmp_path)
    for path in sorted((tmp_path / "masks").iterdir()):
        path.rename(path.with_name(f"m{path.name}"))
    with pytest.raises(
        UserError, match=r"have the same name \(such as .*\.jpg and m.*\.png\); name each mask like its"
    ):
        open_pairs(tmp_path, "train")
