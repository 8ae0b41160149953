"""Outlines and run lengths are exact: read by other code they give the mask back."""

import importlib.util
import json

import numpy as np
import pytest
from conftest import Call
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.path import Path as Outline
from PIL import Image, ImageDraw

from keras_fcn.images.classes import ClassTable
from keras_fcn.prediction.annotations.coco import coco, coordinates, merged_coco
from keras_fcn.prediction.annotations.cvat import merged_cvat
from keras_fcn.prediction.annotations.geojson import geojson, polygons
from keras_fcn.prediction.annotations.label_studio import merged_label_studio

needs_rasterio = pytest.mark.skipif(
    importlib.util.find_spec("rasterio") is None,
    reason="Rasterio is not installed: pip install -r requirements-extra.txt",
)
needs_pycocotools = pytest.mark.skipif(
    importlib.util.find_spec("pycocotools") is None or importlib.util.find_spec("scipy") is None,
    reason="pycocotools or SciPy is not installed: pip install -r requirements-extra.txt",
)
VOC = ClassTable.voc()
DONUTS = np.array(
    [
        [8, 8, 8, 8, 0, 8, 8, 8],
        [8, 0, 8, 8, 0, 8, 12, 8],
        [8, 8, 0, 8, 0, 8, 8, 8],
        [8, 8, 8, 8, 0, 0, 0, 12],
    ],
    np.uint8,
)
"""A cat with two holes that touch at a corner; a cat around a dog; another dog."""


def inside(ring, shape):
    """Returns which pixel centres are within one ring, by Matplotlib."""
    rows, columns = np.mgrid[: shape[0], : shape[1]] + 0.5
    return Outline(ring).contains_points(np.stack([columns, rows], -1).reshape(-1, 2)).reshape(shape)


def filled(rings, shape):
    """Returns the pixels that rings enclose by the even-odd rule: a hole is in its outer ring and in its own."""
    total = np.zeros(shape, int)
    for ring in rings:
        total += inside(ring, shape)
    return total % 2 == 1


def masks():
    sizes = st.tuples(st.integers(1, 9), st.integers(1, 9), st.integers(0, 2**32 - 1), st.integers(1, 3))
    return sizes.map(lambda s: np.random.default_rng(s[2]).integers(0, s[3] + 1, s[:2], np.uint8))


@needs_rasterio
@settings(deadline=None, derandomize=True, database=None, max_examples=150)
@given(masks())
def test_filled_again_they_are_the_mask(ids):
    painted, covered = np.zeros_like(ids), np.zeros(ids.shape, int)
    for index, polygon in polygons(ids, VOC):
        where = filled(polygon, ids.shape)
        painted[where] = index
        covered += where
        assert sum(map(signed_area, polygon)) == where.sum()  # holes run the other way round
    np.testing.assert_array_equal(painted, ids)
    assert covered.max(initial=0) <= 1


@needs_rasterio
def test_geojson_has_a_feature_of_all_parts_for_each_class():
    table = geojson(DONUTS, VOC)
    assert json.loads(json.dumps(table))["type"] == "FeatureCollection"
    cat, dog = table["features"]
    assert cat["properties"] == {"id": 8, "name": "cat", "pixels": 22}
    assert dog["properties"] == {"id": 12, "name": "dog", "pixels": 2}
    assert sorted(len(polygon) for polygon in cat["geometry"]["coordinates"]) == [2, 3]
    for feature in table["features"]:
        for outer, *holes in feature["geometry"]["coordinates"]:
            assert outer[0] == outer[-1]
            assert signed_area(outer) > 0  # RFC 7946, section 3.1.6
            assert all(signed_area(hole) < 0 for hole in holes)


def signed_area(ring):
    x, y = np.array(ring, float).T
    return float((x[:-1] * y[1:] - x[1:] * y[:-1]).sum() / 2)


@needs_pycocotools
@settings(deadline=None, derandomize=True, database=None, max_examples=150)
@given(masks())
def test_coco_decodes_to_the_mask_and_is_what_pycocotools_encodes(ids):
    from pycocotools import mask

    painted, covered = np.zeros_like(ids), np.zeros(ids.shape, int)
    for annotation in json.loads(json.dumps(coco("a.jpg", ids, VOC)))["annotations"]:
        where = mask.decode(annotation["segmentation"])
        painted[where == 1] = annotation["category_id"]
        covered += where
        encoded = mask.encode(np.asfortranarray(where))
        assert annotation["segmentation"] == {**encoded, "counts": encoded["counts"].decode()}
        assert annotation["area"] == where.sum()
        rows, columns = np.nonzero(where)
        box = [columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1]
        assert annotation["bbox"] == box
    np.testing.assert_array_equal(painted, ids)
    assert covered.max(initial=0) <= 1


def test_outlines_of_less_than_three_points_repeat_the_first():
    assert coordinates(np.array([[1, 2]])) == [1, 2, 1, 2, 1, 2]
    assert coordinates(np.array([[1, 2], [3, 4]])) == [1, 2, 3, 4, 1, 2]
    assert coordinates(np.array([[1, 2], [3, 4], [5, 6]])) == [1, 2, 3, 4, 5, 6]


@needs_pycocotools
def test_a_class_may_have_more_than_255_objects():
    """pycocotools' own `area` takes no more at once."""
    ids = np.zeros((60, 40), np.uint8)
    ids[::2, ::2] = 8
    annotations = coco("a.jpg", ids, VOC)["annotations"]
    assert [annotation["area"] for annotation in annotations] == [1] * 600
    assert {tuple(annotation["bbox"]) for annotation in annotations} == {
        (column, row, 1, 1) for row in range(0, 60, 2) for column in range(0, 40, 2)
    }


@needs_pycocotools
def test_pycocotools_itself_reads_the_file(tmp_path, capsys):
    from pycocotools.coco import COCO

    (tmp_path / "coco.json").write_text(json.dumps(coco("day/a.jpg", DONUTS, VOC)))
    table = COCO(str(tmp_path / "coco.json"))
    painted = np.zeros_like(DONUTS)
    for annotation in table.loadAnns(table.getAnnIds(imgIds=[1])):
        painted[table.annToMask(annotation) == 1] = annotation["category_id"]
    np.testing.assert_array_equal(painted, DONUTS)


@needs_pycocotools
def test_coco_has_an_annotation_for_each_connected_part():
    table = coco("day/a.jpg", DONUTS, VOC)
    assert table["images"] == [{"id": 1, "file_name": "day/a.jpg", "width": 8, "height": 4}]
    assert [category["id"] for category in table["categories"]] == [*range(1, 21)]
    assert [a["id"] for a in table["annotations"]] == [1, 2, 3, 4]
    assert [(a["image_id"], a["iscrowd"]) for a in table["annotations"]] == [(1, 0)] * 4
    assert sorted((a["category_id"], a["area"], *a["bbox"]) for a in table["annotations"]) == [
        (8, 8, 5, 0, 3, 3), (8, 14, 0, 0, 4, 4), (12, 1, 6, 1, 1, 1), (12, 1, 7, 3, 1, 1),
    ]  # fmt: skip
    assert coco("empty.jpg", np.zeros((3, 4), np.uint8), VOC)["annotations"] == []


@needs_rasterio
@needs_pycocotools
def test_polygons_have_the_areas_and_boxes_of_their_objects():
    tables = [coco("a.jpg", DONUTS, VOC, tolerance) for tolerance in (0, 0.5)]
    one, other = (
        sorted((a["category_id"], a["area"], *a["bbox"], a["image_id"], a["iscrowd"]) for a in table["annotations"])
        for table in tables
    )
    assert one == other
    assert {type(a["segmentation"]) for a in tables[1]["annotations"]} == {list}


@needs_rasterio
def test_pillow_paints_the_same():
    """Enlarged tenfold, since Pillow paints the pixels of the outline, too: the middles of the pixels decide."""
    canvas = Image.new("L", (10 * DONUTS.shape[1] + 1, 10 * DONUTS.shape[0] + 1))
    draw = ImageDraw.Draw(canvas)
    found = sorted(
        polygons(DONUTS, VOC), key=lambda pair: -signed_area(pair[1][0])
    )  # what is inside a hole comes later
    for index, (outer, *holes) in found:
        draw.polygon([(10 * x, 10 * y) for x, y in outer], fill=index)
        for hole in holes:
            draw.polygon([(10 * x, 10 * y) for x, y in hole], fill=0)
    np.testing.assert_array_equal(np.asarray(canvas)[5::10, 5::10], DONUTS)


@needs_pycocotools
@pytest.mark.parametrize(
    ("merged", "empty", "others"),
    [
        (merged_cvat, b"<annotations>\n</annotations>\n", [b"<annotations", b"<annotations></annotations>", b""]),
        (merged_label_studio, b"[]\n", [b"[", b"[]", b"{}", b'[{"data": {}}]', b"[1, 2]"]),
    ],
)
def test_files_in_another_form_are_left_out_of_a_merged_one(merged, empty, others):
    left_out = []
    assert (b"".join(merged(others, left_out)), left_out) == (empty, others)


def test_files_of_many_images_are_merged_into_one():
    tables = [coco(f"{name}.jpg", np.roll(DONUTS, shift), VOC) for shift, name in enumerate(["a", "é"])]
    merged = json.loads(b"".join(merged_coco((json.dumps(table).encode() for table in tables), [])))
    assert [image["file_name"] for image in merged["images"]] == ["a.jpg", "é.jpg"]
    assert [image["id"] for image in merged["images"]] == [1, 2]
    assert [a["id"] for a in merged["annotations"]] == [*range(1, len(merged["annotations"]) + 1)]
    for number, table in enumerate(tables, 1):
        ours = [a["segmentation"] for a in merged["annotations"] if a["image_id"] == number]
        assert ours == [a["segmentation"] for a in table["annotations"]]
    assert merged["categories"] == tables[0]["categories"]


def test_merging_nothing_is_a_file_all_the_same():
    assert json.loads(b"".join(merged_coco([], []))) == {"annotations": [], "images": [], "categories": []}


def test_without_the_packages_it_says_so(monkeypatch, tmp_path):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    for output, needed in (("geojson", "rasterio"), ("coco", "pycocotools, scipy")):
        call = Call("predict.py", "model", tmp_path, "--write", output, "--out", tmp_path / "out")
        assert (call.status, call.err.count("\n")) == (2, 1)
        message = f"--write {output}: needs {needed}, which is not installed: pip install -r requirements-extra.txt"
        assert message in call.err
