"""The orientation of an image by its EXIF data, which every reader of this project obeys alike."""

from __future__ import annotations

import contextlib
import struct

from PIL import Image

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""The transposition that undoes each EXIF orientation (Exif 2.32, 4.6.4); Pillow rotates counterclockwise."""

_TAG, _SHORT = 0x0112, 3
_MOST_ENTRIES = 512
"""The most entries of an EXIF directory that are searched, as in `export.formats.graph.image_header`."""


def orientation(image: Image.Image) -> int:
    """Returns the EXIF orientation of an image, 1 to 8; 5 and more exchange height and width.

    Pillow's `getexif` would take it from XMP, too, which other programs do not obey, and raises on malformed EXIF. TIFF
    files have 1: Pillow applies their orientation while it decodes them.
    """
    return exif_orientation(image.info.get("exif") or b"")


def exif_orientation(exif: bytes) -> int:
    r"""Returns the orientation in the first directory of EXIF data, 1 to 8; 1 if there is none or it is malformed.

    Args:
        exif: The data, with or without "Exif\0\0" before them.
    """
    tiff = exif.removeprefix(b"Exif\0\0")
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    with contextlib.suppress(struct.error):
        if order is not None:
            (directory,) = struct.unpack_from(f"{order}I", tiff, 4)
            (entries,) = struct.unpack_from(f"{order}H", tiff, directory)
            for entry in range(min(entries, _MOST_ENTRIES)):
                tag, kind, _, value, _ = struct.unpack_from(f"{order}HHIHH", tiff, directory + 2 + 12 * entry)
                if (tag, kind) == (_TAG, _SHORT):
                    return value if value in _TURNS else 1
    return 1


def turned(image: Image.Image, by_orientation: int) -> Image.Image:
    """Returns an image turned upright by an EXIF orientation."""
    turn = _TURNS.get(by_orientation)
    return image if turn is None else image.transpose(turn)
