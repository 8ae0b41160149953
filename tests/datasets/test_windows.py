"""Large images are cut once: windows hold the image's very pixels, and every crop lies in one of them."""

import dataclasses
import functools
import re

import numpy as np
import pytest
from conftest import Call
from PIL import Image

from keras_fcn.datasets import Pairs, inspect_pairs, open_pairs, open_splits, windows
from keras_fcn.datasets.windows import cut_large, large_images, overlapping
from keras_fcn.datasets.windows.blocks import blocks_of, divided_by_blocks
from keras_fcn.errors import DataError, UserError
from keras_fcn.images.classes import ClassTable
from keras_fcn.images.masks import read_label, write_label
from keras_fcn.images.photos import displayed_size, inspect_image, orientation_of, read_image

CLASSES = ClassTable.numbered(5)


@pytest.fixture
def pairs(tmp_path, monkeypatch):
    """Two pairs of 30 x 40 pixels and one of 90 x 130, which is large here."""
    monkeypatch.setattr(windows, "LARGE", 2000)
    monkeypatch.setenv(windows.VARIABLE, str(tmp_path / "cache"))
    rng = np.random.default_rng(0)
    for name, size in (("a", (30, 40)), ("b", (90, 130)), ("c", (30, 40))):
        for folder in ("images", "masks"):
            (tmp_path / folder).mkdir(exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (*size, 3), np.uint8)).save(tmp_path / "images" / f"{name}.png")
        write_label(tmp_path / "masks" / f"{name}.png", rng.integers(0, 5, size, np.uint8), CLASSES)
    images, labels = (tuple(tmp_path / folder / f"{name}.png" for name in "abc") for folder in ("images", "masks"))
    return Pairs("folders", "train", images, labels, CLASSES, functools.partial(read_label, classes=CLASSES))


def sizes_of(pairs):
    return np.array([displayed_size(image) for image in pairs.images])


@pytest.mark.parametrize("size", [(90, 130), (20, 30), (41, 200), (1, 1), (64, 96), (65, 97)])
@pytest.mark.parametrize("window", [(40, 60), (2, 2), (64, 96)])
def test_every_crop_of_half_a_window_lies_in_one(size, window):
    boxes, crop = list(overlapping(size, window)), (window[0] // 2, window[1] // 2)
    covered = np.zeros(size, int)
    for top, left, bottom, right in boxes:
        assert 0 <= top < bottom <= size[0] and 0 <= left < right <= size[1]  # noqa: PT018
        assert bottom - top >= min(crop[0], size[0]) and right - left >= min(crop[1], size[1])  # noqa: PT018
        covered[top:bottom, left:right] += 1
    assert 1 <= covered.min() <= covered.max() <= 4
    for top in range(max(1, size[0] - crop[0] + 1)):
        ends = min(top + crop[0], size[0])
        assert any(box[0] <= top and ends <= box[2] for box in boxes)


def test_windows_have_the_pixels_of_the_image(pairs):
    large = large_images(pairs, sizes_of(pairs))
    assert large == {pairs.images[1]: (90, 130)}
    cut = cut_large(pairs, large, (40, 60))
    assert (cut.images, cut.windows, len(cut.pairs)) == (1, 16, 18)
    assert cut.gigabytes == pytest.approx(90 * 130 * 4 / 1e9)
    whole = Image.open(pairs.images[1]), Image.open(pairs.labels[1])
    found = zip(overlapping((90, 130), (40, 60)), cut.pairs.images[1:-1], cut.pairs.labels[1:-1], strict=True)
    for (top, left, bottom, right), image, label in found:
        box = left, top, right, bottom
        np.testing.assert_array_equal(read_image(image), whole[0].crop(box))
        np.testing.assert_array_equal(cut.pairs.read_label(label), whole[1].crop(box))
        assert displayed_size(image) == inspect_image(image).size == (bottom - top, right - left)
        assert orientation_of(image) == 1
        assert image.name == f"b_{top}_{left}_{bottom - top}x{right - left}.window"
    for index in (0, -1):
        assert (cut.pairs.images[index], cut.pairs.labels[index]) == (pairs.images[index], pairs.labels[index])
        np.testing.assert_array_equal(cut.pairs.read_label(pairs.labels[index]), pairs.read_label(pairs.labels[index]))


def test_it_is_decoded_once(pairs, monkeypatch):
    large = large_images(pairs, sizes_of(pairs))
    first = cut_large(pairs, large, (40, 60))
    monkeypatch.setattr(windows, "_write", None)
    again = cut_large(pairs, large, (40, 60))
    assert (again.pairs.images, again.pairs.labels) == (first.pairs.images, first.pairs.labels)
    assert cut_large(pairs, large, (20, 20)).windows == 8 * 12


def test_another_image_of_the_same_name_has_windows_of_its_own(pairs):
    large = large_images(pairs, sizes_of(pairs))
    first = cut_large(pairs, large, (40, 60)).pairs.images[1]
    Image.fromarray(np.zeros((90, 130, 3), np.uint8)).save(pairs.images[1])
    other = cut_large(pairs, large, (40, 60)).pairs.images[1]
    assert (first != other, read_image(other).max()) == (True, 0)
    assert first.read_bytes() != other.read_bytes()


def test_windows_do_not_tell_how_they_were_read(pairs):
    """Their contents are a run's data: a later version may read the same masks by another function."""
    large = large_images(pairs, sizes_of(pairs))
    otherwise = dataclasses.replace(pairs, read_label=lambda path: pairs.read_label(path))
    first, second = (cut_large(each, large, (40, 60)).pairs for each in (pairs, otherwise))
    assert first.labels != second.labels
    for one, other in zip(first.labels[1:-1], second.labels[1:-1], strict=True):
        assert one.read_bytes() == other.read_bytes()


def test_windows_are_cut_again(pairs):
    """Those of a raster's blocks: a part of a part is one of the whole."""
    large = large_images(pairs, sizes_of(pairs))
    blocks = cut_large(pairs, large, (60, 80)).pairs
    cut = cut_large(blocks, large_images(blocks, sizes_of(blocks)), (20, 40))
    assert cut.gigabytes == pytest.approx(90 * 130 * 4 / 1e9)
    inner = cut.pairs
    whole = np.asarray(Image.open(pairs.images[1]))
    for image in inner.images[1:-1]:
        top, left, size = image.stem.removeprefix("b_").split("_")
        height, width = map(int, size.split("x"))
        expected = whole[int(top) : int(top) + height, int(left) : int(left) + width]
        np.testing.assert_array_equal(read_image(image), expected)


def test_small_images_stay_as_they_are(pairs):
    assert cut_large(pairs, {}, (40, 60)).pairs == pairs


def test_the_line(pairs, tmp_path):
    cut = cut_large(pairs, large_images(pairs, sizes_of(pairs)), (40, 60))
    assert cut.line == (
        f"1 image is read in 16 windows of 40x60 pixels, decoded once into {tmp_path}/cache/windows (0.0 GB)"
    )


def test_faults_are_one_line(pairs, tmp_path, monkeypatch):
    large = large_images(pairs, sizes_of(pairs))
    write_label(pairs.labels[1], np.zeros((90, 131), np.uint8), CLASSES)
    with pytest.raises(DataError, match=r"b\.png: it and its image .*b\.png are of 90x131 and 90x130 pixels"):
        cut_large(pairs, large, (40, 60))
    (tmp_path / "file").write_text("")
    monkeypatch.setenv(windows.VARIABLE, str(tmp_path / "file"))
    with pytest.raises(UserError, match=r"large images are cut there: set KERAS_FCN_CACHE to another folder$"):
        cut_large(pairs, large, (40, 60))


def test_pixels_that_are_cut_off_are_named(pairs):
    image = cut_large(pairs, large_images(pairs, sizes_of(pairs)), (40, 60)).pairs.images[1]
    (image.parent / "pixels").write_bytes(b"12")
    with pytest.raises(DataError, match=r"pixels: is cut off; remove it, it is made anew$"):
        read_image(image)


@pytest.mark.parametrize(("size", "side"), [((90, 130), 40), ((90, 130), 200), ((1, 7), 2), ((4096, 4097), 4096)])
def test_blocks_cover_an_image_once(size, side):
    covered = np.zeros(size, np.uint8)
    sizes = []
    for top, left, bottom, right in blocks_of(size, side):
        covered[top:bottom, left:right] += 1
        sizes.append((bottom - top, right - left))
    assert (covered == 1).all()
    assert np.max(sizes) <= side
    assert (np.ptp(sizes, axis=0) <= 1).all()


def test_no_pixel_is_in_two_splits(pairs):
    """Of small images, which are blocks of their own, too."""
    covered = {image: np.zeros(displayed_size(image), int) for image in pairs.images}
    place = re.compile(r"b_(\d+)_(\d+)_(\d+)x(\d+)")
    counts = []
    for number, split in enumerate(("train", "val"), start=1):
        part = divided_by_blocks(pairs, split, 40, pairs.images[0].parent)
        counts.append(len(part))
        assert part.split == split
        for image, label in zip(part.images, part.labels, strict=True):
            found = place.fullmatch(image.stem)
            top, left, height, width = map(int, found.groups()) if found else (0, 0, *displayed_size(image))
            whole = pairs.images[1] if found else image
            covered[whole][top : top + height, left : left + width] += number
            ids = pairs.read_label(pairs.labels[pairs.images.index(whole)])
            np.testing.assert_array_equal(part.read_label(label), ids[top : top + height, left : left + width])
    assert counts == [11, 3]
    assert {int(value) for image in covered.values() for value in np.unique(image)} == {1, 2}
    assert part.note == (
        "3 of the 14 blocks of at most 40x40 pixels of 3 images, chosen by their places, are val: no pixel is in both "
        "splits"
    )


def test_one_block_is_one_line(pairs):
    (image, *_), (label, *_) = pairs.images, pairs.labels
    alone = dataclasses.replace(pairs, images=(image,), labels=(label,))
    with pytest.raises(UserError) as caught:
        divided_by_blocks(alone, "val", 64, image.parent)
    assert str(caught.value) == (
        f"blocks=64: {image} of 30x40 pixels is one block, which leaves val empty; choose at most 20"
    )
    assert len(divided_by_blocks(alone, "val", 20, image.parent)) == 1


def test_blocks_are_an_option_of_data_without_splits(pairs, tmp_path):
    root = tmp_path
    train, val = open_splits(root, ("train", "val"), blocks=40)
    assert (len(train), len(val), train.note) == (11, 3, val.note)
    assert inspect_pairs(val).findings == ()
    assert not {*train.images} & {*val.images}
    lists = root / "train.txt", root / "val.txt"
    for path, name in zip(lists, "ab"):
        path.write_text(f"{name}\n")
    with pytest.raises(UserError) as caught:
        open_pairs(root, "val", blocks=40)
    assert str(caught.value) == f"{root}: has splits of its own, which blocks does not divide; leave it out"
    with pytest.raises(UserError, match="no such folder"):
        open_pairs(root / "missing", "val", blocks=40)


def test_the_conversion_writes_blocks(pairs, tmp_path):
    call = Call("keras_fcn/convert.py", tmp_path, tmp_path / "out", "--blocks", "100")
    assert call.status == 0, call.err
    written = {path.stem: read_image(path) for path in (tmp_path / "out" / "JPEGImages").iterdir()}
    whole = read_image(pairs.images[1])
    assert sorted(written) == ["a", "b_0_0_90x65", "b_0_65_90x65", "c"]
    np.testing.assert_array_equal(np.hstack([written["b_0_0_90x65"], written["b_0_65_90x65"]]), whole)


def test_a_single_image_is_told_the_option(pairs, tmp_path):
    for path in (*pairs.images[:2], *pairs.labels[:2]):
        path.unlink()
    call = Call("keras_fcn/check.py", tmp_path)
    few = f"{tmp_path}/images: holds 1 pairs of image and mask"
    fix = "training needs at least two, or --blocks 1024, which divides its image"
    assert (call.status, call.err) == (2, f"error: {few}; {fix}\n")
