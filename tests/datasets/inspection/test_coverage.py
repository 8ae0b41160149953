"""Classes without pixels and masks that are void are said with figures before training."""

import numpy as np
import pytest
from layouts import save, write

from keras_fcn.datasets import inspect_pairs, open_pairs
from keras_fcn.datasets.inspection.labels import label_remarks, require_labels
from keras_fcn.errors import UserError
from keras_fcn.images.classes import ClassTable


def opened(root, masks, classes="background\ncat\ndog\n"):
    """Returns the training pairs and their inspection; the masks are of the train split, val has every class."""
    for number, mask in enumerate(masks):
        save(root / f"train/images/{number}.png", np.zeros((4, 5, 3), np.uint8))
        save(root / f"train/masks/{number}.png", np.array(mask, np.uint8).reshape(4, 5))
    save(root / "val/images/v.png", np.zeros((1, 4, 3), np.uint8))
    save(root / "val/masks/v.png", np.array([[0, 1, 2, 1]], np.uint8))
    write(root / "classes.txt", classes)
    pairs = open_pairs(root, "train")
    return pairs, inspect_pairs(pairs)


def test_labels_of_all_classes_are_not_remarked(tmp_path):
    mask = [0] * 10 + [1] * 5 + [2] * 2 + [255] * 3
    assert label_remarks(*opened(tmp_path, [mask, mask]), is_training=True) == []


def test_a_class_without_pixels_is_said_with_what_masks_hold(tmp_path):
    pairs, inspection = opened(tmp_path, [[0] * 15 + [1] * 5, [0] * 16 + [255] * 4])
    line = "1 of 3 classes has no pixel in train (dog); its 2 masks hold background 77.5%, cat 12.5%, void 10.0%"
    assert label_remarks(pairs, inspection, is_training=True) == [line]
    assert label_remarks(pairs, inspection, is_training=False) == []


def test_toy_is_not_told_to_write_a_class_file(toy):
    pairs = open_pairs(toy, "train")
    assert pairs.classes == ClassTable.voc()
    (line,) = label_remarks(pairs, inspect_pairs(pairs), is_training=True)
    assert line.startswith("12 of 21 classes have no pixel in train (bicycle, bird, ")
    assert "; its 10 masks hold background 72.3%, void 7.2%" in line
    assert "write" not in line


def test_masks_of_nothing_but_void_and_much_void_are_said(tmp_path):
    found = opened(tmp_path, [[255] * 20, [0] * 16 + [1, 1, 2, 2], *[[255] * 20] * 4])
    assert label_remarks(*found, is_training=True) == [
        "5 of 6 masks of train are all void: 0.png, 2.png, 3.png, ...",
        "83.3% of the pixels of train are void, more than borders explain: they count nowhere",
    ]


@pytest.mark.parametrize(
    ("masks", "classes", "message"),
    [
        ([[255] * 20] * 3, "background\ncat\ndog\n", r"masks: all 60 pixels of the 3 masks of train are void \(255\)"),
        ([[1] * 20], "void\ncat\nignore\n", "classes.txt: names one class, 'cat', which every pixel would be"),
    ],
)
def test_nothing_to_learn_is_an_error(tmp_path, masks, classes, message):
    with pytest.raises(UserError, match=message):
        require_labels(*opened(tmp_path, masks, classes))
