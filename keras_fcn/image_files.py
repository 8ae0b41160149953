"""Photographs and label files: read into arrays, labels written as palette PNGs."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
from PIL import Image

from keras_fcn.errors import UserError
from keras_fcn.files import replaced_file
from keras_fcn.labels import ClassTable

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png")


def read_image(path: Path) -> np.ndarray:
    """Decodes a photograph.

    Returns:
        uint8 [H, W, 3] RGB, as the pixels are stored: an EXIF orientation is not applied.

    Raises:
        UserError: If the file cannot be read or decoded to its last pixel.
    """
    with _opened(path) as image:
        return np.asarray(image.convert("RGB"))


def read_label(path: Path, classes: ClassTable) -> np.ndarray:
    """Decodes a label file to class ids.

    In a colour or palette PNG, a pixel's colour says which class it is; in a grey PNG, or one whose palette is grey,
    its value is the id.

    Returns:
        uint8 [H, W], class ids and 255 for void.

    Raises:
        UserError: If the file cannot be decoded, or holds a colour or an id that is no class.
    """
    with _opened(path) as image:
        try:
            return _label_ids(image, classes)
        except UserError as error:
            raise UserError(f"{path}: {error}; mend the file or remove it from the list") from None


def write_label(path: Path, ids: np.ndarray, classes: ClassTable) -> None:
    """Writes class ids as a palette PNG, whole or not at all: indices are the ids, colours those of the classes.

    Args:
        path: Where to write.
        ids: uint8 [H, W].
        classes: Whose colours to use.
    """
    image = Image.fromarray(ids)
    image.putpalette(classes.palette().tobytes())
    with replaced_file(path) as temporary:
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


class _opened:
    """Opens and decodes an image, and says which file it was when that fails."""

    def __init__(self, path: Path, draft: bool = False) -> None:
        self._path, self._draft = path, draft

    def __enter__(self) -> Image.Image:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error", Image.DecompressionBombWarning)
                self._image = Image.open(self._path)
                if self._draft:
                    self._image.draft("RGB", (1, 1))
                self._image.load()
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombWarning) as error:
            raise UserError(_undecodable(self._path, error)) from None
        return self._image

    def __exit__(self, *_) -> None:
        self._image.close()


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
    palette = np.zeros((256, 3), np.uint8)
    stored = np.frombuffer(image.palette.tobytes(), np.uint8).reshape(-1, 3)[:256]
    palette[: len(stored)] = stored
    if not classes.known(palette[np.unique(indices)]).all():
        if np.array_equal(palette[np.unique(indices)], np.repeat(np.unique(indices)[:, None], 3, axis=1)):
            classes.require_known(indices)
            return indices
        classes.to_ids(palette[indices])  # raises: it knows how to name the colour
    table = np.zeros(256, np.uint8)
    known = classes.known(palette)
    table[known] = classes.to_ids(palette[known])
    return table[indices]
