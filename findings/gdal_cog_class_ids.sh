#!/usr/bin/env bash
# GDAL 3.10.3 (rasterio 1.4.4): a mask copied to a COG has blended class ids in its overviews; reading "nearest" returns them.
#
# Guess: a copy to another format keeps the values; reading at half the size with Resampling.nearest picks pixels of the mask.
# Seen: the COG driver adds overviews by cubic interpolation unless the file has a colour table, and a smaller read begins with
# the next overview. Classes 0, 3 and 15 become all of 0 to 16, along every edge. At full size the copy is exact.
# Who is hurt: who reads tiles of such masks at a lower resolution trains on classes that are not there, most within the
# range of those that are; no check of the full-size file finds them. `overview_resampling="nearest"` (or "mode") cures it.
set -euo pipefail
folder=$(mktemp -d) && trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check rasterio==1.4.4 numpy==2.4.6
cd "$folder" && "$folder/venv/bin/python" -W ignore - <<'PYTHON'
import numpy as np
import rasterio
import rasterio.shutil
from rasterio.enums import Resampling

rows, columns = np.mgrid[:1200, :1200] - 600
mask = np.select([rows**2 + columns**2 < 60000, rows**2 + columns**2 < 250000], [3, 15]).astype("uint8")
with rasterio.open("mask.tif", "w", driver="GTiff", height=1200, width=1200, count=1, dtype="uint8") as file:
    file.write(mask, 1)
rasterio.shutil.copy("mask.tif", "cog.tif", driver="COG")
rasterio.shutil.copy("mask.tif", "cured.tif", driver="COG", overview_resampling="nearest")
with rasterio.open("mask.tif") as file:
    profile = file.profile
with rasterio.open("painted.tif", "w", **profile) as file:
    file.write(mask, 1)
    file.write_colormap(1, {3: (128, 128, 0), 15: (192, 128, 128)})
rasterio.shutil.copy("painted.tif", "painted_cog.tif", driver="COG")

for name in ("mask.tif", "cog.tif", "cured.tif", "painted_cog.tif"):
    with rasterio.open(name) as file:
        assert np.array_equal(file.read(1), mask)
        half = file.read(1, out_shape=(600, 600), resampling=Resampling.nearest)
        print(f"GDAL {rasterio.__gdal_version__} {name}: overviews {file.overviews(1)}, ids at half the size {np.unique(half)}")
    others = ~np.isin(half, [0, 3, 15])
    print(f"    other ids in {others.mean():.1%} of the pixels")
    assert others.any() == (name == "cog.tif"), "this has changed"
PYTHON
