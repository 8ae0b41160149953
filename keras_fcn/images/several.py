"""Files of several pictures: pages of a TIFF, frames of an animation, views of an MPO, sizes of an icon."""

from __future__ import annotations

import contextlib
import io
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

from PIL import Image
from PIL.ImageFile import ImageFile

from keras_fcn.errors import DataError
from keras_fcn.images.pillow import READ_ERRORS, displayed, opened

SEVERAL = "several pictures"
"""The kind of what is said about them."""

_KIND, _REDUCED, _TRANSPARENCY = 254, 1, 4
"""TIFF's tag NewSubfileType, and its bits for a smaller copy and for a mask of another page (TIFF 6.0, page 36)."""

_ICONS = (".ico", ".icns", ".cur")

_MOST_PAGES = 1 << 16
"""So many are counted, lest a damaged file is read for ever."""

_MOST_TAGS = (1 << 16) - 1
"""All that a page of a TIFF may have; a BigTIFF may claim more than there is memory for."""


def pictures_in(image: ImageFile) -> int:
    """Returns how many pictures the file of an image holds that is opened and not yet decoded.

    Smaller copies and transparency masks in a TIFF, previews in a JPEG, and layers are parts of one picture.
    """
    if image.format not in ("TIFF", "MPO", "GIF"):
        frames = 1 if image.format == "PSD" else getattr(image, "n_frames", 1)
        has_sizes = image.format in ("ICO", "ICNS")  # a PNG may have a text that is called so
        return max(frames, len(image.info.get("sizes", ())) if has_sizes else 1)
    file: Any = image.fp
    position = file.tell()
    try:
        return _pages(file) if image.format == "TIFF" else _frames(image, file)
    except READ_ERRORS:  # the file is damaged behind its first picture
        return 1
    finally:
        file.seek(position)


def pages_in(path: str | Path) -> int:
    """Returns `pictures_in` of a TIFF file, whoever decodes it."""
    with contextlib.suppress(*READ_ERRORS), Path(path).open("rb") as file:
        return _pages(file)
    return 1


def decoded_alone(path: Path) -> Image.Image:
    """Returns the decoded image of a file that holds one picture, as a mask must, with its EXIF orientation applied.

    Raises:
        DataError: If the file cannot be read or decoded to its last pixel, or holds several pictures.
    """
    with opened(path) as image:
        require_alone(path, pictures_in(image))
        return displayed(image)


def require_alone(path: Path, count: int) -> None:
    """Raises DataError if the file of a mask holds more than one picture."""
    if count > 1:
        which = f"{path}: holds {count} pictures, and nothing says which of them is the mask"
        raise DataError(SEVERAL, f"{which}; save that as a file of its own")


def describe_several(counts: Mapping[str, int]) -> str:
    """Returns the line about images whose files hold several pictures.

    Args:
        counts: `pictures_in` of each by its name in the line, one at least.
    """
    first, most = next(iter(counts)), max(counts.values())
    files = f"{first}: holds {most} pictures"
    if len(counts) > 1:
        files = f"{first} and {len(counts) - 1} more: hold up to {most} pictures each"
    which = "largest" if first.lower().endswith(_ICONS) else "first"
    return f"{files}, of which the {which} is read; save the others as files of their own if they are meant"


def _pages(file: BinaryIO) -> int:
    """Returns the number of pages of a TIFF or a BigTIFF; a smaller copy counts if it is the first."""
    file.seek(0)
    header = file.read(16)
    order = "<" if header.startswith(b"II") else ">"
    is_big = struct.unpack_from(f"{order}H", header, 2) == (43,)
    number, entry, long, start = ("Q", "HHQQ", "Q", 8) if is_big else ("H", "HHII", "I", 4)
    offset, seen, count = struct.unpack_from(order + long, header, start)[0], set[int](), 0
    while offset and offset not in seen and len(seen) < _MOST_PAGES:
        file.seek(offset)
        (entries,) = struct.unpack(order + number, file.read(struct.calcsize(number)))
        if entries > _MOST_TAGS:
            raise ValueError(f"a page of {entries} tags")  # lest memory is taken for them
        directory = file.read(entries * struct.calcsize(order + entry))
        kinds = [value for tag, _, _, value in struct.iter_unpack(order + entry, directory) if tag == _KIND]
        count += not (seen and any(kind & (_REDUCED | _TRANSPARENCY) for kind in kinds))
        seen.add(offset)
        (offset,) = struct.unpack(order + long, file.read(struct.calcsize(long)))
    return count


def _frames(image: ImageFile, file: BinaryIO) -> int:
    """Returns the number of frames of a GIF or an MPO, of this those as large as the first: others are previews."""
    file.seek(0)
    other: Any = type(image)(io.BytesIO(file.read()), "")  # counting goes through them, which would change the image
    if image.format == "GIF":
        return other.n_frames
    count = 1
    for index in range(1, other.n_frames):
        other.seek(index)
        count += other.size == image.size
    return count
