"""Inputs that the harnesses found, as small as they can be, of each the line that is said, or that it is read."""

import io
import json
import zipfile

import numpy as np
import pytest
from annotated import encoded
from changes import HUGE
from fuzz_annotations import CATEGORIES
from harnesses import HARNESSES
from layouts import save

from export.server.protocols import v1, v2
from keras_fcn.datasets.layouts.annotations.common.files import Images, read_json
from keras_fcn.datasets.layouts.annotations.raster.coco import draw_coco
from keras_fcn.datasets.layouts.annotations.raster.labelme import draw_labelme
from keras_fcn.datasets.layouts.annotations.raster.numbers import require_numbers
from keras_fcn.errors import DataError, UserError
from keras_fcn.network.weights.files import read_weight_file
from keras_fcn.runs.config_files import read_config
from keras_fcn.system.command_line import as_options
from keras_fcn.system.files import read_lines
from keras_fcn.system.text import csv_rows

COCO = {
    "images": [{"id": 1, "file_name": "a.jpg"}],
    "categories": CATEGORIES,
    "annotations": [{"id": 1, "image_id": 1, "category_id": 3, "segmentation": [[1, 1, 5, 1, 5, 5]]}],
}


def coco(**changes):
    return json.dumps(COCO | {"annotations": [COCO["annotations"][0] | changes]}).encode()


def category(name):
    """Of a format whose classes are in one file."""
    shapes = [{"label": name, "points": [[1, 1], [5, 1], [5, 5]]}]
    return json.dumps({"version": "6.3.1", "shapes": shapes, "imagePath": "a.jpg"}).encode()


def v2_body(identity):
    tensor = b'{"name": "image_bytes", "datatype": "BYTES", "shape": [1], "data": ["AAAA"]}'
    return b'\0{"id": ' + identity + b', "inputs": [' + tensor + b"]}"


FOUND = {
    "a number of 5,000 digits": ("coco", coco(id=0).replace(b'"id": 0', b'"id": ' + HUGE.encode())),
    "a number of 5,000 digits in labelme's": ("labelme", b'{"version": "1", "shapes": [' + HUGE.encode() + b"]}"),
    "a number of 5,000 digits in Supervisely's": ("supervisely_meta", b'{"classes": ' + HUGE.encode() + b"}"),
    "a number of 5,000 digits in VIA's": ("via_json", b'{"a": {"filename": ' + HUGE.encode() + b"}}"),
    "a coordinate beyond floating point": ("coco", coco(segmentation=[[10**400, 1, 5, 1, 5, 5]])),
    "run lengths that are no Unicode": ("coco", coco(segmentation={"size": [6, 8], "counts": "\ud800"})),
    "a class with a line break": ("labelme", category("a\nb")),
    "a class that would move the cursor": ("labelme", category("\x1b[2J")),
    "a class with the mark of arguments": ("labelme", category("\0tile=(\0")),
    "a class that is no Unicode": ("labelme", category("\ud800")),
    "a time that no clock shows": ("class_yaml", b"names: [a, 2024-13-45]"),
    "a time without digits": ("class_yaml", b"names: !!timestamp x"),
    "a truth that is none": ("class_yaml", b"names: !!bool x"),
    "a hexadecimal number without digits": ("yolo_yaml", b"names: 0x_"),
    "a letter beyond Unicode": ("config_yaml", b'seed: "\\U00110000"'),
    "a letter far beyond Unicode": ("config_yaml", b'seed: "\\UFFFFFFFF"'),
    "a version of 5,000 digits": (
        "labelme",
        b'{"version": "' + HUGE.encode() + b'", "shapes": [], "imagePath": "a.jpg"}',
    ),
    "an address with half a bracket": (
        "label_studio",
        b'[{"id": 1, "data": {"image": "http://[a/b.jpg"}, "annotations": []}]',
    ),
    "a name that no system takes": (
        "coco",
        json.dumps(COCO | {"images": [{"id": 1, "file_name": "a" * 300}]}).encode(),
    ),
    "a name above that is no Unicode": (
        "coco",
        json.dumps(COCO | {"images": [{"id": 1, "file_name": "../\ud800"}]}).encode(),
    ),
    "a folder that no system takes": ("yolo_yaml", b"names: [a]\ntrain: " + b"a" * 300),
    "a folder that is no Unicode": ("yolo_yaml", b'names: [a]\ntrain: "../\\uD800"'),
    "run lengths beyond all numbers": ("cvat_rle", b",".join([b"9" * 4300] * 20)),
    "an id of 5,000 digits": ("class_list", HUGE.encode() + b" road\n1 sky\n"),
    "a colour of 5,000 digits": ("labelmap", b"cat:" + HUGE.encode() + b",1,2::\n"),
    "a value of 5,000 digits": ("class_table", HUGE.encode() + b" 1 2 3 Road\n"),
    "an id that JSON has not": ("v2_body", v2_body(b"1e999")),
    "an option among values": ("config_yaml", b"merge: [a, --help]"),
    "deep lists": ("yolo_yaml", b"names: " + b"[" * 600),
}


@pytest.mark.parametrize("what", FOUND)
def test_what_was_found_is_read_or_refused_in_a_line(what):
    name, data = FOUND[what]
    HARNESSES[name].check(data)


def test_numbers_that_json_takes_and_python_does_not_are_named(tmp_path):
    path = tmp_path / "a.json"
    path.write_text(HUGE)
    with pytest.raises(
        UserError, match=r"a.json: cannot be read as JSON \(Exceeds the limit .*digits.*; export or save"
    ):
        read_json(path)


@pytest.mark.parametrize("value", [10**400, -(10**400), float("inf"), float("nan")])
def test_coordinates_beyond_floating_point_are_far_outside(value):
    with pytest.raises(DataError, match=r"a line has the coordinate .{1,50}, far outside the image of 6x8; fix it"):
        require_numbers("line", [1, value], (6, 8))


def test_run_lengths_of_other_letters_are_refused():
    with pytest.raises(DataError, match="run lengths must be numbers from 0, or COCO's text"):
        draw_coco([(1, {"size": [6, 8], "counts": "\ud800"})], (6, 8))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("a\nb", r"a\nb"),
        ("a\r\x1b[2Jb", r"a\r\x1b[2Jb"),
        ("a\0tile=(\0b", "atile=(b"),
        ("a\0b", r"a\x00b"),
        ("\x85", r"\x85"),
    ],
)
def test_an_error_is_one_line_whatever_it_quotes(given, said):
    error = UserError(given)
    assert as_options(error) == str(error) == said
    assert str(UserError(f"x: {UserError(given).marked}")) == f"x: {said}"


@pytest.mark.parametrize("text", ['seed: "\\U00110000"', 'seed: "\\UFFFFFFFF"', "a: [" * 600])
def test_settings_that_yaml_cannot_read_are_named(tmp_path, text):
    path = tmp_path / "a.yaml"
    path.write_text(text)
    with pytest.raises(UserError, match=r"a.yaml: is neither YAML nor JSON"):
        read_config(path)


@pytest.mark.parametrize("text", ["merge: [a=b, --seed, 7]", "loss: [dice, -h]", "data: --help"])
def test_a_value_of_settings_is_no_option(tmp_path, text):
    path = tmp_path / "a.yaml"
    path.write_text(text)
    with pytest.raises(
        UserError, match=r"a.yaml: (merge|loss|data) is given '-.*', which begins like an option; mend it"
    ):
        read_config(path)


def test_one_name_that_stands_for_millions_is_no_list_of_names(tmp_path):
    """Each of YAML's aliases is ten times the one before: text of it would be endless."""
    lines = ["a0: &a0 [x, x]"] + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 30)]
    HARNESSES["yolo_yaml"]("\n".join([*lines, "names: *a29", "train: images/train"]).encode())
    HARNESSES["yolo_yaml"]("\n".join([*lines, "names: [*a29]", "train: images/train"]).encode())
    tables = ["z:", "a0: &a0 {x: []}"] + [
        f"a{n}: &a{n} {{{', '.join(f'k{i}: *a{n - 1}' for i in range(300))}}}" for n in range(1, 8)
    ]
    HARNESSES["class_yaml"]("\n".join(tables).encode())


def test_an_image_outside_of_the_data_set_is_not_read(tmp_path):
    """CVAT's subset may be any text; as an absolute path, it would be the folder of the images."""
    secret = tmp_path / "other/a.jpg"
    save(secret, np.zeros((6, 8, 3), np.uint8))
    (tmp_path / "set/images").mkdir(parents=True)
    images = Images.near(tmp_path / "set", tmp_path / "set/annotations.xml", str(secret.parent))
    with pytest.raises(DataError, match=r"'a.jpg' (is missing|lies outside)"):
        images.find("x", "a.jpg")


@pytest.mark.parametrize("method", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_weights_packed_in_unusual_ways_are_refused_before_they_are_unpacked(tmp_path, method):
    stream = io.BytesIO()
    np.save(stream, np.zeros(3, np.float32))
    path = tmp_path / "a.npz"
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("a.npy", stream.getvalue())
    with pytest.raises(UserError, match=r"a.npz: its 'a.npy' is packed in a way that is not read; save it anew"):
        read_weight_file(path)


def test_a_table_whose_quote_does_not_end_is_named(tmp_path):
    path = tmp_path / "_classes.csv"
    path.write_text('Pixel Value, Class\n0, "' + "a" * 200_000)
    with pytest.raises(UserError, match=r"_classes.csv: is no table \(field larger than .*\); save it again"):
        csv_rows(path, read_lines(path))


def test_what_a_client_sent_is_quoted_in_part():
    body = json.dumps({"signature_name": [["a" * 10**5] * 9] * 9}).encode()
    with pytest.raises(v1.BadRequestError, match="signature_name must be serving_default") as error:
        v1.parse(body, 1)
    assert len(str(error.value)) < 1000
    with pytest.raises(v1.BadRequestError, match=r'"id" must be a text. Received: inf'):
        v2.parse(v2_body(b"1e999")[1:], None, 1)


@pytest.mark.parametrize("box", [[[3, 3], [1, 1]], [[0, 0], [-1, -1]], [[0, 0], [9, -5]]])
def test_a_mask_in_a_box_without_pixels_is_refused(box):
    shape = (1, "mask", box, encoded(np.ones((6, 8))), (6, 3))
    with pytest.raises(DataError, match="has a mask in a box without pixels"):
        draw_labelme([shape], (6, 8))
