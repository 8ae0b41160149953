#!/usr/bin/env bash
# pycocotools 2.0.11: the annotation with id 0 counts as not found, however exact the prediction.
#
# Guess: ids are names; perfect masks score 1 whichever number the ids begin with.
# Seen: two objects, two predictions with the very same masks. Ids from 1: average precision 1.00. Ids from 0: 0.25, since a
# match is noted as the annotation's id, and 0 stands for "no match" too.
# Who is hurt: those whose exporter counts from 0: one object of the whole set is lost and one prediction is called false. In a
# small validation set that moves the score by many points, in a large one it passes for noise.
set -euo pipefail
folder=$(mktemp -d) && trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check pycocotools==2.0.11 numpy==2.4.6
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
import contextlib
import importlib.metadata
import io

import numpy as np
from pycocotools import mask as masks
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

squares = np.zeros((2, 50, 100), "uint8")
squares[0, 5:25, 5:25] = squares[1, 5:25, 60:80] = 1
rles = [masks.encode(np.asfortranarray(square)) for square in squares]


def average_precision(first_id):
    truth = COCO()
    truth.dataset = {
        "info": {},
        "images": [{"id": 1, "height": 50, "width": 100}],
        "categories": [{"id": 1, "name": "cat"}],
        "annotations": [
            {"id": first_id + number, "image_id": 1, "category_id": 1, "iscrowd": 0, "area": 400, "segmentation": rle}
            for number, rle in enumerate(rles)
        ],
    }
    with contextlib.redirect_stdout(io.StringIO()):
        truth.createIndex()
        predicted = truth.loadRes([{"image_id": 1, "category_id": 1, "score": 0.9, "segmentation": rle} for rle in rles])
        evaluation = COCOeval(truth, predicted, "segm")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation.stats[0]


from_zero, from_one = average_precision(0), average_precision(1)
print(f"pycocotools {importlib.metadata.version('pycocotools')}: AP {from_one:.2f} with ids from 1, {from_zero:.2f} with ids from 0")
assert from_one == 1
assert from_zero < 0.5, "this has changed"
PYTHON
