"""Draws random shapes of CVAT's XML by Datumaro into tests/extras/annotations/datumaro_shapes.json.

Runs in an environment of its own, since Datumaro wants older packages than this project:

    python -m venv datumaro && datumaro/bin/pip install datumaro==1.13.12
    datumaro/bin/python tests/extras/annotations/draw_by_datumaro.py

Datumaro reads the XML, turns polygons and boxes into masks and compiles them, as its exporter of masks does. It reads
no ellipses, and exports no turned boxes: those are drawn as CVAT's own exporter draws them, which calls OpenCV for the
ones, and makes polygons of the others.
"""

import json
import tempfile
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import cv2
import datumaro
import numpy as np
from datumaro.components.annotation import AnnotationType, CompiledMask, Mask, Polygon
from PIL import Image

HEIGHT, WIDTH, IMAGES = 24, 30, 12
LABELS = ["ant", "background", "cat"]
IDS = {"ant": 1, "background": 0, "cat": 2}


def shapes(random):
    """Returns one shape of each kind and more, in any order; some lie outside of the image, some between pixels."""

    def places(count, digits=2):
        return [f"{value:.{digits}f}" for value in random.random(count) * 44 - 8]

    made = []
    for kind in ["polygon", "polygon", "box", "box", "turned", "ellipse", "mask", "polyline", "points"]:
        about = {"label": LABELS[int(random.integers(0, 3))], "z_order": str(random.integers(-1, 2)), "occluded": "0"}
        if kind in ("polygon", "polyline", "points"):
            values = places(2 * int(random.integers(3, 8)), int(random.integers(0, 3)))
            about["points"] = ";".join(map(",".join, zip(values[::2], values[1::2])))
        elif kind in ("box", "turned"):
            (left, right), (top, bottom) = (sorted(places(2), key=float) for _ in range(2))
            about |= {"xtl": left, "ytl": top, "xbr": right, "ybr": bottom}
            about |= {"rotation": places(1)[0]} if kind == "turned" else {}
        elif kind == "ellipse":
            about |= dict(zip(("cx", "cy"), places(2))) | {"rx": "7.50", "ry": f"{random.random() * 9:.2f}"}
            about |= {"rotation": places(1)[0]} if random.random() < 0.5 else {}
        else:
            where = random.random((5, 9)) < 0.5
            starts = np.flatnonzero(np.diff(where.ravel(), prepend=False))
            about["rle"] = ", ".join(map(str, np.diff([0, *starts, where.size])))
            about |= {"left": str(random.integers(0, 21)), "top": str(random.integers(0, 19))}
            about |= {"width": "9", "height": "5"}
        made.append(("box" if kind == "turned" else kind, about))
    random.shuffle(made)
    return made


def write(folder, random):
    root = ElementTree.Element("annotations")
    labels = ElementTree.SubElement(ElementTree.SubElement(ElementTree.SubElement(root, "meta"), "task"), "labels")
    for label in LABELS:
        ElementTree.SubElement(ElementTree.SubElement(labels, "label"), "name").text = label
    (folder / "images").mkdir()
    for number in range(IMAGES):
        about = {"id": str(number), "name": f"{number:02}.png", "width": str(WIDTH), "height": str(HEIGHT)}
        image = ElementTree.SubElement(root, "image", about)
        for kind, attributes in shapes(random):
            ElementTree.SubElement(image, kind, attributes)
        Image.new("RGB", (WIDTH, HEIGHT)).save(folder / "images" / about["name"])
    ElementTree.ElementTree(root).write(folder / "annotations.xml", encoding="utf-8", xml_declaration=True)
    return root


def ellipse(element):
    """Returns the mask of an ellipse, as CVAT's exporter makes it."""
    centre, radii = ([round(float(element.get(key))) for key in keys] for keys in (("cx", "cy"), ("rx", "ry")))
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    cv2.ellipse(mask, centre, radii, float(element.get("rotation", 0)), 0, 360, 255, thickness=-1)
    label = LABELS.index(element.get("label"))
    return Mask(mask > 0, label=label, z_order=int(element.get("z_order")))


def polygon(box):
    """Returns the polygon of a turned box."""
    points = [value for point in box.as_polygon() for value in point]
    return Polygon(points, label=box.label, z_order=box.z_order)


def main():
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        root = write(folder, np.random.default_rng(0))
        dataset = datumaro.Dataset.import_from(str(folder), "cvat")
        items = []
        for item, image in zip(sorted(dataset, key=lambda item: item.id), root.iter("image")):
            read = iter(item.annotations)
            found = [ellipse(each) if each.tag == "ellipse" else next(read) for each in image]
            found = [polygon(each) if each.type == AnnotationType.rotated_bbox else each for each in found]
            items.append(item.wrap(annotations=found))
        dataset = datumaro.Dataset.from_iterable(items, categories=LABELS)
        dataset.transform("polygons_to_masks")
        dataset.transform("boxes_to_masks")
        rows = {}
        for item in dataset:
            masks = [each for each in item.annotations if each.type == AnnotationType.mask]
            compiled = CompiledMask.from_instance_masks(
                masks, instance_labels=[IDS[LABELS[each.label]] for each in masks]
            )
            rows[item.id] = ["".join(map(str, row)) for row in compiled.class_mask]
        text = json.dumps({"xml": (folder / "annotations.xml").read_text(encoding="utf-8"), "rows": rows})
    Path(__file__).with_name("datumaro_shapes.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
