"""Outlines, filled by the libraries that tools fill them with, are the mask again, or nearly."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from keras_fcn.images.classes import ClassTable
from keras_fcn.prediction.annotations.coco import PYCOCOTOOLS
from keras_fcn.prediction.annotations.labelme import LABELME
from keras_fcn.prediction.annotations.mask.objects import cleaned, without_holes
from keras_fcn.prediction.annotations.mask.outlines import outlined, simplified
from keras_fcn.prediction.annotations.style import AnnotationStyle
from keras_fcn.prediction.annotations.yolo import ULTRALYTICS

pytest.importorskip("rasterio", reason="Rasterio is not installed: pip install -r requirements-extra.txt")
cv2 = pytest.importorskip("cv2", reason="OpenCV is not installed: pip install -r requirements-extra.txt")
coco_mask = pytest.importorskip("pycocotools.mask", reason="pip install -r requirements-extra.txt")

TWO = ClassTable.numbered(2)


def by_pillow(rings, size):
    image = Image.new("L", size[::-1])
    for ring in rings:
        ImageDraw.Draw(image).polygon([*map(tuple, ring.tolist())] + [tuple(ring[0].tolist())] * 2, outline=1, fill=1)
    return np.asarray(image) > 0


def by_opencv(rings, size):
    image = np.zeros(size, np.uint8)
    for ring in rings:
        cv2.fillPoly(image, [ring.astype(np.int32)], 1)
    return image > 0


def by_pycocotools(rings, size):
    if not rings:
        return np.zeros(size, bool)
    polygons = [(ring.ravel().tolist() * 3)[: max(6, ring.size)] for ring in rings]
    return coco_mask.decode(coco_mask.merge(coco_mask.frPyObjects(polygons, *size))) > 0


RULES = {"labelme": (LABELME, by_pillow), "yolo": (ULTRALYTICS, by_opencv), "coco": (PYCOCOTOOLS, by_pycocotools)}


def noise():
    sizes = st.tuples(st.integers(1, 12), st.integers(1, 12), st.integers(0, 2**32 - 1))
    return sizes.map(lambda s: (np.random.default_rng(s[2]).random(s[:2]) < 0.7).astype(np.uint8))


def blob(seed, size=(60, 70)):
    """Returns a mask with smooth edges and some holes."""
    rows, columns = np.mgrid[: size[0], : size[1]]
    random = np.random.default_rng(seed)
    waves = [
        np.sin(random.random() * 0.3 * rows + random.random() * 0.3 * columns + random.random() * 6) for _ in "abc"
    ]
    return (sum(waves) > 0).astype(np.uint8)


def far_from_edge(pixels, mask):
    """Returns how far the centres of pixels are from the nearest pixel on the other side, a square: brute force."""
    found = np.zeros(len(pixels))
    padded = np.pad(mask, 1)
    for value in (False, True):
        own = np.array([mask[row, column] == value for row, column in pixels], bool)
        away = np.maximum(np.abs(pixels[own, None] - np.argwhere(padded != value) + 1) - 0.5, 0)
        found[own] = np.sqrt((away**2).sum(axis=2)).min(axis=1)
    return found


@pytest.mark.parametrize("tool", RULES)
@settings(deadline=None, derandomize=True, database=None, max_examples=40)
@given(ids=noise())
def test_with_a_tolerance_of_0_they_are_the_mask(tool, ids):
    rule, draw = RULES[tool]
    rings = [ring for _, rings in outlined(ids, TWO, rule, 0) for ring in rings]
    np.testing.assert_array_equal(draw(rings, ids.shape), ids == 1)


@pytest.mark.parametrize("tool", RULES)
@pytest.mark.parametrize("tolerance", [1, 2.5])
def test_no_pixel_farther_from_the_edge_than_the_tolerance_changes(tool, tolerance):
    rule, draw = RULES[tool]
    ids, changed, corners = blob(3), 0, 0
    for each, rings in outlined(ids, TWO, rule, tolerance):
        drawn = draw([ring - np.array([each.left, each.top]) for ring in rings], each.mask.shape)
        different = np.argwhere(drawn != each.mask)
        assert len(different) <= 0.1 * each.mask.sum()
        assert far_from_edge(different, each.mask).max(initial=0) <= tolerance
        changed += len(different)
        corners += sum(map(len, rings))
    assert changed > 0
    # which is what a tolerance is for
    assert corners < 0.6 * sum(len(ring) for _, rings in outlined(ids, TWO, rule, 0) for ring in rings)


@pytest.mark.parametrize("tool", RULES)
def test_what_is_thinner_than_the_tolerance_stays(tool):
    crack = np.zeros((40, 60), bool)
    for column in range(60):
        crack[10 + column // 3 : 13 + column // 3, column] = True
    rule, draw = RULES[tool]
    ((_, rings),) = outlined(crack.astype(np.uint8), TWO, rule, 5)
    assert (draw(rings, crack.shape) != crack).sum() <= 0.1 * crack.sum()


def test_objects_are_cut_open_at_their_holes():
    ring = np.ones((5, 7), bool)
    ring[1:3, 1], ring[2:4, 4:6] = False, False
    parts = without_holes(ring)
    assert parts.max() == 3
    np.testing.assert_array_equal(parts > 0, ring)
    solid = np.ones((3, 3), bool)
    np.testing.assert_array_equal(without_holes(solid), 1)


def test_a_staircase_becomes_a_slope():
    stairs = np.array([[0, 0], [4, 0], [4, 1], [3, 1], [3, 2], [2, 2], [2, 3], [1, 3], [1, 4], [0, 4]])
    assert simplified(stairs, 1).tolist() == [[0, 0], [4, 1], [0, 4]]
    assert simplified(stairs, 0.1).tolist() == stairs.tolist()


def test_specks_and_small_holes_go_by_their_pixels():
    """Worked by hand: a ring with a hole of two pixels, one of another class in it, and a speck of two."""
    ids = np.array(
        [[1, 1, 1, 1, 0, 0], [1, 0, 2, 1, 0, 1], [1, 1, 1, 1, 0, 1], [0, 0, 0, 0, 0, 0]], np.uint8
    )  # fmt: skip
    three = ClassTable.numbered(3)
    filled = ids.copy()
    filled[1, 1:3] = 1
    np.testing.assert_array_equal(cleaned(ids, three, AnnotationStyle(fill_holes=3)), filled)
    np.testing.assert_array_equal(cleaned(ids, three, AnnotationStyle(fill_holes=2)), ids)
    without = cleaned(ids, three, AnnotationStyle(min_area=3))
    np.testing.assert_array_equal(without == 1, (ids == 1) & (np.indices(ids.shape)[1] < 5))
    assert not (without == 2).any()
    none = ClassTable.named(["sky", "cat", "dog"])  # without background, what is removed is no class
    assert cleaned(ids, none, AnnotationStyle(min_area=3))[1, 2] == 255
    assert cleaned(ids, three, AnnotationStyle()) is ids
