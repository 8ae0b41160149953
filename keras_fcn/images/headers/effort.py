"""What a file's structure tells of the work of decoding it, which neither its size nor its pixels bound.

Each scan of a JPEG goes over all of its pixels, in a few bytes if it says nothing new; each compressed text of a PNG
inflates to megabytes.
"""

from __future__ import annotations

import re

MOST_SCANS = 100
"""The most scans of a JPEG: a progressive one has about 10. A scan takes 20 ms for 16 megapixels."""

MOST_TEXTS = 16
"""The most compressed texts of a PNG, which take 0.1 s each; most files have none."""

MOST_SEGMENTS = 1000
"""The most segments of a JPEG that are searched; images have some dozens."""

SCAN, TEXTS = b"\xff\xda", (b"zTXt", b"iTXt")
"""The marker that begins a scan (ITU T.81, table B.1), and the kinds of chunks (PNG specification, 11.3.3)."""

_SCAN, _END = 0xDA, 0xD9
_MARKER = re.compile(rb"\xff([^\x00\x01\xd0-\xd8\xff])")  # those that begin a segment, and the end


def has_many_scans(data: bytes, most: int = MOST_SCANS) -> bool:
    """Returns whether a JPEG has more than `most` scans, or too many segments to tell.

    Args:
        data: The file's bytes. What follows the end of the image, as a phone's film does, is not counted.
        most: The limit.
    """
    return data.count(SCAN) > most and _has_many_scans(data, most)


def _has_many_scans(data: bytes, most: int) -> bool:
    position, scans = 2, 0  # after the start of the image
    for _ in range(MOST_SEGMENTS):
        found = _MARKER.search(data, position)
        if found is None or found[1][0] == _END:
            return False
        scans += found[1][0] == _SCAN
        if scans > most:
            return True
        position = found.end() + int.from_bytes(data[found.end() : found.end() + 2])
    return True


def has_many_texts(data: bytes, most: int = MOST_TEXTS) -> bool:
    """Returns whether a PNG has more than `most` chunks of compressed text."""
    return sum(map(data.count, TEXTS)) > most
