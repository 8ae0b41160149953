"""VGG Image Annotator: outlines as its COCO export makes them, projects, exports, tables, and faults in the files."""

import csv
import io
import json
import math

import numpy as np
import pytest
from layouts import save, splits, write
from pycocotools import mask as coco_mask

from keras_fcn.datasets import inspect_pairs, open_pairs
from keras_fcn.datasets.layouts.annotations.raster.via import draw_via
from keras_fcn.errors import Remark, UserError

SIZE = (24, 30)
SQUARE = {"name": "polygon", "all_points_x": [1, 4, 4, 1], "all_points_y": [1, 1, 4, 4]}


def region(shape=SQUARE, **attributes):
    return {"shape_attributes": shape, "region_attributes": attributes or {"kind": "cat"}}


def images(*regions, name="1.png"):
    return {
        f"{name}100": {"filename": name, "size": 100, "regions": list(regions or [region()]), "file_attributes": {}}
    }


def put(root, content, names=("1.png", "2.png"), file="via.json"):
    for name in names:
        save(root / "images" / name, np.zeros((*SIZE, 3), np.uint8))
    write(root / file, content if isinstance(content, str) else json.dumps(content))
    return root


def project(content, **options):
    attributes = {"region": {key: {"type": "dropdown", "options": each} for key, each in options.items()}, "file": {}}
    return {"_via_settings": {}, "_via_img_metadata": content, "_via_attributes": attributes}


def masks(pairs):
    inspect_pairs(pairs).require_sound()
    return {path.stem: pairs.read_label(label) for path, label in zip(pairs.images, pairs.labels)}


def test_squares_by_hand_and_what_lies_over_them():
    rect = {"name": "rect", "x": 2, "y": 2, "width": 3.9, "height": 1}
    np.testing.assert_array_equal(draw_via([(1, SQUARE), (2, rect)], (5, 6)), [
        [0] * 6, [0, 1, 1, 1, 0, 0], [0, 1, 2, 2, 2, 0], [0, 1, 1, 1, 0, 0], [0] * 6
    ])  # fmt: skip


@pytest.mark.parametrize("turn", [None, 0.7])
def test_circles_and_ellipses_are_polygons_of_72_corners(turn):
    shape = {"name": "ellipse", "cx": 14, "cy": 11.5, "rx": 10, "ry": 6}
    shape = {"name": "circle", "cx": 14, "cy": 11.5, "r": 8} if turn is None else shape | {"theta": turn}
    across, down = shape.get("rx", 8), shape.get("ry", 8)
    corner = complex(math.cos(turn or 0), math.sin(turn or 0))
    around = [
        corner * complex(across * math.cos(angle), down * math.sin(angle)) for angle in np.arange(72) * math.pi / 36
    ]
    outline = [value for each in around for value in (14 + each.real, 11.5 + each.imag)]
    expected = coco_mask.decode(coco_mask.frPyObjects([outline], *SIZE))[..., 0]
    np.testing.assert_array_equal(draw_via([(1, shape)], SIZE), expected)
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]] + 0.5
    inner = (columns - 14 + 1j * (rows - 11.5)) / corner
    distances = np.hypot(inner.real / across, inner.imag / down)
    assert expected[distances < 0.9].all()  # it is that ellipse, as pixels whose centres are inside have it
    assert not expected[distances > 1.1].any()


def test_projects_exports_of_both_versions_and_tables_say_the_same(tmp_path):
    content = images(region(), region({"name": "rect", "x": 6, "y": 1, "width": 2, "height": 2}, kind="dog"))
    more = images(region(kind="emu"), name="2.png")
    old = json.loads(json.dumps(content | more))
    for image in old.values():
        image |= {"fileref": "", "base64_img_data": "", "regions": dict(enumerate(image["regions"]))}
    table = io.StringIO()
    rows = csv.writer(table)
    first = "#filename,file_size,file_attributes,region_count,region_id,region_shape_attributes,region_attributes"
    rows.writerow(first.split(","))
    for image in (content | more).values():
        for number, each in enumerate(image["regions"]):
            parts = [json.dumps(part) for part in each.values()]
            rows.writerow([image["filename"], 100, "{}", len(image["regions"]), number, *parts])
    forms = {"a.json": content | more, "b.json": old, "c.csv": table.getvalue(), "d.json": project(content | more)}
    found = [open_pairs(put(tmp_path / name, form, file=name), "all") for name, form in forms.items()]
    for pairs in found:
        assert pairs.classes.names == ("background", "cat", "dog", "emu")
        assert masks(pairs)["1"].sum() == 9 + 2 * 4
        np.testing.assert_array_equal(masks(pairs)["2"], 3 * draw_via([(1, SQUARE)], SIZE))


def test_classes_are_the_options_of_the_only_attribute_or_of_the_one_named(tmp_path):
    options = {"dog": "", "2": "cat", "void": "", "old": ""}
    content = images(region(kind="2"), region({**SQUARE, "all_points_x": [5, 8, 8, 5]}, kind="void"))
    pairs = open_pairs(put(tmp_path, project(content | images(region(kind="dog"), name="2.png"), kind=options)), "all")
    assert pairs.classes.names == ("background", "dog", "cat", "old")
    np.testing.assert_array_equal(masks(pairs)["1"][2, :9], [0, 2, 2, 2, 0, 255, 255, 255, 0])
    both = images(region(kind="cat", size="big")) | images(region(kind="dog"), name="2.png")
    put(tmp_path, both)
    message = r"say which names classes, such as layout='via:kind' \(kind: cat, dog; size: big\)"
    with pytest.raises(UserError, match=message):
        open_pairs(tmp_path, "all")
    assert open_pairs(tmp_path, "all", "via:kind").classes.names == ("background", "cat", "dog")
    with pytest.raises(UserError, match=r"there is no attribute 'colour' of regions; say which"):
        open_pairs(tmp_path, "all", "via:colour")


def test_names_that_are_ticked_are_classes_where_there_is_one(tmp_path):
    put(tmp_path, images(region(kind={"cat": True, "dog": False})) | images(region(kind={"dog": True}), name="2.png"))
    assert open_pairs(tmp_path, "all").classes.names == ("background", "cat", "dog")
    put(tmp_path, images(region(kind={"cat": True, "dog": True})))
    with pytest.raises(UserError, match=r"image 1.png: a polygon has kind 'cat', 'dog'; choose one of its options"):
        open_pairs(tmp_path, "all")


def test_lines_and_points_are_not_drawn_and_splits_are_in_names(tmp_path):
    line = region({**SQUARE, "name": "polyline"})
    for split, name in (("train", "1.png"), ("val", "2.png")):
        put(
            tmp_path,
            images(line, name=name) | images(region(), name=f"3{name}"),
            (name, f"3{name}"),
            f"{split}/via.json",
        )
    assert splits(tmp_path) == [{"1", "31"}, {"2", "32"}]
    kinds = [str(finding) for finding in open_pairs(tmp_path, "train").findings if isinstance(finding, Remark)]
    assert kinds[0].endswith("image 1.png: has shapes that are no areas and are not drawn; in 1 image: polyline (1)")
    assert "image 1.png: has no shape, 1 of 2 images has none" in kinds[1]


FAULTS = {
    "a polygon has 2 points, but needs three": region({**SQUARE, "all_points_x": [1, 2], "all_points_y": [1, 2]}),
    r"as many all_points_x as all_points_y. Received: \[1, 2\] and": region({**SQUARE, "all_points_x": [1, 2]}),
    r"as many all_points_x as all_points_y. Received: None and": region({"name": "polygon"}),
    "coordinates of a circle must be numbers. Received: 'None'": region({"name": "circle", "cx": 1, "cy": 1}),
    "a rect has the coordinate inf, far outside": region({"name": "rect", "x": 1, "y": 1, "width": 1e400, "height": 2}),
    "a circle has a side or radius of -1, but takes positive": region({"name": "circle", "cx": 1, "cy": 1, "r": -1}),
    "a polygon has no kind; give it one": region(kind=""),
}


@pytest.mark.parametrize("message", FAULTS)
def test_faults_of_a_region(tmp_path, message):
    put(tmp_path, images(FAULTS[message]) | images(name="2.png"))
    with pytest.raises(UserError, match=message) as caught:
        inspect_pairs(open_pairs(tmp_path, "all")).require_sound()
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(f"{tmp_path}/via.json: image 1.png: ")


FILES = {
    "kind 'emu'; choose one of its options": project(images(region(kind="emu")), kind={"cat": ""}),
    "its regions have no attribute that names their class; add one": images(
        region(kind="") | {"region_attributes": {}}
    ),
    "image gone.png: the image 'gone.png' is missing": images(name="gone.png"),
    "image ../../1.png: its image '../../1.png' lies outside": images(name="../../1.png"),
    "image /1.png: names its image from elsewhere": images(name="/1.png"),
    "1.png has been annotated already by": images() | {"again": images()["1.png100"]},
    r"is not JSON \(Expecting.*\); export or save it again": '{"_via_settings": {',
    "has no images in _via_img_metadata; save it again": {"_via_settings": {}, "_via_img_metadata": []},
    "the image 'a' has no list of regions with shape_attributes and region_attributes": {"a": {"filename": "a"}},
    r"cannot be read as VIA's CSV \(": "filename,file_size,file_attributes,region_count,region_id\n1.png,1,{,1,0\n",
}


@pytest.mark.parametrize("message", FILES)
def test_faults_of_a_file(tmp_path, message):
    file = "via.csv" if "CSV" in message else "via.json"
    put(tmp_path, FILES[message], file=file)
    with pytest.raises(UserError, match=message) as caught:
        inspect_pairs(open_pairs(tmp_path, "all")).require_sound()
    assert "\n" not in str(caught.value)


def test_a_layout_that_takes_no_more_than_its_name(tmp_path):
    with pytest.raises(UserError, match="layout='coco:kind': no such layout; there are auto, "):
        open_pairs(put(tmp_path, images()), "all", "coco:kind")
