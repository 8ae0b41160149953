#!/usr/bin/env bash
# supervision 0.31.2 and pycocotools 2.0.11: a mask written as COCO loses a row and a column; one with a hole becomes a crowd.
#
# Guess: `DetectionDataset.as_coco` writes each mask so that pycocotools, the format's own reader, sees the same pixels, and
# `iscrowd` 0 for each, as each is one object.
# Seen: a mask of one piece is written as a polygon through the centres of its outermost pixels, under which pycocotools fills
# 81 of 100 pixels, beside `"area": 100`. With a hole the mask is exact, but `iscrowd` is 1: evaluation ignores crowds, and
# many training codes leave them out.
# Who is hurt: thin objects shrink most (3 rows of 30 to 2 of 29: 36% gone), rings and windows are not learned.
set -euo pipefail
folder=$(mktemp -d) && trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
    supervision==0.31.2 opencv-python-headless==5.0.0.93 pycocotools==2.0.11 numpy==2.4.6
cd "$folder" && "$folder/venv/bin/python" -W ignore - <<'PYTHON'
import contextlib
import io

import cv2
import numpy as np
import supervision
from pycocotools.coco import COCO

cv2.imwrite("a.png", np.zeros((40, 60, 3), "uint8"))
masks = {name: np.zeros((40, 60), bool) for name in ("square", "bar", "ring")}
masks["square"][5:15, 5:15] = True
masks["bar"][30:33, 5:35] = True
masks["ring"][5:25, 20:40] = True
masks["ring"][14:16, 29:31] = False


def as_coco(mask):
    """Returns the one annotation that supervision writes of a mask, and what pycocotools reads of it."""
    boxes = supervision.mask_to_xyxy(mask[None]).astype(float)
    found = supervision.Detections(xyxy=boxes, mask=mask[None], class_id=np.array([0]))
    supervision.DetectionDataset(["cat"], ["a.png"], {"a.png": found}).as_coco(annotations_path="coco.json")
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO("coco.json")
    [annotation] = coco.dataset["annotations"]
    return annotation, coco.annToMask(annotation)


for name, mask in masks.items():
    annotation, read = as_coco(mask)
    print(f"supervision {supervision.__version__} {name}: {mask.sum()} pixels, area {annotation['area']:g}, "
          f"iscrowd {annotation['iscrowd']}; pycocotools reads {read.sum()}")
    assert annotation["area"] == mask.sum()
    assert (read.sum() == mask.sum()) == (name == "ring"), "this has changed"
    assert annotation["iscrowd"] == (name == "ring"), "this has changed"
PYTHON
