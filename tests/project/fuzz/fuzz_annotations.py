"""Harnesses of the files of annotation tools, and of lists: each is one file of a small data set, which is read."""

import functools
import json
import os
import shutil
from unittest import mock

import annotated
import layouts
import numpy as np
from annotated import runs
from changes import of_bytes, of_json, of_text
from harness import Harness, refused_in_a_line, require_line, scratch
from layouts import scene

from keras_fcn.datasets import open_pairs
from keras_fcn.datasets.layouts.annotations.raster.coco import draw_coco
from keras_fcn.datasets.layouts.annotations.raster.cvat import draw_cvat
from keras_fcn.datasets.layouts.annotations.raster.label_studio import brush
from keras_fcn.errors import Remark
from keras_fcn.prediction.annotations.label_studio import brush as written_brush

NAMES = [*"abcdefgh"]
SIZE = (6, 8)
LARGER = {"label_studio": (20, 24)}
"""The size of images where `annotated` says it itself."""
CATEGORIES = [{"id": 3, "name": "cat"}, {"id": 7, "name": "猫"}, {"id": 9, "name": "void"}]
"""Those of the data set in COCO's form, in all of whose files they must be the same."""
FILES = {
    "coco": ("coco", "train/_annotations.coco.json"),
    "coco_panoptic": ("coco_panoptic", "panoptic_train.json"),
    "labelme": ("labelme_json", "a.json"),
    "label_studio": ("label_studio", "project-1.json"),
    "cvat_xml": ("cvat_images", "annotations.xml"),
    "yolo_labels": ("yolo", "labels/train/a.txt"),
    "yolo_yaml": ("yolo", "data.yaml"),
    "supervisely": ("supervisely", "train/ann/a.jpg.json"),
    "supervisely_meta": ("supervisely", "meta.json"),
    "via_json": ("via", "via_region_data.json"),
    "via_csv": ("via", "via.csv"),
    "roboflow_csv": ("roboflow", "train/_classes.csv"),
    "split_list": ("voc", "ImageSets/Segmentation/train.txt"),
}
"""The layout that reads a file, and where the file is."""

_CACHES = 300
"""Inputs after which masks that were drawn are forgotten."""


def _small(seed, num_classes):
    return tuple(pixels[: SIZE[0], : SIZE[1]] for pixels in scene(seed, num_classes))


@functools.cache
def _data_set(layout):
    """Writes a data set of a few images; returns its folder."""
    root = scratch(layout)
    drawn = scene if layout in LARGER else _small
    with mock.patch.object(annotated, "scene", drawn), mock.patch.object(layouts, "scene", drawn):
        (annotated.WRITERS | layouts.WRITERS)[layout](root, NAMES)
    return root


@functools.cache
def _shape_files():
    """Writes the shapes that `annotated` has none of, each as the only one of a file: by format, files as bytes."""
    triangle = [[1, 1], [6, 1.5], [3, 5]]
    flat = [number for point in triangle for number in point]
    coco = {
        "images": [{"id": 1, "file_name": "a.jpg", "height": 6, "width": 8}],
        "categories": CATEGORIES,
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": 3, "segmentation": [flat]},
            {"id": 2, "image_id": 1, "category_id": 7, "segmentation": {"size": [6, 8], "counts": [10, 5, 33]}},
        ],
    }
    kinds = {"polygon": triangle, "rectangle": triangle[:2], "circle": triangle[:2], "line": triangle[:2]}
    kinds |= {"point": triangle[:1], "linestrip": triangle}
    labelme = {"version": "6.3.1", "flags": {}, "imagePath": "a.jpg", "imageHeight": 6, "imageWidth": 8}
    labelme["shapes"] = [{"label": "cat", "shape_type": kind, "points": points} for kind, points in kinds.items()]
    about = {"original_width": 24, "original_height": 20}
    values = [
        {"points": triangle, "polygonlabels": ["cat"]},
        {"x": 1, "y": 2, "width": 30, "height": 20, "rotation": 5, "rectanglelabels": ["cat"]},
        {"x": 40, "y": 50, "radiusX": 30, "radiusY": 20, "ellipselabels": ["cat"]},
    ]
    results = [about | {"value": value} for value in values]
    tasks = [
        {"id": number, "annotations": [{"result": results}], "data": {"image": f"/data/upload/{name}.jpg"}}
        for number, name in enumerate(NAMES)
    ]
    points = {"exterior": [[1, 1], [20, 1], [3, 5]], "interior": [[[2, 2], [3, 2], [3, 3]]]}
    figures = [
        {"classTitle": "cat", "geometryType": "polygon", "points": points},
        {"classTitle": "cat", "geometryType": "rectangle", "points": {"exterior": [[1, 1], [3, 5]]}},
        {"classTitle": "cat", "geometryType": "multipolygon", "parts": [points]},
    ]
    shapes = [
        {"name": "polygon", "all_points_x": [1, 6, 3], "all_points_y": [1, 1.5, 5]},
        {"name": "circle", "cx": 3, "cy": 3, "r": 2},
        {"name": "ellipse", "cx": 3, "cy": 3, "rx": 2, "ry": 1, "theta": 0.5},
    ]
    regions = [{"shape_attributes": shape, "region_attributes": {"kind": "cat"}} for shape in shapes]
    via = {f"{name}.jpg9": {"filename": f"{name}.jpg", "size": 9, "regions": regions} for name in NAMES}
    found = {
        "coco": coco,
        "labelme": labelme,
        "label_studio": tasks,
        "supervisely": {"size": {"height": 6, "width": 8}, "objects": figures},
        "via_json": via,
    }
    drawn = (
        '<polygon label="cat" points="1,1;6,1.5;3,5" z_order="1"/>'
        '<box label="cat" xtl="1" ytl="1" xbr="5" ybr="4" rotation="30"/>'
        '<ellipse label="cat" cx="3" cy="3" rx="2" ry="1"/>'
    )
    about = 'subset="Train" width="8" height="6"'
    images = "".join(f'<image id="{name}" name="{name}.jpg" {about}>{drawn}</image>' for name in NAMES[:7])
    xml = (
        f"<annotations><meta><task><labels><label><name>cat</name></label></labels></task></meta>{images}</annotations>"
    )
    table = "filename,file_size,file_attributes,region_count,region_id,region_shape_attributes,region_attributes\n"
    quoted = ['"' + json.dumps(each).replace('"', '""') + '"' for each in (shapes[0], {"kind": "cat"})]
    table += "".join(f"{name}.jpg,9,{{}},1,0,{','.join(quoted)}\n" for name in NAMES)
    texts = {"cvat_xml": xml, "via_csv": table, "yolo_labels": "0 0.1 0.1 0.9 0.2 0.5 0.9\n1 0 0 1 0 1 1 0 1\n"}
    texts["yolo_yaml"] = "path: .\ntrain: images/train\nval: [images/val]\nnames:\n  0: cat\n  1: 猫\n  2: void\n"
    return {name: json.dumps(each).encode() for name, each in found.items()} | {
        name: text.encode() for name, text in texts.items()
    }


def _seeds(name):
    layout, file = FILES[name]
    path = _data_set(layout) / file
    found = [path.read_bytes()] if path.is_file() else []
    return [*found, _shape_files()[name]] if name in _shape_files() else found


def _check(name, data):
    """Reads the data set with this file in it."""
    layout, file = FILES[name]
    original = _data_set(layout)
    root = scratch(f"{name} set")
    if not any(root.iterdir()):
        shutil.copytree(original, root, dirs_exist_ok=True)
        if name == "via_csv":
            (root / FILES["via_json"][1]).unlink()
    (root / file).write_bytes(data)
    cache = scratch("cache")
    _check.count = getattr(_check, "count", 0) + 1
    if _check.count % _CACHES == 0:
        shutil.rmtree(cache, ignore_errors=True)
    with mock.patch.dict(os.environ, KERAS_FCN_CACHE=str(cache)), refused_in_a_line():
        pairs = open_pairs(root, "train", layout)
        names = json.dumps(pairs.classes.names, ensure_ascii=False)
        assert names.isprintable(), ascii(names)
        for finding in pairs.findings:
            require_line(finding)
            assert isinstance(finding, Remark) or finding.kind
        for label in pairs.labels:
            ids = pairs.read_label(label)
            assert ids.shape == LARGER.get(layout, SIZE)
            assert ids.dtype == np.uint8
            assert set(np.unique(ids)) <= {*range(pairs.classes.num_classes), 255}


def check_coco_text(data):
    """Draws COCO's compressed run lengths; what is drawn must be what pycocotools decodes."""
    from pycocotools import mask

    text = data.decode("latin-1")
    with refused_in_a_line():
        found = draw_coco([(1, {"size": [*SIZE], "counts": text})], SIZE)
        np.testing.assert_array_equal(found, mask.decode({"size": [*SIZE], "counts": text.encode()}))


def _coco_texts():
    from pycocotools import mask

    found = []
    for seed in range(4):
        pixels = np.random.default_rng(seed).integers(0, 2, SIZE, np.uint8) if seed else np.zeros(SIZE, np.uint8)
        found.append(mask.encode(np.asfortranarray(pixels))["counts"])
    return found


def check_cvat_runs(data):
    """Draws the run lengths of CVAT's masks; those are then found in it."""
    text = data.decode("utf-8", "replace")
    box = {"left": "0", "top": "0", "width": str(SIZE[1]), "height": str(SIZE[0])}
    with refused_in_a_line():
        found = draw_cvat([(1, "mask", box | {"rle": text})], SIZE)
        given = [int(number) for number in text.split(",")]
        np.testing.assert_array_equal(np.repeat(np.arange(len(given)) % 2, given), found.ravel())


def check_brush(data):
    with refused_in_a_line():
        pixels = brush([*data], SIZE)
        assert pixels.shape == SIZE
        np.testing.assert_array_equal(brush(written_brush(pixels), SIZE), pixels)


def _pixels():
    return np.random.default_rng(0).integers(0, 2, SIZE).astype(bool)


def _cvat_runs():
    return [",".join(map(str, runs(_pixels().T)["counts"])).encode(), b"48", b"0,48"]


def _brushes():
    return [bytes(written_brush(_pixels())), bytes(annotated.packed(_pixels()))]


READ = "sound masks of the image's size come out, or one line"

HARNESSES = {
    "rle": Harness(
        "pycocotools decodes the text of run lengths to the same pixels, or it is refused", _coco_texts, check_coco_text
    ),
    "cvat_rle": Harness("run lengths are drawn as they stand, or refused", _cvat_runs, check_cvat_runs, of_text),
    "brush": Harness(
        "Label Studio's bits are pixels, which are written and read again, or refused", _brushes, check_brush, of_bytes
    ),
    **{
        name: Harness(
            READ,
            functools.partial(_seeds, name),
            functools.partial(_check, name),
            of_json if file.endswith(".json") else of_text,
        )
        for name, (_, file) in FILES.items()
    },
}
