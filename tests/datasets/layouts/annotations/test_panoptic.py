"""COCO's panoptic format: segments by R + 256 G + 65,536 B, their categories, and faults."""

import json

import numpy as np
import pytest
from layouts import save, splits, write

from keras_fcn.datasets import find_layout, inspect_pairs, open_pairs
from keras_fcn.errors import UserError

SEGMENTS = np.array([[0, 7, 7], [300, 300, 65_543]])
ROWS = [[255, 0, 0], [1, 1, 0]]
CATEGORIES = [{"id": 200, "name": "rug", "isthing": 0}, {"id": 1, "name": "cat", "isthing": 1}]


def put(root, split="train2017", names=("a", "b"), change=lambda about: None):
    images = [{"id": name, "file_name": f"{name}.jpg", "height": 2, "width": 3} for name in names]
    segments = [{"id": 7, "category_id": 1}, {"id": 65_543, "category_id": 1}, {"id": 300, "category_id": 200}]
    entries = [{"image_id": name, "file_name": f"{name}.png", "segments_info": segments} for name in names]
    about = {"images": images, "annotations": entries, "categories": [*CATEGORIES]}
    change(about)
    for name in names:
        save(root / f"{split}/{name}.jpg", np.zeros((2, 3, 3), np.uint8))
        rgb = np.stack([SEGMENTS >> shift & 255 for shift in (0, 8, 16)], -1).astype(np.uint8)
        save(root / f"annotations/panoptic_{split}/{name}.png", rgb)
    write(root / f"annotations/panoptic_{split}.json", json.dumps(about))


def test_classes_of_segments(tmp_path):
    put(tmp_path)
    put(tmp_path, "val2017", ("c",))
    assert find_layout(tmp_path) == "coco_panoptic"
    assert splits(tmp_path) == [{"a", "b"}, {"c"}]
    pairs = open_pairs(tmp_path, "train")
    inspect_pairs(pairs).require_sound()
    assert pairs.classes.names == ("cat", "rug")
    np.testing.assert_array_equal(pairs.read_label(pairs.labels[0]), ROWS)


def test_objects_are_read_where_both_are_there(tmp_path):
    put(tmp_path)
    shape = {"id": 1, "image_id": "a", "category_id": 1, "segmentation": [[0, 0, 3, 0, 3, 2, 0, 2]]}
    path = tmp_path / "annotations/panoptic_train2017.json"
    about = json.loads(path.read_text(encoding="utf-8")) | {"annotations": [shape]}
    write(tmp_path / "annotations/instances_train2017.json", json.dumps(about))
    assert find_layout(tmp_path) == "coco"
    assert open_pairs(tmp_path, "all").classes.names == ("background", "cat", "rug")
    assert open_pairs(tmp_path, "all", "coco_panoptic").classes.names == ("cat", "rug")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda about: about["annotations"][0]["segments_info"].pop(),
            "a.png holds the segment 300, which has no categ",
        ),
        (
            lambda about: about["annotations"][0].pop("segments_info"),
            "annotation of image a has no list of segments_inf",
        ),
        (lambda about: about["annotations"].pop(0), "image a has no annotation; add it, or remove the image"),
        (lambda about: about["images"].pop(0), "the annotation of image a is of no image; remove it"),
        (lambda about: about["annotations"].append(about["annotations"][0]), "image a is there more than once"),
        (lambda about: about["annotations"][0].update(file_name="../../../x.png"), "'../../../x.png' lies outside of"),
        (lambda about: about["categories"].pop(), "segment 7 is of category 1, which is not listed"),
        (lambda about: about["images"][0].update(height=3), "says that .*a.jpg is 3x3 pixels"),
    ],
)
def test_faults(tmp_path, change, message):
    put(tmp_path, names=("a", "b", "c"), change=change)
    with pytest.raises(UserError, match=message) as caught:
        inspect_pairs(open_pairs(tmp_path, "all")).require_sound()
    assert "\n" not in str(caught.value)
