"""Folders in no known layout: the only patterns that pair all pictures are taken; several are listed; never half."""

import re

import numpy as np
import pytest
from layouts import save, write
from test_patterns import FOLDERS

from keras_fcn.datasets import open_pairs
from keras_fcn.errors import UserError


def photos(root, *names):
    """Writes photographs: noise of more colours than a mask has."""
    for number, name in enumerate(names):
        save(root / name, np.random.default_rng(number).integers(0, 256, (16, 17, 3), np.uint8))


def masks(root, *names, ids=(0, 1, 2)):
    for name in names:
        save(root / name, np.resize(np.uint8(ids), (16, 17)))


@pytest.mark.parametrize("case", [case for case in FOLDERS if case not in ("wildcards that differ", "cityscapes")])
def test_the_only_patterns_that_fit_are_taken_and_said(case, tmp_path):
    *_, train, other = FOLDERS[case]
    photos(tmp_path, *(image for image, _ in train + other))
    masks(tmp_path, *(mask for _, mask in train + other))
    opened = {split: open_pairs(tmp_path, split) for split in ("train", "test" if case == "prepped" else "val")}
    found = {(image, mask) for pairs in opened.values() for image, mask in zip(pairs.images, pairs.labels)}
    if case != "prepped":  # whose val is a part of train
        assert found == {(tmp_path / image, tmp_path / mask) for image, mask in train + other}
    note = opened["train"].mask_notes[0]
    count = len(train + other)
    assert note.startswith(f"no known layout, but these patterns pair all {count} images with {count} masks: --images ")
    given = re.search(r"--images '?(.*?)'? --masks '?(.*?)'?$", note)
    again = open_pairs(tmp_path, "train", images=given[1], masks=given[2])
    assert (again.images, again.labels) == (opened["train"].images, opened["train"].labels)


def test_many_folders_are_one_pattern(tmp_path):
    frames = [(city, n) for city in "abcdefghijklmn" for n in (1, 2)]
    photos(tmp_path, *(f"left/train/{city}/{city}_{n}_left.png" for city, n in frames))
    masks(tmp_path, *(f"fine/train/{city}/{city}_{n}_fine_ids.png" for city, n in frames))
    note = open_pairs(tmp_path, "train").mask_notes[0]
    assert note.endswith("--images 'left/{split}/*/{name}_left.png' --masks 'fine/{split}/*/{name}_fine_ids.png'")


FURTHER = {
    "a folder for each": ("{name}/image.png", "{name}/mask.png"),
    "numbers behind words": ("left/im{name}.png", "lab/lab{name}.png"),
    "frames of two videos": ("*/{name}.jpg", "*/{name}.png"),
    "capitals": ("RGB/{name}.JPG", "GT/{name}.PNG"),
    "deeper": ("data/v1/rgb/{name}.jpg", "data/v1/seg/{name}.png"),
}


@pytest.mark.parametrize("case", FURTHER)
def test_further_folders_are_found(case, tmp_path):
    patterns = FURTHER[case]
    for name in ("01", "02", "11"):
        for folder in "ab" if "*" in patterns[0] else "c":
            image, mask = (text.replace("{name}", name).replace("*", folder) for text in patterns)
            photos(tmp_path, image)
            masks(tmp_path, mask)
    note = open_pairs(tmp_path, "train").mask_notes[0]
    assert note.endswith(f"--images '{patterns[0]}' --masks '{patterns[1]}'")


def test_several_that_fit_are_listed_with_what_they_hold(tmp_path):
    photos(tmp_path, "RGB/a.jpg", "RGB/b.jpg")
    masks(tmp_path, "GT/a_ids.png", "GT/b_ids.png")
    masks(tmp_path, "GT/a_instances.png", "GT/b_instances.png", ids=range(200))
    for name in "ab":
        save(tmp_path / f"GT/{name}_color.png", np.resize(np.uint8([[1, 2, 3], [4, 5, 6]]), (16, 17, 3)))
    with pytest.raises(UserError, match="3 pairs of patterns fit; choose one: ") as error:
        open_pairs(tmp_path, "train")
    for ending, holds in (("ids", "3 values up to 2"), ("instances", "200 values up to 199"), ("color", " colours")):
        pattern = rf"--images 'RGB/{{name}}.jpg' --masks 'GT/{{name}}_{ending}.png' \(2 pairs; masks hold .*?{holds}\)"
        assert re.search(pattern, str(error.value))


def test_half_of_the_files_is_never_taken(tmp_path):
    photos(tmp_path, *(f"RGB/{n}.jpg" for n in range(4)))
    masks(tmp_path, *(f"GT/{n}_m.png" for n in range(2)))
    message = re.escape("--images 'RGB/{name}.jpg' --masks 'GT/{name}_m.png' would pair 4 of its 6 pictures; give that")
    with pytest.raises(UserError, match=message):
        open_pairs(tmp_path, "train")


def test_pictures_are_no_masks(tmp_path):
    photos(tmp_path, "RGB/a.png", "RGB/b.png", "GT/a.png", "GT/b.png")
    with pytest.raises(UserError, match=r"is in no known layout. It holds .* say where they are by images and masks"):
        open_pairs(tmp_path, "train")


def test_colours_are_no_ids(tmp_path):
    photos(tmp_path, "RGB/a.jpg", "RGB/b.jpg")
    for name in "ab":
        save(tmp_path / f"GT/{name}.png", np.resize(np.uint8([[1, 2, 3], [40, 50, 60]]), (16, 17, 3)))
    with pytest.raises(UserError, match="masks are in colour"):
        open_pairs(tmp_path, "train")
    colors = {
        tuple(color) for color in np.resize(np.uint8([[1, 2, 3], [40, 50, 60]]), (16, 17, 3)).reshape(-1, 3).tolist()
    }
    write(tmp_path / "labelmap.txt", "".join(f"c{r}:{r},{g},{b}::\n" for r, g, b in colors))
    assert open_pairs(tmp_path, "train").classes.num_classes == len(colors)
