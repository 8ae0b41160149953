"""Large images are decoded once: windows hold the image's very pixels, and parts of them are read alone."""

import contextlib
import dataclasses
import functools
import os
import re

import numpy as np
import pytest
from conftest import Call
from PIL import Image

from keras_fcn.datasets import Pairs, inspect_pairs, open_pairs, open_splits, windows
from keras_fcn.datasets.layouts.annotations.common.cache import VARIABLE
from keras_fcn.datasets.windows import cut, cut_large, large_images
from keras_fcn.datasets.windows.blocks import blocks_of, divided_by_blocks
from keras_fcn.errors import DataError, UserError
from keras_fcn.images.classes import ClassTable
from keras_fcn.images.masks import read_label, write_label
from keras_fcn.images.photos import displayed_size, inspect_image, orientation_of, read_image
from keras_fcn.images.windows import Window, read_pixels, read_together, write_pixels

CLASSES = ClassTable.numbered(5)


@pytest.fixture
def pairs(tmp_path, monkeypatch):
    """Two pairs of 30 x 40 pixels and one of 90 x 130, which is large here."""
    monkeypatch.setattr(windows, "LARGE", 2000)
    monkeypatch.setenv(VARIABLE, str(tmp_path / "cache"))
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


@pytest.mark.parametrize("size", [(1, 1), (127, 129), (128, 256), (300, 391)])
@pytest.mark.parametrize("channels", [(), (3,)])
def test_parts_are_those_of_the_whole(tmp_path, size, channels):
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (*size, *channels), np.uint8)
    rows = np.sort(rng.integers(0, size[0] + 1, 4))
    written = [write_pixels(tmp_path / "pixels", parts) for parts in ([pixels], np.split(pixels, rows))]
    shape, digest = written[0]
    assert written == [(pixels.shape, digest)] * 2
    whole = tmp_path / "whole.window"
    Window(digest, shape, (0, 0, *size)).write(whole)
    np.testing.assert_array_equal(read_pixels(whole), pixels)
    for _ in range(20):
        (top, bottom), (left, right) = (np.sort(rng.choice(length + 1, 2, replace=False)) for length in size)
        np.testing.assert_array_equal(read_pixels(whole, (top, left, bottom, right)), pixels[top:bottom, left:right])


@pytest.mark.skipif(not hasattr(os, "posix_fadvise"), reason="the system has no such call")
def test_the_disk_is_asked_for_all_of_a_part_at_once(tmp_path, monkeypatch):
    """Three rows of two squares of an image, the first of which is the second of four, and the same of a mask."""
    wholes = []
    for name, shape in (("image", (300, 391, 3)), ("mask", (300, 391))):
        (tmp_path / name).mkdir()
        write_pixels(tmp_path / name / "pixels", [np.zeros(shape, np.uint8)])
        wholes.append(tmp_path / name / "whole.window")
        Window("", shape, (0, 0, *shape[:2])).write(wholes[-1])
    asked = []
    monkeypatch.setattr(os, "posix_fadvise", lambda file, offset, size, advice: asked.append((offset, size)))
    assert [part.shape for part in read_together(wholes, (100, 130, 260, 380))] == [(160, 250, 3), (160, 250)]
    square = 128 * 128
    expected = [((4 * row + 1) * square * bands, 2 * square * bands) for bands in (3, 1) for row in range(3)]
    assert asked == expected


def test_windows_have_the_pixels_of_the_image(pairs):
    large = large_images(pairs, sizes_of(pairs))
    assert large == {pairs.images[1]: (90, 130)}
    cut = cut_large(pairs, large, (40, 60))
    assert (cut.images, cut.windows, len(cut.pairs)) == (1, 4, 6)  # as many crops as its area holds
    assert cut.gigabytes == pytest.approx(90 * 130 * 4 / 1e9)
    assert (len({*cut.pairs.images}), len({*cut.pairs.labels})) == (3, 3)
    image, label = cut.pairs.images[1], cut.pairs.labels[1]
    np.testing.assert_array_equal(read_image(image), Image.open(pairs.images[1]))
    np.testing.assert_array_equal(cut.pairs.read_label(label), Image.open(pairs.labels[1]))
    assert displayed_size(image) == inspect_image(image).size == (90, 130)
    assert orientation_of(image) == 1
    assert image.name == "b_0_0_90x130.window"
    for index in (0, -1):
        assert (cut.pairs.images[index], cut.pairs.labels[index]) == (pairs.images[index], pairs.labels[index])
        np.testing.assert_array_equal(cut.pairs.read_label(pairs.labels[index]), pairs.read_label(pairs.labels[index]))


def test_it_is_decoded_once(pairs, monkeypatch):
    large = large_images(pairs, sizes_of(pairs))
    first = cut_large(pairs, large, (40, 60))
    monkeypatch.setattr(windows, "write_pixels", None)
    again = cut_large(pairs, large, (40, 60))
    assert (again.pairs.images, again.pairs.labels) == (first.pairs.images, first.pairs.labels)
    assert cut_large(pairs, large, (20, 20)).windows == 90 * 130 // 400


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
    box = 20, 30, 85, 120
    blocks = cut(pairs, lambda image: [box] if image == pairs.images[1] else None).pairs
    again = cut_large(blocks, large_images(blocks, sizes_of(blocks)), (20, 40))
    assert again.windows == 65 * 90 // 800
    assert again.gigabytes == pytest.approx(90 * 130 * 4 / 1e9)
    assert again.pairs.images == (pairs.images[0], *[blocks.images[1]] * again.windows, pairs.images[2])
    whole = np.asarray(Image.open(pairs.images[1]))[20:85, 30:120]
    np.testing.assert_array_equal(read_image(blocks.images[1]), whole)
    np.testing.assert_array_equal(read_pixels(blocks.images[1], (1, 2, 40, 50)), whole[1:40, 2:50])


def test_what_another_worker_decodes_is_waited_for(pairs, monkeypatch):
    """A second worker comes first, each time that the lock is taken."""
    large, written, take = large_images(pairs, sizes_of(pairs)), [], windows.locked

    @contextlib.contextmanager
    def taken(path, busy, patience):
        monkeypatch.setattr(windows, "locked", take)
        cut_large(pairs, large, (40, 60))
        with take(path, busy, patience):
            yield

    monkeypatch.setattr(windows, "locked", taken)
    monkeypatch.setattr(windows, "write_pixels", lambda path, parts: written.append(path) or write_pixels(path, parts))
    assert cut_large(pairs, large, (40, 60)).windows == 4
    assert len(written) == 2  # an image and its mask, once
    monkeypatch.setattr(windows, "PATIENCE", 0.0)
    Image.fromarray(np.zeros((90, 130, 3), np.uint8)).save(pairs.images[1])
    holding = contextlib.ExitStack()
    monkeypatch.setattr(windows, "locked", lambda *given: holding.enter_context(take(given[0], "")) or take(*given))
    with holding, pytest.raises(UserError, match=r"^process \d+ on .* decodes .*b\.png into .*; wait until it ends"):
        cut_large(pairs, large, (40, 60))


def test_small_images_stay_as_they_are(pairs):
    assert cut_large(pairs, {}, (40, 60)).pairs == pairs


def test_the_line(pairs, tmp_path):
    cut = cut_large(pairs, large_images(pairs, sizes_of(pairs)), (40, 60))
    assert cut.line == (
        f"1 image is read by windows, 4 crops of it an epoch; decoded once into {tmp_path}/cache/windows (0.0 GB)"
    )


def test_faults_are_one_line(pairs, tmp_path, monkeypatch):
    large = large_images(pairs, sizes_of(pairs))
    write_label(pairs.labels[1], np.zeros((90, 131), np.uint8), CLASSES)
    with pytest.raises(DataError, match=r"b\.png: it and its image .*b\.png are of 90x131 and 90x130 pixels"):
        cut_large(pairs, large, (40, 60))
    (tmp_path / "file").write_text("")
    monkeypatch.setenv(VARIABLE, str(tmp_path / "file"))
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
        f"blocks=64: {image} of 30x40 pixels is one block, which leaves val empty; it is too small to divide: "
        "add images"
    )
    assert len(divided_by_blocks(alone, "val", 20, image.parent)) == 1


@pytest.mark.parametrize(
    ("size", "fix"),
    [
        ((30, 40), "it is too small to divide: add images"),
        ((127, 90), "choose at most 64"),
        ((64, 128), "choose at most 64"),
    ],
)
def test_what_is_advised_is_a_block(tmp_path, size, fix):
    """The option takes 64 and more."""
    Image.new("RGB", size[::-1]).save(tmp_path / "a.png")
    pairs = Pairs("folders", "train", (tmp_path / "a.png",), (tmp_path / "a.png",), CLASSES, read_label)
    with pytest.raises(UserError, match=rf"; {fix}$"):
        divided_by_blocks(pairs, "val", 128, tmp_path)


def test_blocks_are_an_option_of_data_without_splits(pairs, tmp_path):
    root = tmp_path
    train, val = open_splits(root, ("train", "val"), blocks=64)
    assert (len(train), len(val), train.note) == (6, 2, val.note)
    assert inspect_pairs(val).findings == ()
    assert not {*train.images} & {*val.images}
    lists = root / "train.txt", root / "val.txt"
    for path, name in zip(lists, "ab"):
        path.write_text(f"{name}\n")
    with pytest.raises(UserError) as caught:
        open_pairs(root, "val", blocks=64)
    assert str(caught.value) == f"{root}: has splits of its own, which blocks does not divide; leave it out"
    with pytest.raises(UserError, match="no such folder"):
        open_pairs(root / "missing", "val", blocks=64)


def test_another_fault_of_data_that_are_to_be_divided_is_told(monkeypatch, pairs, tmp_path):
    def listed(root, split, *_):
        if split == "all":
            raise UserError(f"{root}/a.png: cannot be decoded; replace it")
        return pairs

    monkeypatch.setattr("keras_fcn.datasets._listed", listed)
    with pytest.raises(UserError, match=r"a\.png: cannot be decoded; replace it$"):
        open_pairs(tmp_path, "val", blocks=64)


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
