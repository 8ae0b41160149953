"""What is remarked about pairs that are read: by images made here, without a network."""

import numpy as np
import pytest
from PIL import Image

from keras_fcn.datasets import inspect_pairs, open_pairs
from keras_fcn.errors import Remark
from keras_fcn.runs.config import DataOptions
from keras_fcn.training.inputs.data import open_training_data


def write_pairs(root, images):
    """Writes pairs by name: an image, its EXIF orientation, and the size of its mask, with an orientation or none."""
    for folder in ("images", "masks"):
        (root / folder).mkdir(parents=True)
    for name, (image, orientation, size, own) in images.items():
        for path, picture, turn in (
            (root / f"images/{name}.png", image, orientation),
            (root / f"masks/{name}.png", np.arange(np.prod(size), dtype=np.uint8).reshape(size) % 2, own),
        ):
            exif = Image.Exif()
            exif[0x0112] = turn
            Image.fromarray(picture).save(path, exif=exif)
    return root


PLAIN, SQUARE = np.full((6, 9, 3), 200, np.uint8), np.full((6, 6, 3), 200, np.uint8)


def test_images_whose_orientation_no_size_shows_are_counted(tmp_path):
    root = write_pairs(
        tmp_path / "data",
        {
            "a plain": (PLAIN, 1, (6, 9), 1),
            "b shown by its size": (PLAIN, 6, (9, 6), 1),
            "c turned with its mask": (PLAIN, 3, (6, 9), 3),
            "d half": (PLAIN, 3, (6, 9), 1),
            "e mirrored": (PLAIN, 2, (6, 9), 1),
            "f square": (SQUARE, 8, (6, 6), 1),
        },
    )
    (found,) = inspect_pairs(open_pairs(root, "all")).findings
    assert (type(found), found.kind, found.is_fatal) == (Remark, "turned image", False)
    assert str(found).startswith(
        f"{root}/images/d half.png: has an EXIF orientation and its mask has none, so have 3 of 6"
    )


@pytest.mark.parametrize("most", [3000, 40_000])
def test_dark_images_of_16_bits_are_remarked_before_training(tmp_path, most):
    dark = np.full((6, 9), most, np.uint16)
    root = write_pairs(tmp_path / "data", {str(number): (dark, 1, (6, 9), 1) for number in range(5)})
    lines = []
    open_training_data(DataOptions(data=str(root)), "none", None, lines.append)
    told = [line for line in lines if line.startswith("Remark ")]
    assert len(told) == (2 if most == 3000 else 0)
    assert all("no value of 16 bits is above 3,000 of 65,535" in line for line in told)
    assert not any("left out" in line for line in lines)
