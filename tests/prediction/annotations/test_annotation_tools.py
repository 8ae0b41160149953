"""Files for annotation tools: read back as the tools read them, they are the mask, or as near as the tolerance says."""

import importlib.util
import json
import shutil
from xml.etree import ElementTree

import numpy as np
import pytest
from conftest import Call
from PIL import Image
from test_outlines import blob, far_from_edge

from keras_fcn.datasets import find_layout, open_pairs
from keras_fcn.datasets.layouts.annotations.raster.label_studio import brush as read_brush
from keras_fcn.errors import UserError
from keras_fcn.images.classes import ClassTable
from keras_fcn.images.photos import read_image
from keras_fcn.inference.predictor import Predictor
from keras_fcn.prediction.annotations.beside import write_about, write_merged
from keras_fcn.prediction.annotations.cvat import cvat, label_definitions
from keras_fcn.prediction.annotations.label_studio import address_of, brush
from keras_fcn.prediction.annotations.labelme import labelme
from keras_fcn.prediction.annotations.style import AnnotationStyle
from keras_fcn.prediction.outputs import OutputStyle, Writer
from keras_fcn.prediction.photos import predict_all
from keras_fcn.prediction.plan import plan
from keras_fcn.prediction.sources import find_images
from keras_fcn.runs.names import OUTPUTS

CLASSES = ClassTable.named(["background", "cat", '猫 <b> & "c"', "a, b; c=d"])
TOOLS = ["labelme", "cvat", "yolo", "labelstudio", "coco"]

pytestmark = pytest.mark.skipif(
    any(importlib.util.find_spec(package) is None for tool in TOOLS for package in OUTPUTS[tool].packages),
    reason="pip install -r requirements-extra.txt",
)


def scenes(folder):
    """Three photos, one turned by EXIF, in folders, and the ids that a model predicts for them."""
    truth = {}
    for number, name in enumerate(["a 1", "day/ä", "turned"]):
        ids = blob(number) + blob(number + 7) * (np.indices((60, 70)).sum(0) % 40 > 9).astype(np.uint8)
        ids[2:9, 3:11], ids[4:6, 5:7] = 3, 0
        path = folder / f"{name}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        exif = Image.Exif()
        exif[0x0112] = 6 if name == "turned" else 1
        Image.fromarray(np.zeros((*ids.shape, 3), np.uint8)).save(path, exif=exif)
        truth[name] = np.rot90(ids, -1) if name == "turned" else ids
        assert read_image(path).shape[:2] == truth[name].shape
    return truth


def write(photos, out, tolerance, truth, existing="refuse"):
    planned = plan(find_images([str(photos)]), str(out), TOOLS, existing)
    style = AnnotationStyle(tolerance=tolerance)
    write_about(str(out), TOOLS, CLASSES, style, existing, planned)
    writer = Writer(CLASSES, OutputStyle(annotations=style))
    for task in planned.left:
        ids = truth[task.source.name.with_suffix("").as_posix()]
        image = np.zeros((*ids.shape, 3), np.uint8)
        writer.write(str(task.source.name), task.targets, image, ids, location=task.source.location)
    assert write_merged(str(out), TOOLS, planned) == []
    return out


def data_set(tool, photos, out, folder):
    """Returns a data set of what was written and of the photos, as a user puts them together."""
    shutil.copytree(photos, folder / "images")
    if tool in ("coco", "cvat"):
        shutil.copy(out / {"coco": "coco.json", "cvat": "cvat.xml"}[tool], folder)
    elif tool == "yolo":
        shutil.copytree(out / "yolo", folder, dirs_exist_ok=True)
    elif tool == "labelme":
        shutil.move(folder / "images", folder / "photos")
        shutil.copytree(out / "labelme", folder / "out/labelme")
        shutil.copy(out / "labelme/labels.txt", folder)
    else:
        tasks = json.loads((out / "labelstudio.json").read_text())
        for number, task in enumerate(tasks):  # as Label Studio exports what an annotator accepted
            task |= {"id": number, "annotations": [{"result": task["predictions"][0]["result"]}]}
        (folder / "project.json").write_text(json.dumps(tasks))
    return folder


def read_back(folder):
    """Returns the ids of each mask by name, in the numbers of `CLASSES`."""
    found = {}
    for split in ("train", "val"):
        pairs = open_pairs(folder, split)
        assert pairs.findings == ()
        numbers = np.array([CLASSES.names.index(name.strip("_")) for name in pairs.classes.names], np.uint8)
        for name, label in zip(pairs.names, pairs.labels):
            found[name.rpartition("/")[2]] = numbers[pairs.read_label(label)]
    return found


@pytest.mark.parametrize("tolerance", [0, 1.5])
def test_our_own_layouts_read_what_is_written(tmp_path, tolerance):
    truth = scenes(tmp_path / "photos")
    out = write(tmp_path / "photos", tmp_path / "predicted", tolerance, truth)
    layouts = {"labelme": "labelme_json", "yolo": "yolo", "labelstudio": "label_studio", "coco": "coco"}
    layouts["cvat"] = "cvat_images"
    for tool, layout in layouts.items():
        (tmp_path / tool).mkdir()
        folder = data_set(tool, tmp_path / "photos", out, tmp_path / tool)
        assert find_layout(folder) == layout
        found = read_back(folder)
        assert len(found) == len(truth)
        changed = 0
        for name, ids in truth.items():
            different = np.argwhere(found[name.rpartition("/")[2]] != ids)
            changed += len(different)
            edges = np.min([far_from_edge(different, ids == index) for index in range(4)], axis=0)
            assert edges.max(initial=0) <= tolerance, tool
        assert (changed > 0) == (tolerance > 0), tool


@pytest.mark.parametrize("tolerance", [0, 1.5])
def test_cvats_file_defines_labels_numbers_images_and_groups_what_was_cut(tmp_path, tolerance):
    truth = scenes(tmp_path / "photos")
    out = write(tmp_path / "photos", tmp_path / "predicted", tolerance, truth)
    document = ElementTree.parse(out / "cvat.xml").getroot()
    assert [label.text for label in document.iterfind("meta//label/name")] == list(CLASSES.names[1:])
    assert [label["name"] for label in json.loads((out / "cvat_labels.json").read_text())] == list(CLASSES.names[1:])
    images = document.findall("image")
    assert [image.get("id") for image in images] == ["0", "1", "2"]
    assert {image.get("name") for image in images} == {f"{name}.jpg" for name in truth}
    groups = [shape.get("group_id") for shape in document.iter("polygon") if shape.get("label") == CLASSES.names[3]]
    assert bool(groups) == (tolerance > 0)
    assert all(groups)  # a square with a hole, cut into two


def test_a_prediction_is_no_annotation(tmp_path):
    truth = scenes(tmp_path / "photos")
    out = write(tmp_path / "photos", tmp_path / "predicted", 1, truth)
    shutil.copy(out / "labelstudio.json", tmp_path / "photos")
    with pytest.raises(UserError, match="nothing there is annotated"):
        open_pairs(tmp_path / "photos", "train")


def test_brushes_are_what_label_studio_reads():
    random = np.random.default_rng(0)
    for where in (random.random((20, 30)) < 0.5, np.zeros((3, 5), bool), np.ones((200, 300), bool)):
        np.testing.assert_array_equal(read_brush(brush(where), where.shape), where)


@pytest.mark.parametrize(
    ("location", "name", "address"),
    [
        ("/data/photos/day/a b.jpg", "day/a b.jpg", "/data/local-files/?d=photos/day/a%20b.jpg"),
        ("a.jpg", "a.jpg", "/data/local-files/?d=a.jpg"),
        ("s3://bucket/day/a.jpg", "a.jpg", "s3://bucket/day/a.jpg"),
    ],
)  # fmt: skip
def test_label_studio_is_told_where_images_are(location, name, address):
    assert address_of(location, name) == address


def test_predictions_go_through_from_image_to_file(tmp_path):
    """A turned photo is annotated as it is displayed, and labelme's JSON leads to it."""
    folder = tmp_path / "photos"
    folder.mkdir()
    pixels = np.zeros((16, 24, 3), np.uint8)
    pixels[:8, :8] = 255
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(pixels).save(folder / "a.jpg", exif=exif, quality=100)
    planned = plan(find_images([str(folder)]), str(tmp_path / "out"), ["labelme"])
    predictor = Predictor(lambda images: (np.asarray(images)[..., 0] > 127).astype(np.uint8), CLASSES)
    assert predict_all(predictor, planned.left) == {}
    content = json.loads((tmp_path / "out/labelme/a.json").read_text())
    assert (content["imageHeight"], content["imageWidth"]) == (24, 16)
    assert (tmp_path / "out/labelme" / content["imagePath"]).samefile(folder / "a.jpg")
    (shape,) = content["shapes"]
    assert sorted(shape["points"]) == [[8, 0], [8, 7], [15, 0], [15, 7]]  # its upper right corner


def test_what_a_tool_cannot_hold_is_said():
    with pytest.raises(UserError, match=r"^labelme shows images of at most 32767 pixels a side. Received: 1x32768$"):
        labelme("a.jpg", np.zeros((1, 32768), np.uint8), CLASSES)
    with pytest.raises(UserError, match=r"^CVAT takes names of up to 64 printable characters. Received: 'xxx"):
        label_definitions(ClassTable.named(["background", "x" * 65]), AnnotationStyle())
    with pytest.raises(UserError, match=r"^XML cannot hold the image's name 'a\\x01.jpg'; rename it$"):
        cvat("a\1.jpg", np.zeros((1, 1), np.uint8), CLASSES)
    with pytest.raises(UserError, match="Label Studio's brushes hold at most 1073741823 pixels"):
        brush(np.broadcast_to(np.zeros((), bool), (1 << 15, 1 << 15)))


def test_images_that_differ_only_in_the_suffix_cannot_be_told_by_stem(tmp_path):
    for suffix in ("jpg", "png"):
        Image.new("RGB", (2, 2)).save(tmp_path / f"a.{suffix}")
    for output, file in (("labelme", "labelme/a.json"), ("yolo", "yolo/labels/a.txt")):
        with pytest.raises(UserError, match=rf"a\.jpg and .*a\.png: both would become .*{file}; rename one of them"):
            plan(find_images([str(tmp_path)]), str(tmp_path / "out"), ["masks", output])
    assert len(plan(find_images([str(tmp_path)]), str(tmp_path / "out"), ["cvat"]).tasks) == 2


def test_files_of_other_classes_are_not_mixed(tmp_path):
    truth = scenes(tmp_path / "photos")
    out = write(tmp_path / "photos", tmp_path / "out", 1, truth)
    with pytest.raises(UserError, match=r"labels\.txt: exists already"):
        plan(find_images([str(tmp_path / "photos/day")]), str(out), ["labelme"])
    before = (out / "yolo/data.yaml").read_bytes()
    other = ClassTable.named(["background", "dog"])
    planned = plan(find_images([str(tmp_path / "photos/day")]), str(out), ["yolo"], "overwrite")
    with pytest.raises(UserError, match=r"data\.yaml: what was written there before has other classes"):
        write_about(str(out), ["yolo"], other, AnnotationStyle(), "overwrite", planned)
    assert (out / "yolo/data.yaml").read_bytes() == before
    shutil.rmtree(out / "yolo/labels")
    write_about(str(out), ["yolo"], other, AnnotationStyle(), "overwrite", planned)


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--tolerance", "-1"], "--tolerance must not be negative. Received: -1.0"),
        (["--min-area", "-3"], "--min-area must not be negative. Received: -3"),
        (["--fill-holes", "-3"], "--fill-holes must not be negative. Received: -3"),
        (["--tolerance", "nan"], "--tolerance must not be negative. Received: nan"),
    ],
)
def test_wrong_options_are_one_line(words, line, tmp_path):
    call = Call("predict.py", "model", tmp_path, "--out", tmp_path / "out", "--write", "labelme", *words)
    assert (call.status, call.err) == (2, f"error: {line}; see predict.py --help\n")
