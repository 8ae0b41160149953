"""Label Studio's JSON: masks as its converter gives them, where images are, and faults in the file."""

import json
from pathlib import Path

import numpy as np
import pytest
from layouts import save, splits

from keras_fcn.datasets import inspect_pairs, open_pairs
from keras_fcn.datasets.layouts.annotations.raster.label_studio import brush, draw_label_studio
from keras_fcn.errors import UserError

DRAWN = Path(__file__).parents[3] / "extras/annotations/label_studio_regions.json"
"""What Label Studio's converter itself gave: draw_by_label_studio.py beside it made it."""

SIZE = (24, 30)
BOX = {"x": 10, "y": 12.5, "width": 10, "height": 12.5}  # (3, 3) to (6, 6)


def region(kind, value, labels=("cat",), **more):
    about = {"original_width": SIZE[1], "original_height": SIZE[0], "image_rotation": 0, "type": kind}
    return about | {"value": value | {kind: list(labels)}} | more


def box(label="cat", **more):
    return region("rectanglelabels", BOX | more, [label])


def task(number, results, image=None, **more):
    annotation = {"id": number, "was_cancelled": False, "completed_by": 1, "result": results}
    data = {"image": image or f"/data/upload/1/0123abcd-{number}.png"}
    return {"id": number, "annotations": [annotation], "data": data} | more


def put(root, tasks, name="export.json", images="images/{}.png"):
    for each in tasks:
        save(root / images.format(each["id"]), np.zeros((*SIZE, 3), np.uint8))
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(json.dumps(tasks), encoding="utf-8")
    return root


def masks(pairs):
    inspect_pairs(pairs).require_sound()
    return {image.stem: pairs.read_label(label) for image, label in zip(pairs.images, pairs.labels)}


def ids_of(rows):
    return np.array([[int(value) for value in row] for row in rows])


def test_masks_are_those_of_label_studio(tmp_path):
    drawn = json.loads(DRAWN.read_text(encoding="utf-8"))
    rows = {str(each["id"]): ids_of(each.pop("rows")) for each in drawn["tasks"]}
    pairs = open_pairs(put(tmp_path, drawn["tasks"]), "all")
    assert pairs.classes.names == ("background", "ant", "cat")
    found = masks(pairs)
    assert sorted(found) == sorted(rows)
    for name, ids in rows.items():
        np.testing.assert_array_equal(found[name], ids)
    for each in drawn["brushes"]:
        np.testing.assert_array_equal(brush(each["rle"], SIZE), ids_of(each["rows"]))


def test_rectangles_turn_around_their_corner_and_ellipses_around_their_centre():
    ids = draw_label_studio([(1, BOX), (2, BOX | {"x": 30, "rotation": 90})], SIZE)
    expected = np.zeros(SIZE, int)
    expected[3:6, 3:6] = 1  # three by three pixels, as COCO's polygons have it
    expected[3:6, 6:9] = 2  # turned clockwise: to the left of its corner (9, 3)
    np.testing.assert_array_equal(ids, expected)
    circle = {"x": 50, "y": 50, "radiusX": 5 / 30 * 100, "radiusY": 2 / 24 * 100}
    rows, columns = np.mgrid[:24, :30] + 0.5
    inside = ((columns - 15) / 5) ** 2 + ((rows - 12) / 2) ** 2 <= 1
    np.testing.assert_array_equal(draw_label_studio([(1, circle)], SIZE), inside)
    upright = ((columns - 15) / 2) ** 2 + ((rows - 12) / 5) ** 2 <= 1
    np.testing.assert_array_equal(draw_label_studio([(1, circle | {"rotation": 90})], SIZE), upright)


def test_the_later_lies_on_top_and_void_is_void(tmp_path):
    tasks = [task(1, [box(), box("dog", x=15)]), task(2, [box("ignore")])]
    found = masks(open_pairs(put(tmp_path, tasks), "all"))
    np.testing.assert_array_equal(found["1"][4, :9], [0, 0, 0, 1, 1, 2, 2, 2, 0][:9])
    assert (found["2"] == 255).sum() == 9


@pytest.mark.parametrize(
    ("address", "images"),
    [
        ("/data/upload/1/0123abcd-{}.png", "images/0123abcd-{}.png"),
        ("/data/upload/1/0123abcd-{}.png", "{}.png"),
        ("/data/local-files/?d=set/photos/{}.png", "photos/{}.png"),
        ("s3://bucket/photos/{}.png", "images/{}.png"),
        ("https://example.org/photos/{}.png?token=a.b/c", "images/{}.png"),
    ],
)
def test_where_images_may_be(tmp_path, address, images):
    tasks = [task(number, [box()], address.format(number)) for number in (1, 2)]
    assert len(open_pairs(put(tmp_path, tasks, images=images), "all")) == 2


def test_minimal_exports_two_files_and_tasks_that_nobody_annotated(tmp_path):
    value = BOX | {"rectanglelabels": ["cat"], "original_width": 30, "original_height": 24}
    tasks = [{"id": number, "image": f"/data/upload/1/0123abcd-{number}.png", "label": [value]} for number in (1, 2)]
    put(tmp_path, tasks, "train.json")
    choice = {"type": "choices", "from_name": "a", "value": {"choices": ["indoors"]}}
    cancelled = task(5, [box()])
    cancelled["annotations"][0]["was_cancelled"] = True
    tasks = [task(3, [choice, box()]), task(4, [choice]), cancelled, task(6, []) | {"annotations": []}]
    put(tmp_path, tasks, "val.json")
    assert splits(tmp_path) == [{"1", "2"}, {"3", "4"}]
    pairs = open_pairs(tmp_path, "val")
    assert [mask.sum() for mask in masks(pairs).values()] == [9, 0]
    assert {path.stem for path in pairs.unlabelled} == {"5", "6"}


def test_regions_and_labels_apart_are_one_region(tmp_path):
    apart = [region("rectangle", BOX, id="r"), region("labels", BOX, id="r")]
    del apart[0]["value"]["rectangle"]
    assert masks(open_pairs(put(tmp_path, [task(1, apart), task(2, apart)]), "all"))["1"].sum() == 9


RLE = json.loads(DRAWN.read_text(encoding="utf-8"))["brushes"][0]["rle"]
LONG = [0, 0, 22, 128, *RLE[4:]]  # claims twice the pixels

FAULTS = {
    "a region has the labels cat, dog; give each one": task(1, [region("rectanglelabels", BOX, ["cat", "dog"])]),
    "a region has no label; give each one": task(1, [region("rectanglelabels", BOX, [])]),
    "a region of 'cat' is no polygon, rectangle, ellipse or": task(1, [region("keypointlabels", {"x": 1, "y": 1})]),
    "a polygon has 2 points, but needs three": task(1, [region("polygonlabels", {"points": [[1, 1], [2, 2]]})]),
    "points of a polygon must be pairs of percents": task(1, [region("polygonlabels", {"points": [1, 2, 3]})]),
    "coordinates of a rectangle must be numbers. Received: 'wide'": task(1, [box(width="wide")]),
    "a rectangle has the coordinate 100000, far outside": task(1, [box(x=100_000)]),
    "its image was turned in Label Studio": task(1, [box() | {"image_rotation": 90}]),
    "says that .*1.png is 24x60 .*, but it is 24x30": task(1, [box() | {"original_width": 60}]),
    "regions are of images of different sizes": task(1, [box(), box() | {"original_width": 60}]),
    "the image '/data/upload/1/gone.png' is missing": task(1, [box()], "/data/upload/1/gone.png"),
    "has 2 annotations; delete all but one": task(1, [box()]) | {"annotations": task(1, [box()])["annotations"] * 2},
    "the runs of a brush end before the image does": task(1, [region("brushlabels", {"rle": RLE[:40]})]),
    "a brush has 5760 values of 8 bits, but the image takes 2880": task(1, [region("brushlabels", {"rle": LONG})]),
    "a region of its annotation has no value; export it": task(1, [{"type": "brushlabels", "original_width": 60}]),
    "a brush must be a list of bytes": task(1, [region("brushlabels", {"rle": [256]})]),
}  # fmt: skip


@pytest.mark.parametrize("message", FAULTS)
def test_faults_of_a_task(tmp_path, message):
    put(tmp_path, [FAULTS[message], task(2, [box()]), task(3, [box()])])
    with pytest.raises(UserError, match=message) as caught:
        inspect_pairs(open_pairs(tmp_path, "all")).require_sound()
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(f"{tmp_path}/export.json: task 1: ")


def test_faults_of_the_file(tmp_path):
    put(tmp_path, [task(1, []), task(1, [])])
    with pytest.raises(UserError, match=r"export.json: task 1 is there more than once; export it again"):
        open_pairs(tmp_path, "all")
    (tmp_path / "export.json").write_text('[{"id": 1, "annotations": [', encoding="utf-8")
    with pytest.raises(UserError, match=r"export.json: is not JSON \(.*line 1, column"):
        open_pairs(tmp_path, "all")
