#!/usr/bin/env bash
# Pillow 13.0.0: a TIFF of two 8-bit bands opens as a grey image, without its second band.
#
# Guess: a file of more bands than a mode of Pillow holds is refused, as are three and four bands that are no colours.
# Seen: two bands, the second of no stated kind (ExtraSamples 0, which tifffile and GDAL write unless told otherwise), are mode
# "L", the first of them. Called alpha, the same band is kept ("LA"); at 16 bits the file is refused.
# Who is hurt: grey images with a mask, a height or an infrared band beside them are read without it, and nothing says so.
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


def opened(pixels, extra=None):
    """Returns Pillow's mode and pixels of a TIFF of these bands, or None where it refuses."""
    file = io.BytesIO()
    tifffile.imwrite(file, pixels, photometric="minisblack", planarconfig="contig", extrasamples=extra)
    file.seek(0)
    assert np.array_equal(tifffile.imread(file), pixels)
    file.seek(0)
    try:
        image = Image.open(file)
    except PIL.UnidentifiedImageError:
        return None
    return image.mode, np.asarray(image)


def bands_of(number, dtype="uint8"):
    return np.broadcast_to(np.arange(1, number + 1, dtype=dtype) * 10, (8, 8, number)).copy()


cases = {f"{number} bands": (bands_of(number), None) for number in (2, 3, 4)}
cases["2 bands of 16 bits"] = bands_of(2, "uint16"), None
cases["grey and alpha"] = bands_of(2), ["unassalpha"]
seen = {}
for name, (pixels, extra) in cases.items():
    found = opened(pixels, extra)
    seen[name] = found and (found[0], found[1].shape)
    print(f"Pillow {PIL.__version__}, {name}: {seen[name] or 'refused'}")
assert seen.pop("2 bands") == ("L", (8, 8)), "this has changed"
assert seen.pop("grey and alpha") == ("LA", (8, 8, 2)), "this has changed"
assert not any(seen.values()), "this has changed"
PYTHON
