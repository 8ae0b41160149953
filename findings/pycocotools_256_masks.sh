#!/usr/bin/env bash
# pycocotools 2.0.11 with NumPy 2: `mask.area` of a list of 256 run lengths or more raises OverflowError; of 255 it does not.
#
# Guess: areas of a list are areas one by one, however long it is; `toBbox`, `decode` and `merge` take the same lists.
# Seen: OverflowError, "Python integer 256 out of bounds for uint8": the number of masks is put into an array of bytes on the way,
# where NumPy 1 let it wrap around, and NumPy 2 does not.
# Who is hurt: those who write COCO files of many small objects (cells, trees, leaves, cracks): small trials pass, and the one
# image with 256 objects of a class ends the export. Sums of every second run are the areas, too.
set -euo pipefail
folder=$(mktemp -d) && trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check pycocotools==2.0.11 numpy==2.4.6
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
import importlib.metadata

from pycocotools import mask as masks

version = importlib.metadata.version("pycocotools")


def encoded(count):
    """Run lengths of `count` masks of 10 x 10 pixels, each of five pixels in a column."""
    objects = [{"size": [10, 10], "counts": [number % 90, 5, 95 - number % 90]} for number in range(count)]
    return masks.frPyObjects(objects, 10, 10)


few, many = encoded(255), encoded(256)
assert masks.area(few).tolist() == [5] * 255
assert len(masks.toBbox(many)) == masks.decode(many).shape[2] == 256
assert [int(masks.area([one])[0]) for one in many] == [5] * 256
try:
    masks.area(many)
except OverflowError as error:
    print(f"pycocotools {version}: area of 255 masks is right, of 256 raises OverflowError: {error}")
else:
    raise SystemExit("this has changed")
PYTHON
