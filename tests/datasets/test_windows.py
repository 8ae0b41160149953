"""Large images are cut once: windows hold the image's very pixels, and every crop lies in one of them."""

import functools

import numpy as np
import pytest
from PIL import Image

from keras_fcn.datasets import Pairs, windows
from keras_fcn.datasets.windows import cut_large, large_images, overlapping
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


def test_windows_are_cut_again(pairs):
    """Those of a raster's blocks: a part of a part is one of the whole."""
    large = large_images(pairs, sizes_of(pairs))
    blocks = cut_large(pairs, large, (60, 80)).pairs
    inner = cut_large(blocks, large_images(blocks, sizes_of(blocks)), (20, 40)).pairs
    whole = np.asarray(Image.open(pairs.images[1]))
    for image in inner.images[1:-1]:
        top, left, size = image.stem.removeprefix("b_").split("_")
        height, width = map(int, size.split("x"))
        expected = whole[int(top) : int(top) + height, int(left) : int(left) + width]
        np.testing.assert_array_equal(read_image(image), expected)


def test_small_images_stay_as_they_are(pairs):
    assert cut_large(pairs, {}, (40, 60)).pairs is pairs


def test_the_line(pairs, tmp_path):
    cut = cut_large(pairs, large_images(pairs, sizes_of(pairs)), (40, 60))
    assert cut.line == (
        f"1 large image is read in 16 windows of 40x60 pixels, decoded once into {tmp_path}/cache/windows (0.0 GB)"
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
