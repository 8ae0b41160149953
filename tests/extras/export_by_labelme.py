"""Writes a data set by labelme's own labelme2voc.py, which is in labelme's source but in no wheel.

Runs in an environment of its own, since labelme brings Qt:

    python -m venv labelme && labelme/bin/pip install labelme
    labelme/bin/pip download --no-deps --no-binary :all: labelme && tar xzf labelme-*.tar.gz
    labelme/bin/python tests/extras/export_by_labelme.py FOLDER labelme-*/examples/semantic_segmentation/labelme2voc.py

FOLDER/data has SegmentationClassNpy besides, where the script keeps the ids, -1 for void.
"""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image

LABELS = ["__ignore__", "_background_", "cat", "猫 🐈", "garden chair"]


def annotate(folder: Path, index: int) -> None:
    """Writes an image and labelme's annotations of it, a shape of each label."""
    height, width = 60 + index, 80 - index
    rng = np.random.default_rng(index)
    Image.fromarray(rng.integers(0, 255, (height, width, 3), np.uint8)).save(folder / f"photo {index}.jpg")
    shapes = []
    for number, label in enumerate([*LABELS[2:], LABELS[0]]):
        left, top = 5 + 17 * number, 4 + 9 * number
        points = [[left, top], [left + 15, top + 3], [left + 12, top + 20 + index], [left - 2, top + 14]]
        shapes.append({"label": label, "points": points, "group_id": None, "shape_type": "polygon", "flags": {}})
    about = {"version": "5.0.0", "flags": {}, "imagePath": f"photo {index}.jpg", "imageData": None}
    size = {"imageHeight": height, "imageWidth": width}
    (folder / f"photo {index}.json").write_text(json.dumps({**about, **size, "shapes": shapes}), encoding="utf-8")


def main(folder: Path, script: Path) -> None:
    annotated = folder / "annotated"
    annotated.mkdir()
    for index in range(6):
        annotate(annotated, index)
    (folder / "labels.txt").write_text("\n".join(LABELS), encoding="utf-8")
    command = [sys.executable, "-X", "utf8", script, annotated, folder / "data", "--labels", folder / "labels.txt"]
    subprocess.run(list(map(str, command)), check=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
