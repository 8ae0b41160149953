"""Photographs and label files: read into arrays, labels written as palette PNGs."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from keras_fcn.errors import UserError
from keras_fcn.files import replaced_file
from keras_fcn.labels import ClassTable

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png")


def read_image(path: str | Path) -> np.ndarray:
    """Decodes a photograph.

    Returns:
        uint8 [H, W, 3] RGB, as the pixels are stored: an EXIF orientation is not applied.

    Raises:
        UserError: If the file cannot be read or decoded to its last pixel.
    """
    with _opened(Path(path)) as image:
        return np.asarray(image.convert("RGB"))


def read_label(path: str | Path, classes: ClassTable) -> np.ndarray:
    """Decodes a label file to class ids.

    In a colour or palette PNG, a pixel's colour says which class it is; in a grey PNG, or one whose palette is grey,
    its value is the id.

    Returns:
        uint8 [H, W], class ids and 255 for void.

    Raises:
        UserError: If the file cannot be decoded, or holds a colour or an id that is no class.
    """
    with _opened(Path(path)) as image:
        try:
            return _label_ids(image, classes)
        except UserError as error:
            raise UserError(f"{path}: {error}; mend the file or remove it from the list") from None


def write_label(path: str | Path, ids: np.ndarray, classes: ClassTable) -> None:
    """Writes class ids as a palette PNG, whole or not at all: indices are the ids, colours those of the classes.

    Args:
        path: Where to write.
        ids: uint8 [H, W].
        classes: Whose colours to use.
    """
    image = Image.fromarray(ids)
    image.putpalette(classes.palette().tobytes())
    with replaced_file(Path(path)) as temporary:
        image.save(temporary, format="PNG", optimize=False)


def image_size(path: Path) -> tuple[int, int]:
    """Returns height and width of an image file from its header.

    Raises:
        UserError: If the file is not an image.
    """
    try:
        with Image.open(path) as image:
            return image.height, image.width
    except OSError as error:
        raise UserError(_undecodable(path, error)) from None


def require_decodable(path: Path) -> None:
    """Decodes an image file to its end, as cheaply as its format allows.

    Raises:
        UserError: If that fails: the file is truncated or damaged.
    """
    with _opened(path, draft=True):
        pass


@contextlib.contextmanager
def _opened(path: Path, draft: bool = False) -> Iterator[Image.Image]:
    """Opens and decodes an image, and says which file it was when that fails."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            image = Image.open(path)
            if draft:
                image.draft("RGB", (1, 1))
            image.load()
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise UserError(_undecodable(path, error)) from None
    with image:
        yield image


def _undecodable(path: Path, error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return f"{path}: no such file"
    reason = str(error).replace(f" {str(path)!r}", "").splitlines()[0]
    return f"{path}: cannot be decoded ({reason}); replace the file or remove it from the list"


def _label_ids(image: Image.Image, classes: ClassTable) -> np.ndarray:
    if image.mode == "L":
        ids = np.asarray(image)
        classes.require_known(ids)
        return ids
    if image.mode == "P":
        return _palette_ids(image, classes)
    if image.mode == "RGB":
        return classes.to_ids(np.asarray(image))
    raise UserError(f"has pixels of mode {image.mode}; labels are 8-bit grey, palette or RGB")


def _palette_ids(image: Image.Image, classes: ClassTable) -> np.ndarray:
    indices = np.asarray(image)
    used = np.unique(indices)
    colors = _palette(image)[used]
    if not classes.known(colors).all() and (colors == used[:, None]).all():  # a grey ramp: a grey image after all
        classes.require_known(indices)
        return indices
    if not classes.known(colors).all():
        classes.to_ids(_palette(image)[indices])  # raises: it names the colour and counts its pixels
    table = np.zeros(256, np.uint8)
    table[used] = classes.to_ids(colors)
    return table[indices]


def _palette(image: Image.Image) -> np.ndarray:
    """Returns the colours of all 256 indices, uint8 [256, 3]; those that the file does not name are black."""
    palette = np.zeros((256, 3), np.uint8)
    stored = np.array(image.getpalette("RGB"), np.uint8).reshape(-1, 3)
    palette[: len(stored)] = stored
    return palette
