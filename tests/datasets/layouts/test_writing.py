"""Pairs from anywhere become a data set: arrays, images of Pillow's, files and their bytes."""

import io

import numpy as np
import pytest
from layouts import scene, voc_colors
from PIL import Image

import keras_fcn
from keras_fcn.errors import UserError

NAMES = ["background", "cat", "dog"]


def encoded(pixels, form, palette=None):
    file, image = io.BytesIO(), Image.fromarray(pixels)
    if palette:
        image.putpalette(palette)
    image.save(file, form)
    return file.getvalue()


def test_pairs_of_every_kind_are_read_back(tmp_path):
    scenes = [scene(seed, 3) for seed in range(6)]
    (tmp_path / "a.png").write_bytes(encoded(scenes[3][0], "PNG"))
    (tmp_path / "a_label.png").write_bytes(encoded(scenes[3][1], "PNG", voc_colors()))
    kinds = [
        (scenes[0][0], scenes[0][1]),
        (Image.fromarray(scenes[1][0]), Image.fromarray(scenes[1][1])),
        (encoded(scenes[2][0], "PNG"), encoded(scenes[2][1], "PNG")),
        (tmp_path / "a.png", str(tmp_path / "a_label.png")),
        (encoded(scenes[4][0], "JPEG"), scenes[4][1].astype(np.int64)[..., None]),
    ]
    folder = keras_fcn.write_pairs(
        tmp_path / "data", {"train": (pair for pair in kinds), "val": [(scenes[5][0], scenes[5][1] == 1)]}, NAMES
    )
    train, val = (keras_fcn.open_pairs(folder, split) for split in ("train", "val"))
    assert (train.classes.names, len(train), len(val)) == (tuple(NAMES), 5, 1)
    for (image, ids), path, label in zip(scenes, train.images, train.labels):
        np.testing.assert_array_equal(train.read_label(label), ids)
        if path.suffix == ".png":
            np.testing.assert_array_equal(keras_fcn.read_image(path), image)
    assert train.images[4].read_bytes() == kinds[4][0]
    np.testing.assert_array_equal(val.read_label(val.labels[0]), scenes[5][1] == 1)


IMAGE, LABEL = np.zeros((8, 9, 3), np.uint8), np.zeros((8, 9), np.uint8)
NOISE = np.random.default_rng(0).integers(0, 256, (64, 64), np.uint8)


@pytest.mark.parametrize(
    ("pair", "message"),
    [
        ((IMAGE, LABEL[:4]), "train_000000: label and image are of 4x9 and 8x9 pixels"),
        ((IMAGE, LABEL + 3), "train_000000: class id 3 .* is out of range: ids here are 0 to 2, and 255 for void"),
        (
            (IMAGE, LABEL / 2),
            r"labels are arrays of class ids, integers \[H, W\] of 0 to 255. Received: float64 \[8, 9\]",
        ),
        ((IMAGE, LABEL.astype(int) - 1), "integers .* of 0 to 255"),
        ((IMAGE, IMAGE), r"Received: uint8 \[8, 9, 3\]"),
        ((IMAGE.astype(float), LABEL), "images are arrays of uint8"),
        ((b"nothing", LABEL), "train_000000: the image is not a picture; it begins with b'nothing'"),
        ((IMAGE, b"nothing"), "the label is not a picture"),
        ((IMAGE, encoded(NOISE, "PNG")[:2000]), "train_000000: the label: cannot be decoded .*truncated"),
        (("none.png", LABEL), "none.png"),
        ((IMAGE, "none.png"), "train_000000: none.png: no such file"),
        ((IMAGE, encoded(LABEL, "PNG")[:45]), r"train_000000: the label: cannot be decoded \("),
        ((encoded(IMAGE, "JPEG")[:20], LABEL), r"train_000000: the image: cannot be decoded \("),
        ((IMAGE, encoded(LABEL, "JPEG")), "the label is a JPEG, whose values are not exact; give it as a PNG"),
        ((IMAGE,), "train_000000: pairs are an image and its label. Received: tuple"),
    ],
)
def test_what_does_not_fit_is_one_line_and_nothing_is_left(tmp_path, pair, message):
    with pytest.raises(UserError, match=message) as error:
        keras_fcn.write_pairs(tmp_path / "data", {"train": [pair]}, NAMES)
    assert "\n" not in str(error.value)
    assert list(tmp_path.iterdir()) == []


def test_an_empty_split_and_a_folder_that_is_there(tmp_path):
    with pytest.raises(UserError, match="the split 'val' has no pairs; leave it out, or give it some"):
        keras_fcn.write_pairs(tmp_path / "data", {"train": [(IMAGE, LABEL)], "val": []}, NAMES)
    assert list(tmp_path.iterdir()) == []
    keras_fcn.write_pairs(tmp_path / "data", {"train": [(IMAGE, LABEL)]}, NAMES)
    with pytest.raises(UserError, match="data: already exists; choose another folder"):
        keras_fcn.write_pairs(tmp_path / "data", {"train": [(IMAGE, LABEL)]}, NAMES)
