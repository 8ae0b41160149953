"""Windows of decoded images and masks: small files that name a part of a file of pixels beside them.

A part is read in the time that its bytes take, however large the whole is.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
from PIL import Image

from keras_fcn.errors import DataError
from keras_fcn.images.pillow import named_in_errors

SUFFIX = ".window"
"""The end of a window's name."""


@dataclasses.dataclass(frozen=True)
class Window:
    """A part of an image or a mask.

    Attributes:
        content: What the whole image or mask is made of, as a digest.
        shape: The whole's shape, [H, W, 3] or [H, W].
        box: First row, first column, last row and last column + 1 of the part.
    """

    content: str
    shape: tuple[int, ...]
    box: tuple[int, int, int, int]

    @property
    def size(self) -> tuple[int, int]:
        """Returns height and width in pixels."""
        top, left, bottom, right = self.box
        return bottom - top, right - left

    def within(self, box: tuple[int, int, int, int]) -> Window:
        """Returns a part of this one, whose box counts from its corner."""
        top, left = self.box[:2]
        return dataclasses.replace(self, box=(box[0] + top, box[1] + left, box[2] + top, box[3] + left))

    def path(self, folder: Path, name: str) -> Path:
        """Returns the file of this window in the folder of the whole's pixels, by the name of the image."""
        top, left, bottom, right = self.box
        return folder / f"{name}_{top}_{left}_{bottom - top}x{right - left}{SUFFIX}"

    def write(self, path: Path) -> None:
        """Writes the file of this window."""
        path.write_text(json.dumps(dataclasses.asdict(self)), encoding="utf-8")


def pixels_in(folder: Path) -> Path:
    """Returns the file of all pixels of an image or a mask, uint8, row after row."""
    return folder / "pixels"


def is_window(path: str | Path) -> bool:
    """Returns whether a file is a window, by its name."""
    return str(path).endswith(SUFFIX)


def read_window(path: str | Path) -> Window:
    """Reads what a window is a part of.

    Raises:
        DataError: If it cannot be read.
    """
    path = Path(path)
    with named_in_errors(path):
        content = json.loads(path.read_text(encoding="utf-8"))
        top, left, bottom, right = content["box"]
        return Window(content["content"], tuple(content["shape"]), (top, left, bottom, right))


def read_pixels(path: str | Path, box: tuple[int, int, int, int] | None = None) -> np.ndarray:
    """Reads the pixels of a window, uint8 [h, w, 3] or, of a mask, [h, w].

    Args:
        path: The window.
        box: First row and column, last row and column + 1 of a part of it; all of it if not given.

    Raises:
        DataError: If they cannot be read.
    """
    window, pixels = read_window(path), pixels_in(Path(path).parent)
    top, left, bottom, right = (window if box is None else window.within(box)).box
    with named_in_errors(pixels):
        if pixels.stat().st_size != np.prod(window.shape):
            raise DataError("undecodable file", f"{pixels}: is cut off; remove it, it is made anew")
        return np.array(np.memmap(pixels, np.uint8, "r", shape=window.shape)[top:bottom, left:right])


def copy_image(image: Path, folder: Path, name: str) -> str:
    """Copies an image into a folder: a file as it is, a window as a PNG.

    Args:
        image: The image.
        folder: The folder.
        name: Its name there without suffix; it may have folders, which are created.

    Returns:
        Its name there, with suffix.
    """
    named = f"{name}{'.png' if is_window(image) else image.suffix}"
    copy = folder / named
    copy.parent.mkdir(parents=True, exist_ok=True)
    if is_window(image):
        Image.fromarray(read_pixels(image)).save(copy)
    else:
        shutil.copyfile(image, copy)
    return named
