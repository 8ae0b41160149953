"""labelme's own JSON: masks as its shapes_to_label gives them, labels, folders, and faults in the files."""

import json
from pathlib import Path

import numpy as np
import pytest
from layouts import save, splits
from PIL import Image

from keras_fcn.datasets import inspect_pairs, open_pairs
from keras_fcn.errors import UserError

DRAWN = Path(__file__).parents[3] / "extras/annotations/labelme_shapes.json"
"""What labelme itself drew: draw_by_labelme.py beside it made it."""

SIZE = (24, 30)
SQUARE = {"label": "cat", "shape_type": "polygon", "points": [[1, 1], [4, 1], [4, 4], [1, 4]]}
INSIDE = {"label": "_background_", "shape_type": "rectangle", "points": [[2, 2], [3, 3]]}


def put(root, name="a", shapes=(SQUARE,), image=None, **more):
    """An image and labelme's JSON of it."""
    save(root / (image or f"{name}.png"), np.zeros((*SIZE, 3), np.uint8))
    about = {"version": "5.4.1", "flags": {}, "shapes": list(shapes), "imagePath": f"{name}.png", "imageData": None}
    about |= {"imageHeight": SIZE[0], "imageWidth": SIZE[1]} | more
    (root / f"{name}.json").parent.mkdir(parents=True, exist_ok=True)
    (root / f"{name}.json").write_text(json.dumps(about), encoding="utf-8")


def masks(pairs):
    inspect_pairs(pairs).require_sound()
    return {image.stem: pairs.read_label(label) for image, label in zip(pairs.images, pairs.labels)}


def test_masks_are_those_of_labelme(tmp_path):
    drawn = json.loads(DRAWN.read_text(encoding="utf-8"))
    for number, each in enumerate(drawn):
        put(tmp_path, f"{number:02}", each["shapes"], version=each["version"])
    pairs = open_pairs(tmp_path, "all")
    assert pairs.classes.names == ("_background_", "cat", "dog")
    found = masks(pairs)
    for number, each in enumerate(drawn):
        expected = np.array([[".012".index(value) - 1 for value in row] for row in each["rows"]]).astype(np.uint8)
        np.testing.assert_array_equal(found[f"{number:02}"], expected)  # -1 is void, 255
    assert len(found) == 12


def test_a_square_of_four_by_four_and_a_hole_in_it(tmp_path):
    put(tmp_path, "a", [SQUARE, INSIDE])
    put(tmp_path, "b", [SQUARE, {"label": "cat", "shape_type": "rectangle", "points": [[8, 3], [6, 1]]}])
    found = masks(open_pairs(tmp_path, "all"))
    np.testing.assert_array_equal(found["a"][:6, :6], [
        [0, 0, 0, 0, 0, 0], [0, 1, 1, 1, 1, 0], [0, 1, 0, 0, 1, 0], [0, 1, 0, 0, 1, 0], [0, 1, 1, 1, 1, 0], [0] * 6
    ])  # fmt: skip
    assert found["a"].sum() == 12
    assert found["b"].sum() == 16 + 9


def test_labels_are_sorted_over_all_images_or_as_a_file_lists_them(tmp_path):
    for name, label in (("a", "zebra"), ("b", "ant"), ("c", "__ignore__")):
        put(tmp_path, name, [SQUARE | {"label": label}])
    assert open_pairs(tmp_path, "val").classes.names == ("_background_", "ant", "zebra")
    (tmp_path / "labels.txt").write_text("__ignore__\n_background_\nzebra\ndog\nant\n", encoding="utf-8")
    pairs = open_pairs(tmp_path, "all")
    assert pairs.classes.names == ("_background_", "zebra", "dog", "ant")
    assert {name: mask[1, 1] for name, mask in masks(pairs).items()} == {"a": 1, "b": 3, "c": 255}
    (tmp_path / "labels.txt").write_text("zebra\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"b.json: 'ant' is none of the labels of the data set; add it there"):
        inspect_pairs(open_pairs(tmp_path, "all")).require_sound()


def test_folders_of_splits_images_beside_and_images_without_json(tmp_path):
    for name in ("train/a", "train/b", "valid/c"):
        path = f"images/{name}.png"
        put(tmp_path, f"labels/{name}", imagePath=f"../../{path}".replace("/", "\\"), image=path)
    save(tmp_path / "images/train/d.png", np.zeros((*SIZE, 3), np.uint8))
    assert splits(tmp_path) == [{"a", "b"}, {"c"}]
    pairs = open_pairs(tmp_path, "train", unlabelled="background")
    assert not masks(pairs)["d"].any()
    assert [str(finding) for finding in open_pairs(tmp_path, "train").findings] == [
        f"{tmp_path}/images/train/d.png: has no mask; it is ignored until you add one"
    ]


def test_points_are_upright_where_exif_turns_the_photo(tmp_path):
    for name in ("a", "b"):
        put(tmp_path, name)
        exif = Image.Exif()
        exif[274] = 6
        Image.fromarray(np.zeros((*SIZE[::-1], 3), np.uint8)).save(tmp_path / f"{name}.png", exif=exif)
    assert masks(open_pairs(tmp_path, "train")).popitem()[1].shape == SIZE


FAULTS = {
    r"is not JSON \(": "{",
    "has no list of shapes; save it again": '{"version": "5", "flags": {}}',
    "has a shape without label": {"shapes": [{"points": []}]},
    "has a shape of the type 'points'; there are polygon, ": {"shapes": [SQUARE | {"shape_type": "points"}]},
    "has a polygon of 2 points, but it takes 3 at least": {"shapes": [SQUARE | {"points": [[1, 1], [2, 2]]}]},
    "has a rectangle of 4 points, but it takes 2;": {"shapes": [SQUARE | {"shape_type": "rectangle"}]},
    r"points of a polygon must be pairs of numbers. Received: \[1, 2": {"shapes": [SQUARE | {"points": [1, 2, 3, 4]}]},
    "coordinates of a polygon must be numbers. Received: 'x'": {"shapes": [SQUARE | {"points": [[1, "x"]] * 3}]},
    "the coordinate 50000, far outside the image of 24x30": {"shapes": [SQUARE | {"points": [[50_000, 1]] * 3}]},
    "a mask: cannot be decoded": {"shapes": [INSIDE | {"shape_type": "mask", "mask": "AAAA"}]},
    "the image '../a.png' is missing|lies outside of": {"imagePath": "../a.png"},
    "names its image from elsewhere, '/home/me/a.png'; write": {"imagePath": "/home/me/a.png"},
    "says that .*a.png is 25x30 .*, but it is 24x30": {"imageHeight": 25},
    "imageHeight and imageWidth must be numbers": {"imageHeight": "24"},
    "b.json: .*a.png has been annotated already by .*a.json": None,
}  # fmt: skip


@pytest.mark.parametrize("message", FAULTS)
def test_faults(tmp_path, message):
    put(tmp_path, "c")
    fault = FAULTS[message]
    put(tmp_path, "a", **(fault if isinstance(fault, dict) else {}))
    if fault is None:
        put(tmp_path, "b", imagePath="a.png")
    elif isinstance(fault, str):
        (tmp_path / "a.json").write_text(fault, encoding="utf-8")
    with pytest.raises(UserError, match=message) as caught:
        inspect_pairs(open_pairs(tmp_path, "all")).require_sound()
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(f"{tmp_path}/{'b' if fault is None else 'a'}.json: ")
