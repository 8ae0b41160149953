#!/usr/bin/env bash
# Pillow 13.0.0: white-is-zero TIFFs are turned to black-is-zero at 8 bits, and are not at 16 bits or as float.
#
# Guess: what the tag PhotometricInterpretation says (0, white is zero) is heeded at every depth, or at none.
# Seen: value 1 is read as 254 from uint8, as 1 from uint16 and float32; the mode tells nothing.
# Who is hurt: who turns such masks back, since Pillow turns them, gets 65534 for class 1 as soon as they are of 16 bits; images
# of one scanner, some of 8 and some of 16 bits, come as positives and negatives in one data set.
set -euo pipefail
folder=$(mktemp -d) && trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check pillow==13.0.0 tifffile==2026.3.3 numpy==2.4.6
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
import io

import numpy as np
import PIL
import tifffile
from PIL import Image

for dtype in ("uint8", "uint16", "float32"):
    pixels = np.ones((8, 8), dtype)
    file = io.BytesIO()
    tifffile.imwrite(file, pixels, photometric="miniswhite")
    file.seek(0)
    assert np.array_equal(tifffile.imread(file), pixels)  # as stored
    file.seek(0)
    image = Image.open(file)
    [read] = np.unique(np.asarray(image))
    print(f"Pillow {PIL.__version__}, {dtype}: 1 is read as {read:g}, mode {image.mode}, tag {image.tag_v2[262]}")
    assert image.tag_v2[262] == 0
    assert read == (254 if dtype == "uint8" else 1), "this has changed"
PYTHON
