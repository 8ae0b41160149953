"""Draws random figures by Supervisely's SDK into tests/extras/annotations/supervisely_figures.json.

Runs in an environment of its own, since the SDK wants older packages than this project:

    python -m venv sdk && sdk/bin/pip install supervisely==6.74.51
    sdk/bin/python tests/extras/annotations/draw_by_supervisely.py

The SDK reads a project's JSON and crops what leaves the image; each figure is drawn by its own `get_mask`, in order.
"""

import base64
import io
import json
import zlib
from pathlib import Path

import numpy as np
import supervisely as sly
from PIL import Image

HEIGHT, WIDTH, IMAGES = 24, 30, 12
CLASSES = {"ant": "polygon", "bee": "bitmap", "cat": "rectangle", "dog": "multipolygon", "emu": "any"}


def ring(random, count, low=-8, high=36):
    """Returns points, half of the rings inside the image and whole, as the annotation tool makes them."""
    if random.random() < 0.5:
        points = random.random((count, 2)) * (WIDTH - 1, HEIGHT - 1)
        return np.round(points).astype(int).tolist()
    return (random.random((count, 2)) * (high - low) + low).round(int(random.integers(0, 3))).tolist()


def bitmap(random):
    """Returns a bitmap as the SDK packs it, or as a grey PNG, or one with alpha; some leave the image."""
    where = random.random((7, 9)) < 0.5
    origin = [int(random.integers(-4, WIDTH - 1)), int(random.integers(-3, HEIGHT - 1))]
    kind = int(random.integers(0, 3))
    if kind == 0:
        return {"data": sly.Bitmap.data_2_base64(where), "origin": origin}
    pixels = where.astype(np.uint8) * 255
    image = Image.fromarray(pixels if kind == 1 else np.stack([0 * pixels, pixels, 0 * pixels, pixels // 2], -1))
    file = io.BytesIO()
    image.save(file, "PNG")
    return {"data": base64.b64encode(zlib.compress(file.getvalue())).decode(), "origin": origin}


def figures(random):
    made = []
    for kind in ["polygon", "polygon", "polygon", "bitmap", "rectangle", "multipolygon", "polygon", "rectangle"]:
        title = "emu" if random.random() < 0.3 else next(name for name, shape in CLASSES.items() if shape == kind)
        figure = {"classTitle": title, "geometryType": kind, "tags": [], "description": ""}
        holes = [ring(random, int(random.integers(3, 6))) for _ in range(int(random.integers(0, 3)))]
        if kind == "bitmap":
            figure["bitmap"] = bitmap(random)
        elif kind == "rectangle":
            figure["points"] = {"exterior": ring(random, 2), "interior": []}
        elif kind == "polygon":
            figure["points"] = {"exterior": ring(random, int(random.integers(3, 8))), "interior": holes}
        else:
            figure["parts"] = [{"exterior": ring(random, 4), "interior": holes[:1]}, {"exterior": ring(random, 3)}]
        made.append(figure)
    random.shuffle(made)
    return made


def main():
    random = np.random.default_rng(0)
    about = [{"title": title, "shape": shape, "color": "#FF0000"} for title, shape in CLASSES.items()]
    meta = {"classes": about, "tags": [], "projectType": "images"}
    project = sly.ProjectMeta.from_json(meta)
    images = []
    for _ in range(IMAGES):
        content = {
            "description": "",
            "tags": [],
            "size": {"height": HEIGHT, "width": WIDTH},
            "objects": figures(random),
        }
        text = json.dumps(content)  # the SDK changes what it is given
        ids = np.zeros((HEIGHT, WIDTH), int)
        for label in sly.Annotation.from_json(content, project).labels:
            ids[label.geometry.get_mask((HEIGHT, WIDTH))] = list(CLASSES).index(label.obj_class.name) + 1
        images.append({"content": json.loads(text), "rows": ["".join(map(str, row)) for row in ids]})
    text = json.dumps({"meta": meta, "images": images}).replace('{"content"', '\n{"content"')
    Path(__file__).with_name("supervisely_figures.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
