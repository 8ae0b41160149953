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
from keras_fcn.images.classes import ClassTable, Color
from keras_fcn.images.pillow import decoded
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
    with _opened_label(Path(path)) as image:
        if image.mode == "P":
            return _ids_of_palette_image(image, classes, grey_is_id=True)
        if image.mode in ("L", "1", "I;16", "I"):
            return _ids_of_values(_values(image, Path(path)), classes, np.arange(256, dtype=np.uint8))
        return _ids_of_colors(image, classes)


def read_color_label(path: str | Path, classes: ClassTable) -> np.ndarray:
    """Decodes a label file by its colours, with black, white and grey as colours like any other.

    Returns:
        uint8 [H, W], class ids and 255 for void.

    Raises:
        DataError: If the file cannot be decoded, or holds a colour that is no class.
    """
    with _opened_label(Path(path)) as image:
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
    with _opened_label(Path(path)) as image:
        return _ids_of_values(_values(image, Path(path)), classes, np.array(ids, np.uint8))


def label_values(path: str | Path) -> np.ndarray:
    """Returns the grey values or palette indices of a label file, uint8 [H, W], without mapping them to classes.

    Raises:
        DataError: If the file cannot be decoded or is in colour.
    """
    with _opened_label(Path(path)) as image:
        return _values(image, Path(path))


def label_colors(path: str | Path) -> dict[Color, int]:
    """Returns the colours in a label file with their pixel counts, without mapping them to classes.

    Raises:
        DataError: If the file cannot be decoded.
    """
    with _opened_label(Path(path)) as image:
        pixels = np.asarray(image.convert("RGB")).reshape(-1, 3)
    colors, counts = np.unique(pixels, axis=0, return_counts=True)
    return {(r, g, b): int(count) for (r, g, b), count in zip(colors.tolist(), counts)}


def palette_in_use(path: str | Path) -> dict[int, Color] | None:
    """Returns the palette indices that occur in a label file with their colours; None without palette or if it is grey.

    Raises:
        DataError: If the file cannot be decoded.
    """
    with _opened_label(Path(path)) as image:
        if image.mode != "P":
            return None
        used = np.flatnonzero(image.histogram())
        colors = _palette(_packed_palette(image))[used]
    if (colors == used[:, None]).all():
        return None
    return {index: (r, g, b) for index, (r, g, b) in zip(used.tolist(), colors.tolist())}


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
def _opened_label(path: Path) -> Iterator[Image.Image]:
    """Opens a label file upright and without an opaque alpha channel, and adds its path to errors in the block."""
    image = decoded(path)
    try:
        is_opaque = image.mode in ("LA", "RGBA") and image.getchannel("A").getextrema() == (255, 255)
        yield image.convert(image.mode[:-1]) if is_opaque else image
    except UserError as error:
        kind = error.kind if isinstance(error, DataError) else "label"
        raise DataError(kind, f"{path}: {error}") from None


def _values(image: Image.Image, path: Path) -> np.ndarray:
    """Returns grey values (0 and 1 for 1-bit images) or palette indices, uint8 [H, W]."""
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


def _ids_of_values(values: np.ndarray, classes: ClassTable, ids: np.ndarray) -> np.ndarray:
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
    packed, indices = _packed_palette(image), np.asarray(image)
    ids, is_known = _ids_of_palette(packed, classes)
    if not is_known[used].all():
        palette = _palette(packed)
        if grey_is_id and (palette[used] == used[:, None]).all():
            return _ids_of_values(indices, classes, np.arange(256, dtype=np.uint8))
        classes.to_ids(palette[indices])  # raises DataError with the colour and its pixel count
    return indices if (ids[used] == used).all() else ids[indices]


def _packed_palette(image: Image.Image) -> bytes:
    return bytes(image.getpalette("RGB") or ())


@functools.lru_cache(maxsize=64)
def _ids_of_palette(packed: bytes, classes: ClassTable) -> tuple[np.ndarray, np.ndarray]:
    """Returns the class id of each of a palette's 256 indices, and whether its colour has a class."""
    palette = _palette(packed)
    is_known = classes.known(palette)
    ids = np.zeros(256, np.uint8)
    ids[is_known] = classes.to_ids(palette[is_known])
    return ids, is_known


def _palette(packed: bytes) -> np.ndarray:
    """Returns the colours of all 256 indices, uint8 [256, 3]; those missing in the file are black."""
    palette = np.zeros((256, 3), np.uint8)
    stored = np.frombuffer(packed, np.uint8).reshape(-1, 3)
    palette[: len(stored)] = stored
    return palette
