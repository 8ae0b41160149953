"""Supervisely's projects: masks as its SDK draws them, data sets as splits, and faults in the files."""

import base64
import io
import json
import zlib
from pathlib import Path

import numpy as np
import pytest
from layouts import save, splits, write
from PIL import Image

from keras_fcn.datasets import inspect_pairs, open_pairs
from keras_fcn.datasets.layouts.annotations.raster.supervisely import draw_supervisely
from keras_fcn.errors import Remark, UserError

DRAWN = Path(__file__).parents[3] / "extras/annotations/supervisely_figures.json"
"""What the SDK drew: draw_by_supervisely.py beside it made it."""

SIZE = (24, 30)
SQUARE = {"exterior": [[1, 1], [4, 1], [4, 4], [1, 4]], "interior": []}
CAT = {"classTitle": "cat", "geometryType": "polygon", "points": SQUARE}
META = {"classes": [{"title": "cat", "shape": "polygon"}, {"title": "dog", "shape": "rectangle"}], "tags": []}


def put(root, name="a.png", figures=(CAT,), folder="ds", meta=META, **more):
    save(root / folder / "img" / name, np.zeros((*SIZE, 3), np.uint8))
    about = {"description": "", "tags": [], "size": {"height": SIZE[0], "width": SIZE[1]}, "objects": list(figures)}
    write(root / folder / f"ann/{name}.json", json.dumps(about | more))
    write(root / "meta.json", json.dumps(meta))
    return root


def masks(pairs):
    inspect_pairs(pairs).require_sound()
    return {path.stem: pairs.read_label(label) for path, label in zip(pairs.images, pairs.labels)}


def test_masks_are_those_of_the_sdk(tmp_path):
    drawn = json.loads(DRAWN.read_text(encoding="utf-8"))
    for number, each in enumerate(drawn["images"]):
        put(tmp_path, f"{number:02}.png", each["content"]["objects"], meta=drawn["meta"])
    pairs = open_pairs(tmp_path, "all")
    assert pairs.classes.names == ("background", "ant", "bee", "cat", "dog", "emu")
    found = masks(pairs)
    for number, each in enumerate(drawn["images"]):
        np.testing.assert_array_equal(found[f"{number:02}"], [[int(value) for value in row] for row in each["rows"]])
    assert len(found) == 12


def test_squares_holes_and_rectangles_by_hand():
    ring = {"exterior": [[1, 1], [6, 1], [6, 5], [1, 5]], "interior": [[[2.9, 2], [4, 2], [4, 4], [2.9, 4]]]}
    box = {"exterior": [[5, 3], [9, 2]], "interior": []}
    ids = draw_supervisely([(1, "polygon", {"points": ring}), (2, "rectangle", {"points": box})], (7, 8))
    np.testing.assert_array_equal(ids, [
        [0] * 8, [0, 1, 1, 1, 1, 1, 1, 0], [0, 1, 0, 0, 0, 2, 2, 2], [0, 1, 0, 0, 0, 2, 2, 2],
        [0, 1, 0, 0, 0, 1, 1, 0], [0, 1, 1, 1, 1, 1, 1, 0], [0] * 8,
    ])  # fmt: skip


def test_data_sets_are_splits_and_may_hold_others(tmp_path):
    for folder, name in (("train", "a.png"), ("train/datasets/north", "b.png"), ("val", "c.png"), ("val", "d.png")):
        put(tmp_path, name, folder=folder)
    (tmp_path / "val/ann/d.png.json").unlink()
    assert splits(tmp_path, ("train", "val", "train/north")) == [{"a"}, {"c"}, {"b"}]
    assert [path.name for path in open_pairs(tmp_path, "val").unlabelled] == ["d.png"]


def test_a_file_without_suffix_is_of_one_image(tmp_path):
    put(tmp_path, "a.jpg"), put(tmp_path, "a.png")
    (tmp_path / "ds/ann/a.jpg.json").unlink()
    (tmp_path / "ds/ann/a.png.json").rename(tmp_path / "ds/ann/a.json")
    with pytest.raises(
        UserError, match=r"ann/a\.json: may annotate each of a\.jpg and a\.png; rename it to a\.jpg\.js"
    ):
        open_pairs(tmp_path, "all")


def test_an_image_without_a_file_does_not_get_that_of_another_of_its_name(tmp_path):
    put(tmp_path, "a.jpg"), put(tmp_path, "a.png")
    (tmp_path / "ds/ann/a.jpg.json").unlink()
    pairs = open_pairs(tmp_path, "all")
    assert [path.name for path in pairs.images] == ["a.png"]
    assert [str(found).rpartition("/")[2] for found in pairs.findings] == [
        "a.jpg: has no mask, a.png has; it is ignored"
    ]


def test_lines_are_not_drawn_and_images_without_figures_are_background(tmp_path):
    put(tmp_path, "a.png", [{"classTitle": "cat", "geometryType": "line", "points": SQUARE}])
    put(tmp_path, "b.png", [{"classTitle": "cat", "points": SQUARE}])  # as older versions have it
    (tmp_path / "ds/ann/b.png.json").rename(tmp_path / "ds/ann/b.json")
    pairs = open_pairs(tmp_path, "all")
    remarks = [str(finding) for finding in pairs.findings if isinstance(finding, Remark)]
    assert remarks[0].endswith("a.png.json: has shapes that are no areas and are not drawn; in 1 image: line (1)")
    assert "has no shape, 1 of 2 images has none" in remarks[1]
    assert {name: mask.sum() for name, mask in masks(pairs).items()} == {"a": 0, "b": 16}


def test_background_is_a_class_of_its_name_or_of_the_sdk_s(tmp_path):
    meta = {"classes": [{"title": title, "shape": "polygon"} for title in ("cat", "__bg__", "ignore")]}
    put(tmp_path, "a.png", [CAT | {"classTitle": title} for title in ("cat", "__bg__")], meta=meta)
    put(tmp_path, "b.png", [CAT | {"classTitle": "ignore"}], meta=meta)
    pairs = open_pairs(tmp_path, "all")
    assert pairs.classes.names == ("background", "cat")
    assert {name: mask.max() for name, mask in masks(pairs).items()} == {"a": 0, "b": 255}


def polygon(points, **more):
    return {"figures": [CAT | {"points": {"exterior": points, "interior": []} | more}]}


def bitmap(data, origin=(0, 0)):
    return {"figures": [CAT | {"geometryType": "bitmap", "bitmap": {"data": data, "origin": list(origin)}}]}


def packed(mode):
    file = io.BytesIO()
    Image.new(mode, (2, 2)).save(file, "PNG")
    return base64.b64encode(zlib.compress(file.getvalue())).decode()


FAULTS = {
    r"is not JSON \(": "{",
    "has no list of objects; export the project again": {"objects": {}},
    "a polygon has 2 points, but needs 3; fix or remove it": polygon([[1, 1], [2, 2]]),
    "points of a polygon must be pairs of numbers. Received: None": polygon(None),
    r"points of a polygon must be pairs of numbers. Received: \[1, 2\]": polygon(
        [[1, 1], [2, 2], [3, 3]], interior=[[1, 2]]
    ),
    "coordinates of a polygon must be numbers. Received: 'x'": polygon([[1, 1], [2, 2], [3, "x"]]),
    "a polygon has the coordinate nan, far outside": polygon([[1, 1], [2, 2], [3, float("nan")]]),
    "a polygon needs an exterior and an interior. Received: None": {"figures": [{**CAT, "points": None}]},
    "a rectangle has 4 points, but takes 2": {"figures": [CAT | {"geometryType": "rectangle"}]},
    "a multipolygon has no parts, but None": {"figures": [CAT | {"geometryType": "multipolygon"}]},
    "a bitmap: cannot be decoded": bitmap("AAAA"),
    "a bitmap: cannot be decoded ": bitmap(None),
    "a bitmap must be a grey PNG, or have alpha. Received: RGB": bitmap(packed("RGB")),
    "points of a bitmap must be pairs of numbers": bitmap(packed("L"), (1,)),
    "'emu' is none of the classes of meta.json; add it there": {"figures": [CAT | {"classTitle": "emu"}]},
    "says that .*a.png is 24x31 .*, but it is 24x30": {"size": {"height": 24, "width": 31}},
    r"its size must have height and width. Received: \{'height': '24'": {"size": {"height": "24", "width": 30}},
    "the image 'a.png' is missing in .*ds/img; add it": None,
}


@pytest.mark.parametrize("message", FAULTS)
def test_faults_of_an_image(tmp_path, message):
    fault = FAULTS[message]
    put(tmp_path, "a.png", **(fault if isinstance(fault, dict) else {}))
    put(tmp_path, "b.png")
    put(tmp_path, "c.png")
    if fault is None:
        (tmp_path / "ds/img/a.png").unlink()
    elif isinstance(fault, str):
        write(tmp_path / "ds/ann/a.png.json", fault)
    with pytest.raises(UserError, match=message) as caught:
        inspect_pairs(open_pairs(tmp_path, "all")).require_sound()
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(f"{tmp_path}/ds/ann/a.png.json: ")


@pytest.mark.parametrize(
    ("meta", "message"),
    [
        ({"classes": [{"title": "cat"}] * 2}, "the class 'cat' is there more than once; rename one"),
        ({"classes": [{"name": "cat"}]}, "has no list of classes, each with a title"),
    ],
)
def test_faults_of_the_project(tmp_path, meta, message):
    with pytest.raises(UserError, match=f"meta.json: {message}"):
        open_pairs(put(tmp_path, meta=meta), "all")
