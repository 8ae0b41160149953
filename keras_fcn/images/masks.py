"""Reading label files to class ids, and writing them as palette PNGs."""

from __future__ import annotations

import contextlib
import functools
import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from keras_fcn.errors import DataError, UserError
from keras_fcn.images.classes import ClassTable
from keras_fcn.images.several import decoded_alone
from keras_fcn.system.files import replaced_file


def read_label(path: str | Path, classes: ClassTable) -> np.ndarray:
    """Decodes a label file in VOC's format to class ids.

    In a colour or palette PNG, a pixel's colour determines its class; in a grey PNG, or one whose palette is grey, its
    value is the id.

    Returns:
        uint8 [H, W], class ids and 255 for void.

    Raises:
        DataError: If the file cannot be decoded, or holds a colour or an id that is no class.
    """
    with opened_label(Path(path)) as image:
        if image.mode == "P":
            return _ids_of_palette_image(image, classes, grey_is_id=True)
        if image.mode in ("L", "1", "I;16", "I"):
            return ids_of_values(values_of(image, Path(path)), classes, np.arange(256, dtype=np.uint8))
        return _ids_of_colors(image, classes)


def read_color_label(path: str | Path, classes: ClassTable) -> np.ndarray:
    """Decodes a label file by its colours, with black, white and grey as colours like any other.

    Returns:
        uint8 [H, W], class ids and 255 for void.

    Raises:
        DataError: If the file cannot be decoded, or holds a colour that is no class.
    """
    with opened_label(Path(path)) as image:
        return _ids_of_colors(image.convert("RGB") if image.mode in ("1", "L") else image, classes)


def read_value_label(path: str | Path, classes: ClassTable, ids: tuple[int, ...]) -> np.ndarray:
    """Decodes a label file by its pixel values: grey values or palette indices.

    Args:
        path: The file.
        classes: The classes.
        ids: The class id of each pixel value 0 to 255; 255 for void, 254 for none.

    Returns:
        uint8 [H, W], class ids and 255 for void.

    Raises:
        DataError: If the file cannot be decoded, is in colour, or holds a value that is no class.
    """
    with opened_label(Path(path)) as image:
        return ids_of_values(values_of(image, Path(path)), classes, np.array(ids, np.uint8))


def read_grey_label(
    path: str | Path, classes: ClassTable, ids: tuple[int, ...], black_and_white: bool = False
) -> np.ndarray:
    """Decodes a label file by its greys: grey values, or the greys of a palette, whatever their indices.

    Args:
        path: The file.
        classes: The classes.
        ids: The class id of each grey 0 to 255; 255 for void, 254 for none.
        black_and_white: Whether the white of a 1-bit file is 255, as in a file of 8 bits, and not 1.

    Returns:
        uint8 [H, W], class ids and 255 for void.

    Raises:
        DataError: If the file cannot be decoded, is in colour, or holds a grey that is no class.
    """
    with opened_label(Path(path)) as image:
        if image.mode == "P":
            return ids_of_values(_greys(image), classes, np.array(ids, np.uint8))
        values = values_of(image, Path(path))
        is_white_one = black_and_white and image.mode == "1"
        return ids_of_values(values * np.uint8(255) if is_white_one else values, classes, np.array(ids, np.uint8))


def write_label(path: str | Path, ids: np.ndarray, classes: ClassTable) -> None:
    """Writes class ids atomically as a palette PNG: the indices are the ids, the palette holds the classes' colours.

    Args:
        path: The PNG to write.
        ids: uint8 [H, W].
        classes: The table that has the colours.
    """
    with replaced_file(Path(path)) as temporary:
        _palette_image(ids, classes).save(temporary, format="PNG", optimize=False)


def encode_label(ids: np.ndarray, classes: ClassTable) -> bytes:
    """Returns the bytes of the file that `write_label` writes."""
    png = io.BytesIO()
    _palette_image(ids, classes).save(png, format="PNG", optimize=False)
    return png.getvalue()


def _palette_image(ids: np.ndarray, classes: ClassTable) -> Image.Image:
    image = Image.fromarray(ids)
    image.putpalette(classes.palette().tobytes())
    return image


@contextlib.contextmanager
def opened_label(path: Path) -> Iterator[Image.Image]:
    """Opens a label file upright and without its alpha channel, and adds its path to errors in the block.

    Raises:
        DataError: If the file cannot be decoded, holds several pictures, or is not opaque.
    """
    image = decoded_alone(path)
    try:
        yield _opaque(image)
    except UserError as error:
        kind = error.kind if isinstance(error, DataError) else "label"
        raise DataError(kind, f"{path}: {error}") from None


def _opaque(image: Image.Image) -> Image.Image:
    """Returns an image without its alpha channel, which must be opaque."""
    if image.mode not in ("LA", "PA", "RGBA"):
        return image
    seen = image.getchannel("A").histogram()[255]
    if seen < image.width * image.height:
        raise DataError(
            "transparency",
            f"{image.width * image.height - seen} of its {image.width * image.height} pixels are transparent, which "
            "may mean background or void; export it opaque, without an alpha channel",
        )
    return image.convert(image.mode[:-1])


def values_of(image: Image.Image, path: Path) -> np.ndarray:
    """Returns grey values (0 and 1 for 1-bit images) or palette indices, uint8 [H, W].

    Raises:
        DataError: If the image is in colour, or its values are no ids.
    """
    if image.mode == "L" and (bits := _grey_bits(path)) in (2, 4):
        # Some programs store ids, others compress grey values that fit: 85 becomes 1. Both look the same.
        raise DataError("bit depth", f"is grey in {bits} bits, where ids and shades look alike; export 8-bit grey")
    if image.mode in ("L", "P", "1"):
        return np.asarray(image).astype(np.uint8, copy=False)
    values = np.asarray(image)
    if image.mode.startswith("I"):
        if values.max(initial=0) > 255 or values.min(initial=0) < 0:
            most = values.max() if values.max() > 255 else values.min()
            raise DataError("id out of range", f"holds the value {most} in 16 bits; class ids are 0 to 255")
        return values.astype(np.uint8)
    if image.mode == "RGB" and (values == values[..., :1]).all():
        return np.ascontiguousarray(values[..., 0])
    raise DataError("colours", f"has pixels of mode {image.mode}, but values are expected; export 8-bit grey ids")


def _grey_bits(path: Path) -> int | None:
    """Returns the bits per pixel of a grey PNG, None for other files; Pillow scales 2 and 4 bits to 0 to 255."""
    with path.open("rb") as file:
        header = file.read(26)
    return header[24] if header.startswith(b"\x89PNG") and header[25] == 0 else None


def ids_of_values(values: np.ndarray, classes: ClassTable, ids: np.ndarray) -> np.ndarray:
    """Returns class ids uint8 [H, W], 255 for void.

    Args:
        values: Values in a mask, uint8 [H, W].
        classes: The classes.
        ids: The class id of each value, uint8 [256]; 255 for void, 254 for none.

    Raises:
        DataError: If a value is no class, without the file's name.
    """
    counts = np.bincount(values.ravel(), minlength=256)
    used = np.flatnonzero(counts)
    wrong = [value for value in used.tolist() if ids[value] >= classes.num_classes and ids[value] != 255]
    if wrong:
        most = max(wrong, key=lambda value: counts[value])
        known = np.flatnonzero((ids < classes.num_classes) & (ids != np.arange(256)))
        if known.size:  # values differ from ids, so the message must not call them ids
            values_here = ", ".join(str(value) for value in np.flatnonzero(ids < classes.num_classes).tolist())
            message = f"value {most} ({counts[most]} pixels) stands for no class; values here are {values_here}"
            raise DataError("id out of range", f"{message}; fix the mask or the class list")
        raise DataError("id out of range", classes.describe_wrong_id(most, int(counts[most]), len(wrong)))
    return values if (ids[used] == used).all() else ids[values]


def _ids_of_colors(image: Image.Image, classes: ClassTable) -> np.ndarray:
    if image.mode == "RGB":
        return classes.to_ids(np.asarray(image))
    if image.mode == "P":
        return _ids_of_palette_image(image, classes)
    raise DataError("colours", f"has pixels of mode {image.mode}; export 8-bit grey, palette or opaque RGB")


def _ids_of_palette_image(image: Image.Image, classes: ClassTable, grey_is_id: bool = False) -> np.ndarray:
    """Returns ids by the colours of a palette; with `grey_is_id`, a grey palette that matches no class holds ids."""
    used = np.flatnonzero(image.histogram())
    packed, indices = packed_palette(image), np.asarray(image)
    ids, is_known = _ids_of_palette(packed, classes)
    if not is_known[used].all():
        palette = palette_of(packed)
        if grey_is_id and (palette[used] == used[:, None]).all():
            return ids_of_values(indices, classes, np.arange(256, dtype=np.uint8))
        classes.to_ids(palette[indices])  # raises DataError with the colour and its pixel count
    return indices if (ids[used] == used).all() else ids[indices]


def _greys(image: Image.Image) -> np.ndarray:
    """Returns the greys of a palette image, uint8 [H, W]."""
    palette = palette_of(packed_palette(image))
    used = np.flatnonzero(image.histogram())
    if (palette[used] != palette[used, :1]).any():
        raise DataError("colours", "has a palette of colours, but greys are expected; export 8-bit grey")
    return palette[:, 0][np.asarray(image)]


def packed_palette(image: Image.Image) -> bytes:
    """Returns the palette that an image stores, three bytes for each index from 0."""
    return bytes(image.getpalette("RGB") or ())


@functools.lru_cache(maxsize=64)
def _ids_of_palette(packed: bytes, classes: ClassTable) -> tuple[np.ndarray, np.ndarray]:
    """Returns the class id of each of a palette's 256 indices, and whether its colour has a class."""
    palette = palette_of(packed)
    is_known = classes.known(palette)
    ids = np.zeros(256, np.uint8)
    ids[is_known] = classes.to_ids(palette[is_known])
    return ids, is_known


def palette_of(packed: bytes) -> np.ndarray:
    """Returns the colours of all 256 indices, uint8 [256, 3]; those missing in the file are black."""
    palette = np.zeros((256, 3), np.uint8)
    stored = np.frombuffer(packed, np.uint8).reshape(-1, 3)
    palette[: len(stored)] = stored
    return palette
