"""Reading label files to class ids, and writing them as palette PNGs."""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
from PIL import Image

from keras_fcn.errors import DataError
from keras_fcn.images.classes import VOID_LABEL, ClassTable
from keras_fcn.images.label_files.division import class_part
from keras_fcn.images.label_files.opening import opened_label, values_of
from keras_fcn.images.pillow import encoded, packed_palette, palette_of
from keras_fcn.system.files import replaced_file


def read_label(path: str | Path, classes: ClassTable) -> np.ndarray:
    """Decodes a label file in VOC's format to class ids.

    In colour or with a palette, a pixel's colour determines its class; in a grey file, or one whose colours or palette
    are greys of no class, its value is the id.

    Returns:
        uint8 [H, W], class ids and 255 for void.

    Raises:
        DataError: If the file cannot be decoded, or holds a colour or an id that is no class.
    """
    with opened_label(Path(path)) as image:
        if image.mode == "P":
            return _ids_of_palette_image(image, classes, grey_is_id=True)
        if image.mode not in ("L", "1", "I"):
            try:
                return _ids_of_colors(image, classes)
            except DataError:
                if image.mode != "RGB" or not _is_grey(image):
                    raise
        return ids_of_values(_values(image, Path(path)), classes, np.arange(256, dtype=np.uint8))


def read_color_label(path: str | Path, classes: ClassTable) -> np.ndarray:
    """Decodes a label file by its colours, with black, white and grey as colours like any other.

    Returns:
        uint8 [H, W], class ids and 255 for void.

    Raises:
        DataError: If the file cannot be decoded, or holds a colour that is no class.
    """
    with opened_label(Path(path)) as image:
        return _ids_of_colors(image.convert("RGB") if image.mode in ("1", "L") else image, classes)


def read_value_label(path: str | Path, classes: ClassTable, ids: tuple[int, ...], divisor: int = 1) -> np.ndarray:
    """Decodes a label file by its pixel values: grey values or palette indices.

    Args:
        path: The file.
        classes: The classes.
        ids: The class id of each pixel value 0 to 255; 255 for void, 254 for none.
        divisor: What values number objects by: `class_part` is the pixel value.

    Returns:
        uint8 [H, W], class ids and 255 for void.

    Raises:
        DataError: If the file cannot be decoded, is in colour, or holds a value that is no class.
    """
    with opened_label(Path(path)) as image:
        return ids_of_values(_values(image, Path(path), divisor), classes, np.array(ids, np.uint8))


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
        values = _values(image, Path(path))
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
    return encoded(_palette_image(ids, classes), format="PNG", optimize=False)


def _palette_image(ids: np.ndarray, classes: ClassTable) -> Image.Image:
    image = Image.fromarray(ids)
    image.putpalette(classes.palette().tobytes())
    return image


def _values(image: Image.Image, path: Path, divisor: int = 1) -> np.ndarray:
    """Returns grey values, palette indices or their `class_part`, uint8 [H, W]."""
    values = values_of(image, path)
    if divisor > 1:
        unnumbered = values[(values > 0) & (values < VOID_LABEL)] if divisor == 256 else values[:0]
        if unnumbered.size:
            raise DataError("id out of range", f"holds the value {unnumbered[0]}, but others class * 256 + number")
        values = class_part(values, divisor)
    if values.dtype != np.uint8 and values.max(initial=0) > VOID_LABEL:
        raise DataError(
            "id out of range", f"holds the value {values.max()}; class ids are 0 to 254, and {VOID_LABEL} is void"
        )
    return values.astype(np.uint8, copy=False)


def ids_of_values(values: np.ndarray, classes: ClassTable, ids: np.ndarray) -> np.ndarray:
    """Returns class ids uint8 [H, W], 255 for void.

    Args:
        values: Values in a mask, uint8 [H, W].
        classes: The classes.
        ids: The class id of each value, uint8 [256]; 255 for void, 254 for none.

    Raises:
        DataError: If a value is no class, without the file's name.
    """
    if _are_ids(values, classes.num_classes, ids):  # as most are: that takes a tenth of the rest
        return values
    counts = np.array(Image.fromarray(values).histogram())  # ten times as fast as NumPy's bincount
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


def _are_ids(values: np.ndarray, count: int, ids: np.ndarray) -> bool:
    """Returns whether all values are the ids of `count` classes, or void, that they stand for."""
    if ids[VOID_LABEL] != VOID_LABEL or (ids[:count] != np.arange(count)).any():
        return False
    parts = (values[top : top + 256] for top in range(0, len(values), 256))  # lest a copy of a large mask is made
    return all((part + np.uint8(1)).max(initial=0) <= count for part in parts)  # void, 255, becomes 0


def _ids_of_colors(image: Image.Image, classes: ClassTable) -> np.ndarray:
    if image.mode == "RGB":
        return classes.to_ids(np.asarray(image))
    if image.mode == "P":
        return _ids_of_palette_image(image, classes)
    what = "values above 255" if image.mode == "I" else f"pixels of mode {image.mode}"
    raise DataError("colours", f"has {what}; export 8-bit grey, palette or opaque RGB")


def _is_grey(image: Image.Image) -> bool:
    values = np.asarray(image)
    return bool((values == values[..., :1]).all())


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


@functools.lru_cache(maxsize=64)
def _ids_of_palette(packed: bytes, classes: ClassTable) -> tuple[np.ndarray, np.ndarray]:
    """Returns the class id of each of a palette's 256 indices, and whether its colour has a class."""
    palette = palette_of(packed)
    is_known = classes.known(palette)
    ids = np.zeros(256, np.uint8)
    ids[is_known] = classes.to_ids(palette[is_known])
    return ids, is_known
