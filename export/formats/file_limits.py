"""The limits of image files, and how their faults are told: the same in the exported graph and in the server."""

from __future__ import annotations

from typing import NamedTuple

from keras_fcn.images.headers.effort import MOST_SCANS, MOST_TEXTS

PNG, JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"
"""The first bytes of the files that are read."""

OTHERS = {
    "a GIF": [(0, b"GIF8")],
    "a TIFF": [(0, b"II*\0"), (0, b"MM\0*"), (0, b"II+\0"), (0, b"MM\0+")],
    "a WebP": [(8, b"WEBP")],
    "an AVIF": [(4, b"ftypavif")],
    "a HEIC": [(4, b"ftyphei"), (4, b"ftyphev"), (4, b"ftypmif1"), (4, b"ftypmif2"), (4, b"ftypmsf1")],
    "a BMP": [(0, b"BM")],
    "a PDF": [(0, b"%PDF")],
    "a NumPy array": [(0, b"\x93NUMPY")],
}
"""Formats that are not read, by what stands at a position in their files."""

EMPTY, NEITHER = "is empty; send the bytes of a JPEG or PNG file", "is neither a JPEG nor a PNG"
WITHOUT_SIZE = "is damaged: its header does not say how large the image is"

_OPTION = " (--max-{} of the export)"
PIXEL_LIMIT = _OPTION.format("pixels")
"""How a fault names the option of the limit of pixels."""

MAX_PIXELS = 1 << 24
"""The default limit of height times width of an image file: 4096 x 4096."""


class FileLimits(NamedTuple):
    """The limits of an image file.

    Attributes:
        max_pixels: The most pixels, height times width.
        max_scans: The most scans of a JPEG.
        max_texts: The most compressed texts of a PNG.
    """

    max_pixels: int = MAX_PIXELS
    max_scans: int = MOST_SCANS
    max_texts: int = MOST_TEXTS


def other_format(name: str) -> str:
    """Returns the fault of a file of another format."""
    return f"is {name}; send a JPEG or PNG"


def exceeds(what: str, most: int) -> str:
    """Returns the second half of the fault of a file that exceeds a limit: "pixels", "scans" or "texts"."""
    return f"; the limit is {most} {what}{_OPTION.format(what)}"


def many(what: str, most: int) -> str:
    """Returns the fault of a file of more scans or texts than the limit."""
    return f"takes too long to decode: it has more than {most} {what}{exceeds(what, most)}"
