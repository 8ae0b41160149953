#!/usr/bin/env bash
# Pillow 13.0.0: compressed big-endian TIFFs of int16, int32 and float32 open with the bytes of each value reversed.
#
# Guess: compression and byte order are matters of the file; pixels are the same whichever way they were written (libtiff,
# which unpacks the strips, has put the bytes in order already).
# Seen: without compression all is right, and so are uint8 and uint16 in either; with deflate, LZW or PackBits class 1 is read
# from int16 as 256, from int32 as 16777216 and from float32 as 4.6e-41. tifffile reads all of them as they were written.
# Who is hurt: label images and heights from tools that write "MM" files: float masks become empty, ids change, in silence.
set -euo pipefail
folder=$(mktemp -d) && trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
    pillow==13.0.0 tifffile==2026.3.3 imagecodecs==2026.3.6 numpy==2.4.6
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
import io

import numpy as np
import PIL
import tifffile
from PIL import Image

ids = np.arange(64).reshape(8, 8)


def seen(dtype, order, compression):
    """Returns what Pillow reads in a file that tifffile wrote and reads again."""
    file = io.BytesIO()
    tifffile.imwrite(file, ids.astype(dtype), byteorder=order, compression=compression, photometric="minisblack")
    file.seek(0)
    assert np.array_equal(tifffile.imread(file), ids)
    file.seek(0)
    return np.asarray(Image.open(file))


for dtype in ("uint8", "uint16", "int16", "int32", "float32"):
    for compression in (None, "zlib", "lzw", "packbits"):
        little, big = (seen(dtype, order, compression) for order in "<>")
        right = np.array_equal(big, ids)
        print(f"Pillow {PIL.__version__} {dtype} {compression}: 1 is read as {little[0, 1]:g} (little), {big[0, 1]:g} (big-endian)")
        assert np.array_equal(little, ids)
        assert right == (compression is None or dtype.startswith("uint")), "this has changed"
        if not right:
            stored = ids.astype(np.dtype(dtype).newbyteorder(">"))
            assert np.array_equal(big, stored.view(np.dtype(dtype).newbyteorder("<"))), "this has changed"
PYTHON
