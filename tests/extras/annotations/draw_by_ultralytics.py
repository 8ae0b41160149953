"""Draws random polygons by Ultralytics' own functions into tests/extras/annotations/ultralytics_polygons.json.

Only these functions are taken from an unpacked wheel, without PyTorch, in any environment with NumPy and OpenCV:

    pip download --no-deps ultralytics==8.4.190 && python -m zipfile -e ultralytics-*.whl 8.4.190
    python tests/extras/annotations/draw_by_ultralytics.py 8.4.190          # the folder of the unpacked wheel
"""

import ast
import json
import sys
import types
from pathlib import Path

import cv2
import numpy as np

HEIGHT, WIDTH, CLASSES = 24, 30, 3


def tool(folder):
    """Returns `PolygonSemanticDataset.load_mask`, with the functions that it calls."""
    names = {"np": np, "cv2": cv2}
    for file in ("utils", "dataset"):
        for node in ast.walk(ast.parse((folder / f"ultralytics/data/{file}.py").read_text(encoding="utf-8"))):
            wanted = ("polygon2mask", "polygons2masks_overlap") if file == "utils" else ("PolygonSemanticDataset",)
            if getattr(node, "name", None) in wanted:
                if isinstance(node, ast.ClassDef):
                    node = next(each for each in node.body if getattr(each, "name", None) == "load_mask")
                exec(compile(ast.Module([node], []), file, "exec"), names)
    return names["load_mask"]


def main(folder):
    random, draw, made = np.random.default_rng(0), tool(folder), []
    for number in range(12):
        classes = random.integers(0, CLASSES, 6 if number else 0).tolist()
        polygons = [(random.random(2 * random.integers(3, 9)) * 1.02 - 0.01).round(4).tolist() for _ in classes]
        label = {"cls": np.array(classes), "segments": [np.array(polygon, np.float32) for polygon in polygons]}
        data = types.SimpleNamespace(labels=[label], bg_class_idx=CLASSES, data={"nc": CLASSES + 1})
        ids = draw(data, 0, image_shape=(HEIGHT, WIDTH))
        rows = ["".join("123."[value] for value in row) for row in ids]
        lines = [" ".join(map(str, [index, *polygon])) for index, polygon in zip(classes, polygons)]
        made.append({"lines": lines, "rows": rows})
    text = json.dumps(made).replace('{"lines"', '\n{"lines"').replace('"rows"', '\n"rows"')
    Path(__file__).with_name("ultralytics_polygons.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
