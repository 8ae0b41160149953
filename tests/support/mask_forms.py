"""Tiny data sets whose masks have every form that people have."""

import numpy as np
import pytest
from layouts import save, write
from PIL import Image

from keras_fcn.datasets import inspect_pairs, open_pairs
from keras_fcn.errors import UserError

NAMES = [*"abcde"]
PAINTS, GREYS = np.array([(0, 0, 0), (255, 0, 0), (0, 255, 0)]), np.arange(3).repeat(3).reshape(3, 3)
WHITE = np.array([0, 255, 255], np.uint8)


def ids_of(name):
    """Returns ids 0, 1 and 2, uint8 [6, 8], others for each name."""
    return np.random.default_rng(list(name.encode())).integers(0, 3, (6, 8)).astype(np.uint8)


def as_palette(ids, colors, order):
    """Returns a palette image of ids whose colours stand at other indices."""
    image = Image.fromarray(np.array(order, np.uint8)[ids])
    palette = np.zeros((max(order) + 1, 3), np.uint8)
    palette[list(order)] = colors
    image.putpalette(palette.tobytes())
    return image


def white(name):
    return Image.fromarray(WHITE[ids_of(name)])


def same(name):
    return Image.fromarray(ids_of(name))


def turned(colors):
    """Returns how to draw palette masks, two of which number the colours differently."""
    return lambda name: as_palette(ids_of(name), colors, (1, 2, 0) if name in "ab" else (0, 1, 2))


def folders(root, draw=same, classes="background\ncat\ndog\n", file="classes.txt"):
    for name in NAMES:
        save(root / f"images/{name}.png", np.zeros((6, 8, 3), np.uint8))
        (root / "masks").mkdir(exist_ok=True)
        draw(name).save(root / f"masks/{name}.png")
    if classes:
        write(root / file, classes)
    return root


def roboflow(root, draw, classes):
    rows = "".join(f"{value}, {name}\n" for value, name in enumerate(classes.split()))
    for name in NAMES:
        folder = root / ("valid" if name == "a" else "train")
        save(folder / f"{name}.png", np.zeros((6, 8, 3), np.uint8))
        draw(name).save(folder / f"{name}_mask.png")
        write(folder / "_classes.csv", f"Pixel Value, Class\n{rows}")
    return root


def voc(root, draw, classes, file="classes.txt"):
    for name in NAMES:
        save(root / f"JPEGImages/{name}.png", np.zeros((6, 8, 3), np.uint8))
        (root / "SegmentationClass").mkdir(exist_ok=True)
        draw(name).save(root / f"SegmentationClass/{name}.png")
    write(root / "ImageSets/Segmentation/train.txt", "b\nc\nd\ne\n")
    write(root / "ImageSets/Segmentation/val.txt", "a\n")
    if classes:
        write(root / file, classes)
    return root


def camvid(root, draw, classes):
    for name in NAMES:
        split = "val" if name == "a" else "train"
        save(root / f"{split}/{name}.png", np.zeros((6, 8, 3), np.uint8))
        (root / f"{split}annot").mkdir(exist_ok=True)
        draw(name).save(root / f"{split}annot/{name}.png")
    if classes:
        write(root / "classes.txt", classes)
    return root


def read(root, **options):
    """Returns the pairs, and the ids of every mask of both splits by name."""
    pairs = [open_pairs(root, split, **options) for split in ("train", "val")]
    masks = {path.stem.removesuffix("_mask"): each.read_label(path) for each in pairs for path in each.labels}
    assert sorted(masks) == NAMES
    return pairs[0], masks


def require(root, expected, **options):
    pairs, masks = read(root, **options)
    for name, ids in masks.items():
        np.testing.assert_array_equal(ids, expected(name), err_msg=name)
    return pairs


def one_line(root):
    with pytest.raises(UserError) as caught:
        inspected(root)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def inspected(root):
    for split in ("train", "val"):
        inspect_pairs(open_pairs(root, split)).require_sound()
