#!/usr/bin/env bash
# OpenCV 4.10, 4.11 and 5.0: masks drawn from the same corners differ, of filled polygons and of thick lines across the border.
#
# Guess: whole coordinates, no antialiasing: every version of fillPoly, drawContours and polylines sets the same pixels.
# Seen: from 4.10 to 4.11, half of random polygons of eight corners in 64x64 pixels are filled otherwise, and nearly all that
# leave the image, as annotations at its border do, by up to 79 pixels. From 4.x to 5.0, so it is with lines of three pixels that
# leave the image: 64% of them, by up to 121 pixels. Polygons and lines within the image, ellipses and thin lines stayed.
# Who is hurt: who draws masks when a training starts, polygons of objects or lanes and cracks of some width: after another
# package brought another OpenCV, the ground truth is another, and so are caches of masks and figures of before.
set -euo pipefail
folder=$(mktemp -d) && trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
versions=(4.10.0.84 4.11.0.86 5.0.0.93)
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check numpy==2.4.6
for version in "${versions[@]}"; do
    "$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --target "$folder/$version" \
        "opencv-python-headless==$version"
done
cd "$folder"
cat > draw.py <<'PYTHON'
import cv2
import numpy as np

random = np.random.default_rng(0)
masks = {name: np.zeros((200, 64, 64), np.uint8) for name in ("filled", "filled across", "contour", "line", "line across")}
for number in range(200):
    corners, across = (random.integers(*ends, (8, 2)).astype(np.int32) for ends in ((0, 64), (-40, 100)))
    cv2.fillPoly(masks["filled"][number], [corners], 1)
    cv2.fillPoly(masks["filled across"][number], [across], 1)
    cv2.drawContours(masks["contour"][number], [corners], -1, 1, -1)
    cv2.polylines(masks["line"][number], [corners], True, 1, 3)
    cv2.polylines(masks["line across"][number], [across[:2]], False, 1, 3)
np.savez("masks", **masks)
PYTHON
for version in "${versions[@]}"; do
    PYTHONPATH="$version" venv/bin/python draw.py && mv masks.npz "$version.npz"
done
venv/bin/python - <<'PYTHON'
import numpy as np


def differing(old, new, expected):
    """Prints which masks differ between two versions, and fails if these are not those expected."""
    one, other = np.load(f"{old}.npz"), np.load(f"{new}.npz")
    for name in one:
        pixels = (one[name] != other[name]).sum((1, 2))
        print(f"opencv {old} and {new}, {name}: {(pixels > 0).mean():.0%} of the masks differ, by up to {pixels.max()} pixels")
        assert pixels.any() == (name in expected), "this has changed"


differing("4.10.0.84", "4.11.0.86", ("filled", "filled across", "contour"))
differing("4.11.0.86", "5.0.0.93", ("line across",))
PYTHON
