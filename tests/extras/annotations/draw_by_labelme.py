"""Draws random shapes by labelme's own shapes_to_label, of several versions, into labelme_shapes.json beside this file.

Only that function's file is loaded from an unpacked wheel, without Qt, in any environment with NumPy and Pillow:

    pip download --no-deps --python-version 3.13 --only-binary=:all: labelme==6.3.1
    python -m zipfile -e labelme-6.3.1-*.whl 6.3.1
    python tests/extras/annotations/draw_by_labelme.py 6.3.1 7.9.1    # folders of unpacked wheels, named by version
"""

import base64
import importlib
import io
import json
import sys
import types
from pathlib import Path

import numpy as np
from PIL import Image

HEIGHT, WIDTH = 24, 30
LABELS = {"__ignore__": -1, "_background_": 0, "cat": 1, "dog": 2}
COUNTS = {"polygon": 6, "rectangle": 2, "circle": 2, "line": 2, "linestrip": 4, "point": 1, "oriented_rectangle": 4}


def shapes(random, version):
    """One shape of each type, in any order; some points lie outside of the image, some between two pixels."""
    made = []
    for kind, count in COUNTS.items():
        points = random.random((count, 2)) * (WIDTH + 12, HEIGHT + 12) - 6
        made.append((kind, points.round(int(random.integers(0, 2))).tolist(), None))
    patch = random.random((7, 9)) < 0.6
    file = io.BytesIO()
    Image.fromarray(patch.astype(np.uint8)).save(file, "PNG")
    corner = random.integers(0, 15, 2) + (0.5 if version >= "7.1" and random.random() < 0.5 else 0)
    box = [corner.tolist(), (corner + np.array([8, 6])).tolist()]
    made.append(("mask", box, base64.b64encode(file.getvalue()).decode()))
    made.append((None, [[1, 1], [4, 1], [4, 4]], None))
    random.shuffle(made)
    labels = [list(LABELS)[int(random.integers(0, 4))] for _ in made]
    return [
        {"label": label, "shape_type": kind, "points": points, "mask": mask}
        for label, (kind, points, mask) in zip(labels, made)
    ]


def tool(folder):
    """Returns shapes_to_label of an unpacked wheel."""
    for name in [name for name in sys.modules if name.startswith("labelme")]:
        del sys.modules[name]
    for name, where in (
        ("labelme", "labelme"),
        ("labelme._utils", "labelme/_utils"),
        ("labelme.utils", "labelme/utils"),
    ):
        sys.modules[name] = types.ModuleType(name)
        sys.modules[name].__path__ = [str(folder / where)]
    sys.modules["labelme._label_file"] = types.SimpleNamespace(ShapeDict=dict)
    sys.modules["labelme._shape"] = types.SimpleNamespace(
        CIRCLE_POINT_COUNT=2, LINE_POINT_COUNT=2, MIN_POLYGON_POINT_COUNT=3, ORIENTED_RECTANGLE_POINT_COUNT=4,
        RECTANGLE_POINT_COUNT=2, ShapeDict=dict,
    )  # fmt: skip
    module = "labelme._utils._mask" if (folder / "labelme/_utils/_mask.py").exists() else "labelme.utils.shape"
    return importlib.import_module(module).shapes_to_label


def main(folders):
    random = np.random.default_rng(0)
    made = []
    for folder in folders:
        draw = tool(folder)
        for _ in range(6):
            described = shapes(random, folder.name)
            for shape in described:
                if shape["shape_type"] == "rectangle":  # 6.3.1 draws none whose corners are in another order
                    shape["points"] = np.sort(shape["points"], axis=0).tolist()
            arrays = [dict(shape) for shape in described]
            for shape in arrays:
                if shape["mask"]:
                    with Image.open(io.BytesIO(base64.b64decode(shape["mask"]))) as patch:
                        shape["mask"] = np.asarray(patch).astype(bool)
            ids, _ = draw(img_shape=(HEIGHT, WIDTH), shapes=arrays, label_name_to_value=LABELS)
            rows = ["".join(".012"[value + 1] for value in row) for row in ids]
            made.append({"version": folder.name, "shapes": described, "rows": rows})
    text = json.dumps(made).replace('{"version"', '\n{"version"').replace('"rows"', '\n"rows"')
    Path(__file__).with_name("labelme_shapes.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main([Path(folder) for folder in sys.argv[1:]])
