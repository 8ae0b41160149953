"""COCO's objects: masks as pycocotools gives them, where images may be, and faults in the file."""

import json

import annotated
import numpy as np
import pytest
from layouts import save, splits
from PIL import Image
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from keras_fcn.datasets import inspect_pairs, open_pairs
from keras_fcn.datasets.layouts.annotations.common import drawing
from keras_fcn.datasets.layouts.annotations.raster.coco import draw_coco, polygons_mask
from keras_fcn.errors import Remark, UserError

SIZE = (24, 30)
CVAT = ("images/Train", "images/Validation")
SQUARE = [1, 1, 4, 1, 4, 4, 1, 4]


def content(count=2, shapes=((1, [SQUARE]),), **more):
    """COCO's content: images 1, 2, ... with these shapes on each."""
    images = [{"id": number, "file_name": f"{number}.png", "height": 24, "width": 30} for number in range(1, count + 1)]
    objects = [
        {"id": 10 * image["id"] + index, "image_id": image["id"], "category_id": category, "segmentation": shape}
        for image in images
        for index, (category, shape) in enumerate(shapes)
    ]
    categories = [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}]
    return {"images": images, "annotations": objects, "categories": categories} | more


def put(root, about, name="instances.json", images="images"):
    for image in about["images"]:
        save(root / images / str(image["file_name"]), np.zeros((*SIZE, 3), np.uint8))
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(json.dumps(about), encoding="utf-8")
    return root


def masks(pairs):
    inspect_pairs(pairs).require_sound()
    return [pairs.read_label(label) for label in pairs.labels]


def test_a_square_of_three_by_three_and_what_lies_over_it():
    box = [4, 0, 6, 0, 6, 5, 4, 5]
    ids = draw_coco([(1, [SQUARE]), (2, {"size": [5, 6], "counts": [12, 3, 15]}), (255, [box])], (5, 6))
    expected = [
        [0, 0, 0, 0, 255, 255],
        [0, 1, 1, 1, 255, 255],
        [0, 1, 2, 1, 255, 255],
        [0, 1, 2, 1, 255, 255],
        [0, 0, 2, 0, 255, 255],
    ]
    np.testing.assert_array_equal(ids, expected)
    union = polygons_mask([SQUARE, box], (5, 6))
    assert union.dtype == bool
    np.testing.assert_array_equal(union, (ids == 255) | (draw_coco([(1, [SQUARE])], (5, 6)) == 1))


def random_shapes(random):
    """Polygons of parts that overlap, reach out of the image and end between pixels; both kinds of run lengths."""
    shapes = []
    for index in range(6):
        parts = [(random.random(2 * random.integers(3, 8)) * 44 - 8).round(2).tolist() for _ in range(index % 3 + 1)]
        shapes.append((index % 2 + 1, parts))
    where = random.random(SIZE) < 0.2
    shapes.insert(2, (2, annotated.runs(where)))
    packed = coco_mask.encode(np.asfortranarray(random.random(SIZE) < 0.1, np.uint8))
    shapes.insert(4, (1, {"size": packed["size"], "counts": packed["counts"].decode()}))
    return shapes


def test_masks_are_those_of_pycocotools(tmp_path):
    random = np.random.default_rng(0)
    about = content(0)
    for number in range(1, 7):
        one = content(1, random_shapes(random))
        for index, entry in enumerate(one["annotations"]):
            about["annotations"].append(entry | {"id": 100 * number + index, "image_id": number, "iscrowd": index % 2})
        about["images"].append(one["images"][0] | {"id": number, "file_name": f"{number}.png"})
    put(tmp_path, about, "annotations/instances_default.json")
    coco = COCO(tmp_path / "annotations/instances_default.json")
    pairs = open_pairs(tmp_path, "all")
    for number, ids in enumerate(masks(pairs), 1):
        expected = np.zeros(SIZE, np.uint8)
        for entry in coco.imgToAnns[number]:
            expected[coco.annToMask(entry) > 0] = entry["category_id"]
        np.testing.assert_array_equal(ids, expected)
    assert pairs.classes.names == ("background", "cat", "dog")


@pytest.mark.parametrize(
    ("files", "images"),
    [
        (("annotations/instances_train2017.json", "annotations/instances_val2017.json"), ("train2017", "val2017")),
        (("train/_annotations.coco.json", "valid/_annotations.coco.json"), ("train", "valid")),
        (("annotations/instances_Train.json", "annotations/instances_Validation.json"), CVAT),
        (("train.json", "val.json"), ("images", "images")),
        (("coco/train.json", "coco/test.json"), ("coco/images", "coco/images")),
    ],
)  # fmt: skip
def test_where_files_and_images_may_be(tmp_path, files, images):
    for index, (file, folder) in enumerate(zip(files, images)):
        about = content(2)
        for image in about["images"]:
            image["file_name"] = f"{index}{image['id']}.png"
        put(tmp_path, about, file, folder)
        (tmp_path / "annotations/captions_train2017.json").parent.mkdir(exist_ok=True)
        (tmp_path / "annotations/captions_train2017.json").write_text('{"info": {}}', encoding="utf-8")
    if "test" in files[1]:
        assert splits(tmp_path, ("test",)) == [{"11", "12"}]
        train, val = splits(tmp_path)
        assert train | val == {"01", "02"}
        assert len(val) == 1
    else:
        assert splits(tmp_path) == [{"01", "02"}, {"11", "12"}]


def test_keypoints_are_read_only_where_there_are_no_objects(tmp_path):
    put(tmp_path, content(), "annotations/person_keypoints_train.json")
    assert len(open_pairs(tmp_path, "all")) == 2
    put(tmp_path, content(3), "annotations/instances_train.json")
    assert len(open_pairs(tmp_path, "all")) == 3


def test_category_ids_have_gaps_any_order_background_and_void(tmp_path):
    categories = [
        {"id": 90, "name": "dog"},
        {"id": 0, "name": "_background_"},
        {"id": 5, "name": "ignore"},
        {"id": 7, "name": "cat"},
    ]
    shapes = [
        (90, [SQUARE]),
        (5, [[5, 1, 6, 1, 6, 4, 5, 4]]),
        (0, [[2, 2, 3, 2, 3, 3, 2, 3]]),
        (7, [[8, 1, 9, 1, 9, 2, 8, 2]]),
    ]
    pairs = open_pairs(put(tmp_path, content(2, shapes, categories=categories)), "train")
    assert pairs.classes.names == ("_background_", "cat", "dog")
    np.testing.assert_array_equal(masks(pairs)[0][1:4, :10], [
        [0, 2, 2, 2, 0, 255, 0, 0, 1, 0], [0, 2, 0, 2, 0, 255, 0, 0, 0, 0], [0, 2, 2, 2, 0, 255, 0, 0, 0, 0]
    ])  # fmt: skip


def test_masks_are_upright_where_the_file_describes_images_before_exif_turns_them(tmp_path):
    upright = np.zeros(SIZE, np.uint8)
    upright[2, 5:9] = 1
    stored = np.rot90(upright)  # the camera stores it turned; orientation 6 turns it back
    exif = Image.Exif()
    exif[274] = 6
    for number, where in ((1, upright), (2, stored)):
        about = content(2, [(1, annotated.runs(where > 0))])
        for image in about["images"]:
            image |= dict(zip(("height", "width"), where.shape))
        root = put(tmp_path / str(number), about)
        for name in ("1.png", "2.png"):
            Image.fromarray(np.stack([stored] * 3, -1)).save(root / "images" / name, exif=exif)
        np.testing.assert_array_equal(masks(open_pairs(root, "train"))[0], upright)


def test_masks_are_drawn_once_and_anew_where_a_shape_has_changed(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(
        drawing,
        "store_mask",
        lambda *arguments, store=drawing.store_mask: (drawn.append(arguments[0]), store(*arguments)),
    )
    monkeypatch.setenv("KERAS_FCN_CACHE", str(tmp_path / "cache"))
    about = content(4, [(1, [[1, 1, 4, 1, 4, 4.125]])])
    root = put(tmp_path / "data", about)
    before = open_pairs(root, "all")
    assert len(drawn) == 1  # four images with the same shapes
    open_pairs(root, "train")
    assert len(drawn) == 1
    about["annotations"][2]["segmentation"][0][0] = 7
    put(root, about)
    assert len(set(open_pairs(root, "all").labels) - set(before.labels)) == 1
    assert len(list((tmp_path / "cache").rglob("*.png"))) == 2


def test_a_cache_that_cannot_be_written(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("KERAS_FCN_CACHE", str(tmp_path / "file"))
    with pytest.raises(UserError, match=r"file/.*: cannot be written .*: set KERAS_FCN_CACHE to another folder$"):
        open_pairs(put(tmp_path / "data", content()), "train")


@pytest.mark.parametrize(("left", "are"), [(2, "1 of 3 images has none"), (1, "2 of 3 images have none")])
def test_images_without_shapes_are_background_and_a_remark(tmp_path, left, are):
    about = content(3)
    del about["annotations"][left - 1 : 2]
    pairs = open_pairs(put(tmp_path, about), "all")
    assert [mask.any() for mask in masks(pairs)].count(False) == 3 - left
    (remark,) = pairs.findings
    assert isinstance(remark, Remark)
    first = f"image {left}: has no shape, {are}"
    assert str(remark).endswith(f"{first}; they are background alone: remove what nobody annotated")


# Faults of one image: it is a finding, and training does not start.


def drawn(segmentation):
    return changed(content(), "annotations", segmentation=segmentation)


def named(name):
    return changed(content(), "images", file_name=name)


def categories(*entries):
    return json.dumps(content(categories=[{"id": key, "name": name} for key, name in entries]))


def changed(about, key, index=0, **entry):
    about[key][index] |= entry
    return about


FAULTS = {
    "a polygon has 2 points, but needs three": drawn([[1, 1, 2, 2]]),
    "a polygon has 7 numbers, but": drawn([[1, 1, 2, 2, 3, 3, 4]]),
    "the coordinates of a polygon must be numbers. Received: '1'": drawn([["1", 1, 2, 2, 3, 3]]),
    r"must be a list of numbers x, y, \.\.\. Received: \{'x': 1": drawn([[1, 1, 4, 1, 4, 4], {"x": 1}]),
    "the coordinate nan, far outside": drawn([[float("nan"), 1, 2, 2, 3, 3]]),
    "coordinate 1000000000.0, far outside the image of 24x30": drawn([[1e9, 1, 2, 2, 3, 3]]),
    "no outline and no run lengths, but None; boxes": drawn(None),
    r"no run lengths, but \[\]; boxes": drawn([]),
    "sum to 721 pixels, but the image has 720": drawn({"size": [24, 30], "counts": [1, 720]}),
    r"run lengths are of the size \[30, 24\], but the image is \[24, 30\]": drawn({"size": [30, 24], "counts": [720]}),
    "numbers from 0, or COCO's text. Received: 'über'": drawn({"size": [24, 30], "counts": "über"}),
    r"Received: \[721, -1\]": drawn({"size": [24, 30], "counts": [721, -1]}),
    "annotation 10: there is no category 77; add it": changed(content(), "annotations", category_id=77),
    r"there is no category '\[1\]'": changed(content(), "annotations", category_id=[1]),
    "annotation 10: there is no image 99; add it": changed(content(), "annotations", image_id=99),
    "image 1: the image 'gone.png' is missing": named("gone.png"),
    "names its image from elsewhere, '/etc/1.png'": named("/etc/1.png"),
    r"from elsewhere, 'C:\\\\1.png'": named("C:\\1.png"),
    r"image '../../1.png' lies outside of": named("../../1.png"),
    "has no image's name, but None": named(None),
    r"says that .*images/1.png is 24x31 pixels \(height x width\), but it is 24x30; annotate this image, or put the "
    "one that was annotated there$": changed(content(), "images", width=31),
    "height and width must be numbers. Received: 24 and '30'": changed(content(), "images", width="30"),
    "image 2: .*1.png has been annotated already by .*image 1": changed(content(), "images", 1, file_name="1.png"),
}  # fmt: skip


@pytest.mark.parametrize("message", FAULTS)
def test_faults_of_an_image(tmp_path, message):
    about = FAULTS[message]
    put(tmp_path, content())
    (tmp_path / "instances.json").write_text(json.dumps(about), encoding="utf-8")
    with pytest.raises(UserError, match=message) as caught:
        inspect_pairs(open_pairs(tmp_path, "all")).require_sound()
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(f"{tmp_path}/instances.json: ")


FILES = {
    r"is not JSON \(Expecting.*, line 1, column 13\); export": '{"images": [',
    "has no list of annotations; it needs": '{"images": [], "categories": [{"id": 1, "name": "cat"}]}',
    'names no categories; it needs "categories"': '{"images": [], "annotations": []}',
    "category 1 is 'cat' and 'dog'": categories((1, "cat"), (1, "dog")),
    "class name cat occurs twice": categories((1, "cat"), (2, "cat")),
    "needs a number as id and a name. Received: None and 'cat'": categories((None, "cat")),
    "the image id 1 is there more than once": json.dumps(changed(content(), "images", 1, id=1)),
    "the annotation id 10 is there more than once": json.dumps(changed(content(), "annotations", 1, id=10)),
    r"the id of each image must be a number. Received: \[\]": json.dumps(changed(content(), "images", id=[])),
}  # fmt: skip


@pytest.mark.parametrize("message", FILES)
def test_faults_of_a_file(tmp_path, message):
    put(tmp_path, content())
    (tmp_path / "instances.json").write_text(FILES[message], encoding="utf-8")
    with pytest.raises(UserError, match=message) as caught:
        open_pairs(tmp_path, "all")
    assert "\n" not in str(caught.value)


def test_files_that_disagree_or_are_of_the_same_split(tmp_path):
    put(tmp_path, content(), "train.json")
    put(tmp_path, content(categories=[{"id": 1, "name": "dog"}]), "val.json")
    with pytest.raises(UserError, match=r"train.json and .*val.json disagree: category 1 is 'cat' in"):
        open_pairs(tmp_path, "train")
    put(tmp_path, content(), "instances_val.json")
    with pytest.raises(UserError, match=r"instances_val.json and .*val.json are both of the split 'val'; move one"):
        open_pairs(tmp_path, "val")
    (tmp_path / "val.json").unlink()
    with pytest.raises(UserError, match=r"has no split 'dev'; splits there: train, val$"):
        open_pairs(tmp_path, "dev")
