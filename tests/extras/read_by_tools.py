"""Reads what predict.py wrote for an annotation tool by the tool's own code, and keeps the ids that it draws.

    python tests/extras/read_by_tools.py TOOL FOLDER MASKS.npz

FOLDER holds photos/, classes.txt and predicted/, the folder of --out. TOOL is one of these, each in an environment of
its own:

    labelme        pip install labelme==6.3.1
    cvat           pip install datumaro==1.13.12
    yolo           NumPy and OpenCV, and KERAS_FCN_ULTRALYTICS, an unpacked wheel of ultralytics==8.4.190
    labelstudio    pip install label-studio-sdk==2.1.2 pycocotools
    coco           pip install pycocotools
"""

import json
import os
import shutil
import sys
import tempfile
from pathlib import Path
from urllib.parse import unquote

import numpy as np


def by_labelme(folder, names):
    """Opens each file as its window does, and draws it as labelme2voc does."""
    from labelme import utils
    from labelme._label_file import LabelFile
    from PIL import Image

    listed = (folder / "predicted/labelme/labels.txt").read_text(encoding="utf-8").splitlines()
    assert listed == ["__ignore__", "_background_", *names[1:]]
    for path in sorted((folder / "predicted/labelme").rglob("*.json")):
        file = LabelFile(str(path))
        size = utils.img_data_to_pil(file.imageData).size[::-1]
        values = {name: number for number, name in enumerate(listed, -1)}
        ids, _ = utils.shapes_to_label(img_shape=size, shapes=file.shapes, label_name_to_value=values)
        with Image.open(path.parent / file.imagePath):
            yield path.stem, ids.astype(np.uint8)


def by_datumaro(folder, names):
    """Imports cvat.xml, and fills polygons as the exports of CVAT do."""
    import datumaro
    from datumaro.components.annotation import AnnotationType
    from datumaro.util.mask_tools import rles_to_mask

    with tempfile.TemporaryDirectory() as root:
        shutil.copytree(folder / "photos", f"{root}/images")
        shutil.copy(folder / "predicted/cvat.xml", f"{root}/default.xml")
        dataset = datumaro.Dataset.import_from(root, "cvat")
        labels = [label.name for label in dataset.categories()[AnnotationType.label]]
        assert labels == names[1:]
        for item in dataset:
            height, width = item.media.size
            ids = np.zeros((height, width), np.uint8)
            for shape in item.annotations:
                if shape.type == AnnotationType.mask:
                    where = shape.image
                else:
                    where = rles_to_mask([shape.points], width=width, height=height)
                ids[np.asarray(where) > 0] = 1 + shape.label
            yield Path(item.id).name, ids


def by_ultralytics(folder, names):
    """Checks labels, and draws them, by the functions that load its data sets."""
    import ast
    import types

    import cv2
    import yaml

    wheel = Path(os.environ["KERAS_FCN_ULTRALYTICS"])
    known = {"np": np, "cv2": cv2, "os": os}
    wanted = {
        "ops": ("segments2boxes",), "utils": ("verify_image_label", "polygon2mask", "polygons2masks_overlap"),
        "dataset": ("PolygonSemanticDataset",),
    }  # fmt: skip
    for file, functions in wanted.items():
        path = wheel / f"ultralytics/{'utils' if file == 'ops' else 'data'}/{file}.py"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if getattr(node, "name", None) in functions:
                if isinstance(node, ast.ClassDef):
                    node = next(each for each in node.body if getattr(each, "name", None) == "load_mask")
                module = ast.Module([ast.parse("from __future__ import annotations").body[0], node], [])
                exec(compile(module, file, "exec"), known)
    known["xyxy2xywh"] = lambda boxes: np.concatenate(
        [(boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]], 1
    )
    data = yaml.safe_load((folder / "predicted/yolo/data.yaml").read_text(encoding="utf-8"))
    assert {"train", "val"} <= data.keys()
    assert [data["names"][number] for number in range(len(names) - 1)] == names[1:]
    for path in sorted((folder / "predicted/yolo/labels").rglob("*.txt")):
        photo = next((folder / "photos").rglob(f"{path.stem}.jpg"))
        size = cv2.imread(str(photo)).shape[:2]  # turned by EXIF
        known["check_image"] = lambda file, size=size: ("", size)
        found = known["verify_image_label"]((str(photo), str(path), "", False, len(names) - 1, 0, 0, False))
        assert found[0] is not None, found[-1]
        label = {"cls": found[1][:, :1], "segments": found[3]}
        about = types.SimpleNamespace(labels=[label], bg_class_idx=len(names) - 1, data={"nc": len(names)})
        ids = known["load_mask"](about, 0, image_shape=size)
        yield path.stem, np.where(ids == len(names) - 1, 0, ids + 1).astype(np.uint8)


def by_label_studio(folder, names):
    """Validates the tasks against the interface, accepts predictions, and exports: COCO, or brushes."""
    from label_studio_sdk.converter import Converter
    from label_studio_sdk.converter.brush import decode_rle
    from label_studio_sdk.label_interface import LabelInterface
    from PIL import Image, ImageOps
    from pycocotools.coco import COCO

    config = (folder / "predicted/labelstudio.xml").read_text(encoding="utf-8")
    interface = LabelInterface(config)
    interface.validate()
    tasks = json.loads((folder / "predicted/labelstudio.json").read_text(encoding="utf-8"))
    for number, task in enumerate(tasks):
        errors = interface.validate_prediction(task["predictions"][0], return_errors=True)
        assert not errors, errors
        stem = Path(unquote(task["data"]["image"].partition("?d=")[2])).stem
        photo = next((folder / "photos").rglob(f"{stem}.jpg"))
        (region, *_) = task["predictions"][0]["result"]
        size = region["original_height"], region["original_width"]
        ids = np.zeros(size, np.uint8)
        if region["type"] == "brushlabels":
            for each in task["predictions"][0]["result"]:
                alpha = decode_rle(each["value"]["rle"]).reshape(*size, 4)[..., 3]
                ids[alpha > 0] = names.index(each["value"]["brushlabels"][0])
            yield stem, ids
            continue
        with tempfile.TemporaryDirectory() as root:
            with Image.open(photo) as stored:  # the export multiplies percents by the size before EXIF turns it
                ImageOps.exif_transpose(stored).save(Path(root, photo.name))
            photo = Path(root, photo.name)
            accepted = {
                "id": number,
                "data": {"image": str(photo)},
                "annotations": [{"id": number, **task["predictions"][0]}],
            }
            Path(root, "tasks.json").write_text(json.dumps([accepted]), encoding="utf-8")
            Path(root, "images").mkdir()
            Converter(config, project_dir=root).convert_to_coco(
                f"{root}/tasks.json", root, output_image_dir=f"{root}/images", is_dir=False
            )
            coco = COCO(f"{root}/result.json")
            for entry in coco.anns.values():
                entry_size = coco.imgs[entry["image_id"]]["height"], coco.imgs[entry["image_id"]]["width"]
                assert entry_size == size, (entry_size, size)
                ids[coco.annToMask(entry) > 0] = names.index(coco.cats[entry["category_id"]]["name"])
        yield stem, ids


def by_pycocotools(folder, names):
    """Draws coco.json."""
    from pycocotools.coco import COCO

    coco = COCO(folder / "predicted/coco.json")
    for number, image in coco.imgs.items():
        ids = np.zeros((image["height"], image["width"]), np.uint8)
        for entry in coco.imgToAnns[number]:
            ids[coco.annToMask(entry) > 0] = names.index(coco.cats[entry["category_id"]]["name"])
        yield Path(image["file_name"]).stem, ids


TOOLS = {
    "labelme": by_labelme, "cvat": by_datumaro, "yolo": by_ultralytics, "labelstudio": by_label_studio,
    "coco": by_pycocotools,
}  # fmt: skip

if __name__ == "__main__":
    tool, place, masks = sys.argv[1:]
    lines = (Path(place) / "classes.txt").read_text(encoding="utf-8").splitlines()
    np.savez(masks, **dict(TOOLS[tool](Path(place), lines)))
