"""Masks whose values number objects, too: KITTI's class * 256 + number, Cityscapes' class * 1000 + number."""

from pathlib import Path

import numpy as np
import pytest
from mask_forms import camvid, folders, ids_of, inspected, one_line, require, voc
from PIL import Image

from keras_fcn.errors import UserError
from keras_fcn.images.label_files.division import BY_256, BY_1000, choose_division

NAMES = "background\ncat\ndog\n"


def numbered(divisor):
    """Returns how to draw masks of ids with numbers of objects; Cityscapes' classes without objects stand alone."""

    def draw(name):
        ids = ids_of(name).astype(np.uint16)
        numbers = np.arange(ids.size, dtype=np.uint16).reshape(ids.shape) % 3
        if divisor == 256:
            return Image.fromarray(np.where(ids == 0, 0, ids * 256 + numbers))
        return Image.fromarray(np.where(ids == 2, 2000 + numbers, ids))

    return draw


NOTES = {
    256: "class * 256 + number of the object: a value divided",
    1000: "class * 1000 + number of the object: a value",
}


@pytest.mark.parametrize("divisor", [256, 1000])
@pytest.mark.parametrize("form", [folders, voc, camvid])
def test_values_are_divided_and_it_is_said(tmp_path, form, divisor):
    pairs = require(form(tmp_path, numbered(divisor), NAMES), ids_of)
    assert pairs.reading == f"by_{divisor}"
    assert NOTES[divisor] in pairs.mask_notes[-1]
    inspected(tmp_path)


@pytest.mark.parametrize("divisor", [256, 1000])
def test_classes_are_found_without_a_file_of_classes(tmp_path, divisor):
    pairs = require(folders(tmp_path, numbered(divisor), ""), ids_of)
    assert pairs.classes.names == ("background", "class1", "class2")
    assert NOTES[divisor] in pairs.mask_notes[-1]
    Image.fromarray(ids_of("a").astype(np.uint16) * (26 * 256)).save(tmp_path / "masks/a.png")
    if divisor == 256:
        assert "hold the ids 0, 1, 2, 26, 52 only, and none between; write" in one_line(tmp_path)


def test_a_single_mask_is_no_exception(tmp_path):
    """It is decided over all masks, and those of 8 bits count, too."""
    root = folders(tmp_path, lambda name: numbered(256)(name) if name == "a" else Image.fromarray(ids_of(name)), NAMES)
    message = one_line(root)
    assert "hold 9 values up to 514 (0, 1, 2, 256, 257, 258, 512, 513, 1 more), but ids are 0 to 254" in message
    assert "number do not fit; export masks of class ids" in message


@pytest.mark.parametrize(
    ("values", "reading"),
    [
        ([], ""),
        ([0, 254, 255], ""),
        ([0, 256, 257], BY_256),
        ([0, 255, 1792, 6657, 6658, 2817], BY_256),  # road, cars and a building in KITTI
        ([7, 8, 11, 23, 24_000, 26_000, 26_001, 26_018], BY_1000),  # in Cityscapes
        ([26_000, 33_000], BY_1000),
        ([33 * 256], BY_256),
    ],
)
def test_the_divisor_that_leaves_small_numbers(values, reading):
    assert choose_division(values, Path("masks")) == reading


@pytest.mark.parametrize(
    "values", [[0, 300, 600], range(300), range(0, 65536, 7), [7, 256], [0, 32_000], [255 * 256], [1 << 20]]
)
def test_other_values_are_one_line(values):
    with pytest.raises(
        UserError, match=r"^masks: masks hold \d+ values up to \d+ \(.*\), but ids are 0 to 254"
    ) as caught:
        choose_division(values, Path("masks"))
    with pytest.raises(UserError, match=r"masks/a.png: it and others hold \d+ values"):
        choose_division(values, Path("masks/a.png"))
    assert "\n" not in str(caught.value)
