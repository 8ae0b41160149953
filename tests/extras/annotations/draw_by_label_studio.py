"""Packs and exports regions by Label Studio's own converter into tests/extras/annotations/label_studio_regions.json.

    python -m venv studio && studio/bin/pip install label-studio-sdk==2.1.2 pycocotools
    studio/bin/python tests/extras/annotations/draw_by_label_studio.py

Brushes are packed by its `encode_rle` and read back by its `decode_rle`; polygons go through its COCO export, and
pycocotools draws these.
"""

import json
import tempfile
from pathlib import Path

import numpy as np
from label_studio_sdk.converter import Converter
from label_studio_sdk.converter.brush import decode_rle, encode_rle
from PIL import Image
from pycocotools.coco import COCO

HEIGHT, WIDTH = 24, 30
CONFIG = """<View><Image name="image" value="$image"/><PolygonLabels name="p" toName="image"><Label value="ant"/>
<Label value="cat"/></PolygonLabels></View>"""


def result(number, kind, value):
    about = {"original_width": WIDTH, "original_height": HEIGHT, "image_rotation": 0, "id": f"r{number}"}
    return about | {"type": kind, "from_name": "p", "to_name": "image", "value": value}


def polygons(random):
    """Tasks of polygons, and the ids that pycocotools draws from the converter's COCO export."""
    tasks = []
    for task in range(4):
        results = []
        for number in range(5):
            points = (random.random((int(random.integers(3, 8)), 2)) * 120 - 10).round(3).tolist()
            label = ["ant", "cat"][int(random.integers(0, 2))]
            results.append(
                result(number, "polygonlabels", {"points": points, "polygonlabels": [label], "closed": True})
            )
        data = {"image": f"/data/upload/1/0123abcd-{task}.png"}
        tasks.append({"id": task, "data": data, "annotations": [{"id": task, "result": results}]})
    with tempfile.TemporaryDirectory() as folder:
        export = Path(folder) / "tasks.json"
        images = Path(folder) / "coco/images"
        images.mkdir(parents=True)
        for task in tasks:
            path = images / f"{task['id']}.png"
            Image.new("RGB", (WIDTH, HEIGHT)).save(path)
            task["data"]["image"] = str(path)
        export.write_text(json.dumps(tasks), encoding="utf-8")
        Converter(CONFIG, project_dir=folder).convert_to_coco(
            str(export), str(Path(folder) / "coco"), output_image_dir=str(images), is_dir=False
        )
        coco = COCO(Path(folder) / "coco/result.json")
    for task in tasks:
        (image,) = (key for key, each in coco.imgs.items() if Path(each["file_name"]).stem == str(task["id"]))
        ids = np.zeros((HEIGHT, WIDTH), int)
        for entry in coco.imgToAnns[image]:
            name = coco.cats[entry["category_id"]]["name"]
            ids[coco.annToMask(entry) > 0] = ["ant", "cat"].index(name) + 1
        task["data"]["image"] = f"/data/upload/1/0123abcd-{task['id']}.png"
        task["rows"] = ["".join(map(str, row)) for row in ids]
    return tasks


def brushes(random):
    """Run lengths of noise, of blots and of one value, with the alpha that the converter decodes."""
    made = []
    for where in (
        random.random((HEIGHT, WIDTH)) < 0.5,
        np.zeros((HEIGHT, WIDTH), bool),
        np.ones((HEIGHT, WIDTH), bool),
    ):
        noise = random.integers(0, 2, (HEIGHT, WIDTH, 4)) * (255 if len(made) != 1 else 1)
        pixels = np.where(where[..., None], noise, 0).astype(np.uint8)
        rle = encode_rle(pixels.ravel())
        alpha = decode_rle(rle).reshape(HEIGHT, WIDTH, 4)[..., 3]
        made.append({"rle": rle, "rows": ["".join(map(str, row)) for row in (alpha > 0).astype(int)]})
    return made


if __name__ == "__main__":
    generator = np.random.default_rng(0)
    content = json.dumps({"tasks": polygons(generator), "brushes": brushes(generator)})
    Path(__file__).with_name("label_studio_regions.json").write_text(content + "\n", encoding="utf-8")
