"""Tiny data sets in the formats of annotation tools; each function returns the ids of every mask by name."""

import base64
import io
import itertools
import json
import zlib
from urllib.parse import quote

import numpy as np
from layouts import NAMES, save, scene, write
from PIL import Image


def runs(where):
    """Returns COCO's run lengths of a mask, down the columns."""
    lengths = [len(list(group)) for _, group in itertools.groupby(where.ravel(order="F"))]
    return {"size": list(where.shape), "counts": [0] * bool(where[0, 0]) + lengths}


def scenes(names, folder, size=(None, None)):
    """Saves an image for each name into a folder; yields its number, name and ids, cut to a size."""
    for number, name in enumerate(names):
        photo, ids = (pixels[: size[0], : size[1]] for pixels in scene(number, 3))
        save(folder / f"{name}.jpg", photo)
        yield number, name, ids


def write_coco(root, names=NAMES):
    """As Roboflow lays it out, with run lengths."""
    categories = [{"id": 3, "name": "cat"}, {"id": 7, "name": "猫"}, {"id": 9, "name": "void"}]
    truth = {}
    for split, part in (("train", names[:7]), ("valid", names[7:])):
        images, objects = [], []
        for number, name, truth[name] in scenes(part, root / split):
            height, width = truth[name].shape
            images.append({"id": number, "file_name": f"{name}.jpg", "width": width, "height": height})
            for index, category in ((1, 3), (2, 7), (255, 9)):
                about = {"id": len(objects), "image_id": number, "category_id": category, "iscrowd": 1}
                objects.append({**about, "segmentation": runs(truth[name] == index)})
        content = {"info": {}, "images": images, "annotations": objects, "categories": categories}
        write(root / f"{split}/_annotations.coco.json", json.dumps(content, ensure_ascii=number % 2 == 0))
    return truth


def encoded(where):
    """Returns a mask as labelme keeps it: a PNG in base64."""
    file = io.BytesIO()
    Image.fromarray(where.astype(np.uint8)).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


def write_labelme(root, names=NAMES):
    """As labelme leaves it, with a shape of the type mask for each class."""
    truth = {}
    for number, name, truth[name] in scenes(names, root):
        height, width = truth[name].shape
        shapes = [
            {"label": label, "shape_type": "mask", "points": [[0, 0], [width - 1, height - 1]]}
            | {"mask": encoded(truth[name] == index)}
            for index, label in ((1, "cat"), (2, "猫"), (255, "__ignore__"))
        ]
        about = {"version": "6.3.1", "flags": {}, "shapes": shapes, "imagePath": f"{name}.jpg", "imageData": None}
        write(root / f"{name}.json", json.dumps(about, ensure_ascii=number % 2 == 0))
    return truth


def write_yolo(root, names=NAMES):
    """As Ultralytics has it, with a square around each pixel's corner: each pixel is a polygon of its own."""
    write(root / "data.yaml", "path: /content/set\ntrain: images/train\nval: images/val\nnames: [cat, 猫, void]\n")
    truth = {}
    for split, part in (("train", names[:7]), ("val", names[7:])):
        for _, name, truth[name] in scenes(part, root / "images" / split, (6, 8)):
            lines = []
            for (row, column), index in np.ndenumerate(truth[name]):
                x, y = (column + 0.5) / 8, (row + 0.5) / 6
                if index:
                    lines.append(f"{ {1: 0, 2: 1, 255: 2}[index] }" + f" {x:.6f} {y:.6f}" * 3)
            write(root / f"labels/{split}/{name}.txt", "\n".join(lines))
    return truth


def packed(where):
    """Returns a brush: every value of RGBA as a run of one, as Label Studio's lengths say it."""
    values = np.repeat(where.ravel(), 4).astype(np.uint8) * 255
    bits = f"{values.size:032b}{7:05b}{2:04b}{3:04b}{7:04b}{15:04b}"
    bits += "".join(f"000000{value:08b}" for value in values)
    bits += "0" * (-len(bits) % 8)
    return [int(bits[place : place + 8], 2) for place in range(0, len(bits), 8)]


def write_label_studio(root, names=NAMES):
    """With a brush for each class."""
    truth, tasks = {}, []
    for number, name, truth[name] in scenes(names, root / "images", (20, 24)):
        results = [
            {"original_width": 24, "original_height": 20, "type": "brushlabels"}
            | {"value": {"format": "rle", "rle": packed(truth[name] == index), "brushlabels": [label]}}
            for index, label in ((1, "cat"), (2, "猫"), (255, "void"))
        ]
        address = f"/data/local-files/?d=photos/{quote(name)}.jpg"
        tasks.append({"id": number, "annotations": [{"result": results}], "data": {"image": address}})
    write(root / "project-1.json", json.dumps(tasks))
    return truth


def write_panoptic(root, names=NAMES):
    """With a segment for each class; void is segment 0."""
    truth = {}
    for split, part in (("train", names[:7]), ("val", names[7:])):
        images, entries = [], []
        for number, name, truth[name] in scenes(part, root / split):
            numbers = np.array([0, *([number * 100 + 1 + index for index in range(3)])])[truth[name] + np.uint8(1)]
            rgb = np.stack([numbers % 256, numbers // 256, 0 * numbers], -1).astype(np.uint8)
            save(root / f"panoptic_{split}/{name}.png", rgb)
            images.append({"id": number, "file_name": f"{name}.jpg"})
            segments = [{"id": number * 100 + 1 + index, "category_id": index} for index in range(3)]
            entries.append({"image_id": number, "file_name": f"{name}.png", "segments_info": segments})
        categories = [{"id": index, "name": label} for index, label in enumerate(("sky", "cat", "猫"))]
        about = {"images": images, "annotations": entries, "categories": categories}
        write(root / f"panoptic_{split}.json", json.dumps(about))
    return truth


def write_cvat_images(root, names=NAMES):
    """With a mask for each class, whose runs go along the rows."""
    labels = "".join(f"<label><name>{label}</name></label>" for label in ("cat", "猫", "void"))
    truth, images = {}, []
    for split, part in (("Train", names[:7]), ("Validation", names[7:])):
        for number, name, truth[name] in scenes(part, root / "images" / split):
            height, width = truth[name].shape
            box = f'left="0" top="0" width="{width}" height="{height}"'
            masks = [
                f'<mask label="{label}" {box} rle="{", ".join(map(str, runs((truth[name] == index).T)["counts"]))}"/>'
                for index, label in ((1, "cat"), (2, "猫"), (255, "void"))
            ]
            about = f'id="{number}" name="{name}.jpg" subset="{split}" width="{width}" height="{height}"'
            images.append(f"<image {about}>{''.join(masks)}</image>")
    meta = f"<meta><project><labels>{labels}</labels></project></meta>"
    write(root / "annotations.xml", f"<annotations>{meta}{''.join(images)}</annotations>")
    return truth


def write_supervisely(root, names=NAMES):
    """With a bitmap for each class."""
    classes = [{"title": title, "shape": "bitmap", "color": "#FF0000"} for title in ("cat", "猫", "void")]
    write(root / "meta.json", json.dumps({"classes": classes, "tags": [], "projectType": "images"}))
    truth = {}
    for split, part in (("train", names[:7]), ("val", names[7:])):
        for _, name, truth[name] in scenes(part, root / split / "img"):
            bitmaps = [zlib.compress(base64.b64decode(encoded((truth[name] == index) * 255))) for index in (1, 2, 255)]
            figures = [
                {"classTitle": about["title"], "geometryType": "bitmap", "bitmap": {"data": text, "origin": [0, 0]}}
                for about, text in zip(classes, (base64.b64encode(each).decode() for each in bitmaps))
            ]
            about = {"size": dict(zip(("height", "width"), truth[name].shape)), "objects": figures, "tags": []}
            write(root / split / f"ann/{name}.jpg.json", json.dumps(about))
    return truth


def write_via(root, names=NAMES):
    """As an export of annotations, with a rectangle for each run of a row."""
    truth, images = {}, {}
    for number, name, truth[name] in scenes(names, root / "images", (20, 24)):
        regions = []
        for row, ids in enumerate(truth[name]):
            ends = [*np.flatnonzero(np.diff(ids)) + 1, ids.size]
            for start, end in zip([0, *ends], ends):
                box = {"name": "rect", "x": int(start), "y": row, "width": int(end - start), "height": 1}
                label = {1: "cat", 2: "猫", 255: "void"}.get(int(ids[start]))
                regions += [{"shape_attributes": box, "region_attributes": {"kind": label}}] if label else []
        about = {"filename": f"{name}.jpg", "size": number, "regions": regions, "file_attributes": {}}
        images[f"{name}.jpg{number}"] = about
    write(root / "via_region_data.json", json.dumps(images))
    return truth


WRITERS = {
    "supervisely": write_supervisely,
    "via": write_via,
    "cvat_images": write_cvat_images,
    "coco_panoptic": write_panoptic,
    "labelme_json": write_labelme,
    "label_studio": write_label_studio,
    "coco": write_coco,
    "yolo": write_yolo,
}
