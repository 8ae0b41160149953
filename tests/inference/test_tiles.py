"""Tiles and seams by NumPy alone, with weights worked out for each pixel."""

import numpy as np
import pytest

from keras_fcn.errors import UserError
from keras_fcn.inference import tiling
from keras_fcn.inference.tiling import Tiled


def image_of(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def channels(images):
    """Probabilities that are the pixels themselves, so that tiles must change nothing."""
    return images.astype(np.float32)


class Numbered:
    """Probabilities [number of the call, 1], and what was asked for."""

    def __init__(self):
        self.tiles = []

    def __call__(self, images):
        self.tiles.append(images)
        return np.stack(
            [np.full(images.shape[:3], len(self.tiles), np.float32), np.ones(images.shape[:3], np.float32)], axis=-1
        )


def share(position, start, end, overlap, size):
    """Returns how much of a pixel along one axis is of the tile from `start` to `end` of an image."""
    if not start <= position < end:
        return 0.0
    rise = fall = 1.0
    if start > 0 and position < start + overlap:
        rise = min(max(2 * (position - start + 0.5) / overlap - 0.5, 0), 1)
    if end < size and position >= end - overlap:
        fall = min(max(2 * (end - position - 0.5) / overlap - 0.5, 0), 1)
    return rise * fall


def starts_of(size, tile, overlap):
    """Returns where tiles begin: one after another until the image is covered."""
    starts = [0]
    while starts[-1] + tile < size:
        starts.append(starts[-1] + tile - overlap)
    return starts


CASES = [
    (40, 96, (64, 64), 32),
    (160, 70, (64, 96), 32),
    (130, 200, (96, 64), 32),
    (64, 64, (32, 64), 0),
    (9, 9, (32, 32), 0),
]


@pytest.mark.parametrize(("height", "width", "tile", "overlap"), CASES)
def test_each_pixel_is_of_the_tiles_that_it_is_near(height, width, tile, overlap):
    numbered = Numbered()
    tiled = Tiled(numbered, tile, overlap)
    values = tiled.probabilities(image_of(height, width)[None])[0]
    expected, number = np.zeros((height, width)), 0
    for top in starts_of(height, tile[0], overlap):
        for left in starts_of(width, tile[1], overlap):
            number += 1
            bottom, right = min(top + tile[0], height), min(left + tile[1], width)
            rows = [share(row, top, bottom, overlap, height) for row in range(height)]
            columns = [share(column, left, right, overlap, width) for column in range(width)]
            expected += number * np.outer(rows, columns)
    np.testing.assert_allclose(values[..., 0], expected, atol=1e-5)
    np.testing.assert_allclose(values[..., 1], 1, atol=1e-6)
    assert (values.dtype, tiled.tile, tiled.number(height, width)) == (np.float32, tile, number)
    assert all(tile.shape[0] == 1 for tile in numbered.tiles)


@pytest.mark.parametrize(("height", "width", "tile", "overlap"), CASES)
def test_blocks_cover_each_pixel_once_row_after_row(height, width, tile, overlap):
    image = image_of(height, width)
    covered, tiled = np.zeros((height, width), int), Tiled(channels, tile, overlap)
    corners = []
    for rows, columns, block in tiled.blocks(image):
        covered[rows, columns] += 1
        corners.append((rows.start, columns.start))
        assert block.dtype == np.float32
        np.testing.assert_allclose(block, image[rows, columns], atol=1e-4)
    assert (covered == 1).all()
    assert corners == sorted(corners)
    assert len(corners) == tiled.number(height, width)


def test_several_images_are_decided_on_one_by_one():
    images = np.stack([image_of(40, 50), image_of(40, 50, 1)])
    tiled = Tiled(channels, (32, 32), 0)
    expected = images.argmax(-1)
    assert tiled.segment(images).dtype == np.uint8
    np.testing.assert_array_equal(tiled.segment(images), expected)
    np.testing.assert_array_equal(tiled.segment(images.tolist()), expected)
    np.testing.assert_array_equal(tiled.probabilities(images), images)
    least = Tiled(channels, (32, 32), 0, lambda values: values.argmin(-1).astype(np.uint8))
    np.testing.assert_array_equal(least.segment(images), images.argmin(-1))


def test_no_image_and_no_pixels():
    numbered = Numbered()
    tiled = Tiled(numbered, (32, 32), 0)
    assert tiled.probabilities(np.zeros((0, 4, 5, 3), np.uint8)).shape == (0, 4, 5, 2)
    assert tiled.probabilities(np.zeros((2, 0, 5, 3), np.uint8)).shape == (2, 0, 5, 2)
    assert tiled.segment(np.zeros((1, 5, 0, 3), np.uint8)).shape == (1, 5, 0)


def test_a_tile_of_one_colour_is_predicted_once_for_each_size_and_colour():
    image = np.zeros((32, 32 * 7, 3), np.uint8)
    image[:, 64:96] = 5  # another colour
    image[:, 128:160] = image_of(32, 32)
    image[:, 192:] = 0
    image[0, 192, 0] = 1  # not of one colour, by a single pixel
    numbered = Numbered()
    values = Tiled(numbered, (32, 32), 0).probabilities(image[None])[0]
    assert values[0, ::32, 0].tolist() == [1, 1, 2, 3, 4, 3, 5]  # black is known after the tile of many colours
    image[:] = 7
    numbered = Numbered()
    values = Tiled(numbered, (32, 32), 0).probabilities(image[None, :, :200])[0]
    assert values[0, ::32, 0].tolist() == [1] * 6 + [2]  # the last is narrower
    assert [tile.shape for tile in numbered.tiles] == [(1, 32, 32, 3), (1, 32, 8, 3)]
    one = np.full((1, 33, 33, 3), 7, np.uint8)  # the last tiles are a pixel wide, or high
    np.testing.assert_array_equal(Tiled(channels, (32, 32), 0).probabilities(one), one)


def test_what_was_predicted_is_not_changed():
    """Neither what a function keeps, nor the tile that is known by its colour."""
    kept = np.ones((1, 64, 64, 1), np.float32)
    for image in (image_of(64, 160), np.zeros((64, 160, 3), np.uint8)):
        tiled = Tiled(lambda images: kept[:, : images.shape[1], : images.shape[2]], (64, 64), 32)
        np.testing.assert_allclose(tiled.probabilities(image[None]), 1, atol=1e-6)
        assert (kept == 1).all()


def test_a_seam_that_is_too_wide_for_memory_is_in_a_file(monkeypatch):
    image, tiled = image_of(160, 70), Tiled(channels, (64, 64), 32)
    expected = tiled.probabilities(image[None])
    assert tiling._IN_MEMORY == 64 << 20
    rolled, kept = [], tiling.tempfile.SpooledTemporaryFile

    class Spied(kept):
        def rollover(self):
            rolled.append(1)
            super().rollover()

    monkeypatch.setattr(tiling.tempfile, "SpooledTemporaryFile", Spied)
    np.testing.assert_array_equal(tiled.probabilities(image[None]), expected)
    assert not rolled
    monkeypatch.setattr(tiling, "_IN_MEMORY", 32 * 70 * 3 * 4 - 1)
    np.testing.assert_array_equal(tiled.probabilities(image[None]), expected)
    assert len(rolled) == 1
    monkeypatch.setattr(tiling, "_IN_MEMORY", 32 * 70 * 3 * 4)
    np.testing.assert_array_equal(tiled.probabilities(image[None]), expected)
    assert len(rolled) == 1


def test_a_full_disk_under_a_seam_is_one_line(monkeypatch):
    closed = []

    class Full(tiling.tempfile.SpooledTemporaryFile):
        def write(self, data):
            raise OSError(28, "No space left on device")

        def close(self):
            closed.append(1)
            super().close()

    monkeypatch.setattr(tiling.tempfile, "SpooledTemporaryFile", Full)
    monkeypatch.setattr(tiling.tempfile, "tempdir", "/tmp")
    with pytest.raises(UserError, match=r"^/tmp: cannot be written \(No space left on device\)"):
        Tiled(channels, (64, 64), 32).probabilities(image_of(160, 70)[None])
    assert closed
