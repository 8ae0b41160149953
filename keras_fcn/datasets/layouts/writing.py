"""Writing data sets as folders like VOC's, with a labelmap.txt, as CVAT's "Segmentation mask 1.1" has them."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from keras_fcn.datasets.labels.labelmap import LABELMAP, read_labelmap
from keras_fcn.datasets.layouts.listed import IMAGES, MASKS
from keras_fcn.datasets.layouts.voc import LISTS
from keras_fcn.errors import UserError, about
from keras_fcn.images.classes import ClassTable
from keras_fcn.images.label_files.opening import INEXACT
from keras_fcn.images.masks import write_label
from keras_fcn.images.photos import as_image, displayed_size
from keras_fcn.images.pillow import named_in_errors
from keras_fcn.system.files import new_folder, written


def write_pairs(
    folder: str | Path, splits: Mapping[str, Iterable[tuple[Any, Any]]], classes: Sequence[str] | ClassTable
) -> Path:
    """Writes images and labels, wherever they come from, as a data set that `train` and all commands read.

    Args:
        folder: The folder to write; it must not exist yet, or be empty.
        splits: By the name of each split, such as "train" and "val", pairs of an image and its label, one by one. An
            image is a path, the bytes of a file, an image of Pillow's, or an array uint8 [H, W, 3] or grey; JPEGs are
            kept as they are, others become PNGs. A label is a path or the bytes of a PNG of ids, an image of Pillow's,
            or an array of integers [H, W] or [H, W, 1]: class ids, and 255 for void.
        classes: The names of the classes, in the order of their ids.

    Returns:
        The folder.

    Raises:
        UserError: If the folder is not empty, a split is, an image or a label cannot be read, or they do not fit.
    """
    root, table = Path(folder), classes if isinstance(classes, ClassTable) else ClassTable.named(classes)
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        raise UserError(f"{root}: already exists; choose another folder, or remove it")
    with written(root), new_folder(root) as made:
        write_classes(made / LABELMAP, table)
        (made / LISTS).mkdir(parents=True)
        (made / IMAGES).mkdir()
        for split, pairs in splits.items():
            names = [_write_pair(made, f"{split}_{number:06}", pair, table) for number, pair in enumerate(pairs)]
            if not names:
                raise UserError(f"{root}: the split {split!r} has no pairs; leave it out, or give it some")
            (made / LISTS / f"{split}.txt").write_text("".join(f"{name}\n" for name in names), encoding="utf-8")
    return root


def _write_pair(root: Path, name: str, pair: Any, classes: ClassTable) -> str:
    """Writes a pair; returns its name."""
    with about(name):
        if not isinstance(pair, (tuple, list)) or len(pair) != 2:
            raise UserError(f"pairs are an image and its label. Received: {type(pair).__name__}")
        image, label = pair
        size = _write_image(root / IMAGES / name, image)
        ids = _ids_of(label)
        classes.require_known(ids)
        if ids.shape != size:
            shapes = " and ".join("x".join(map(str, each)) for each in (ids.shape, size))
            raise UserError(f"label and image are of {shapes} pixels (height x width)")
    write_label(root / MASKS / f"{name}.png", ids.astype(np.uint8), classes)
    return name


def _write_image(path: Path, image: Any) -> tuple[int, int]:
    """Writes an image, JPEGs as they are; returns height and width as it is displayed."""
    content = Path(image).read_bytes() if isinstance(image, (str, Path)) and Path(image).is_file() else image
    if isinstance(content, bytes) and content.startswith(b"\xff\xd8"):
        file = path.with_name(f"{path.name}.jpg")
        file.write_bytes(content)
        try:
            return displayed_size(file)
        except UserError as error:
            raise UserError(str(error).replace(str(file), "the image")) from None
    pixels = as_image(_opened(content, "image") if isinstance(content, bytes) else content)
    Image.fromarray(pixels).save(path.with_name(f"{path.name}.png"), compress_level=1)
    return pixels.shape[0], pixels.shape[1]


def _ids_of(label: Any) -> np.ndarray:
    """Returns the class ids of a label, integers [H, W]."""
    if isinstance(label, (str, Path)):
        if not Path(label).is_file():
            raise UserError(f"{label}: no such file")
        label = Path(label).read_bytes()
    label = _opened(label, "label") if isinstance(label, bytes) else label
    form = INEXACT.get(str(getattr(label, "format", "")))
    if form:
        raise UserError(f"the label is {form}, whose values are not exact; give it as a PNG")
    with named_in_errors("the label"):
        ids = np.asarray(label)
    ids = ids[..., 0] if ids.ndim == 3 and ids.shape[-1] == 1 else ids
    if ids.ndim != 2 or ids.dtype.kind not in "biu" or (ids.size and (ids.min() < 0 or ids.max() > 255)):
        shape = f"{ids.dtype} {list(ids.shape)}"
        raise UserError(f"labels are arrays of class ids, integers [H, W] of 0 to 255. Received: {shape}")
    return ids.astype(np.uint8)


def _opened(content: bytes, what: str) -> Image.Image:
    try:
        return Image.open(io.BytesIO(content))
    except OSError:
        raise UserError(f"the {what} is not a picture; it begins with {content[:8]!r}") from None


def write_classes(path: Path, classes: ClassTable) -> None:
    """Writes labelmap.txt, and reads it back.

    Raises:
        UserError: If it cannot hold a class name.
    """
    rows = [*zip(classes.names, classes.colors), ("void", classes.void_color)]
    lines = [f"{name}:{','.join(map(str, color))}::" for name, color in rows]
    path.write_text("\n".join(["# label:color_rgb:parts:actions", *lines, ""]), encoding="utf-8")
    wrong = next((name for name in classes.names if any(letter in name for letter in ":\n\r")), None)
    read = None if wrong else read_labelmap(path).classes
    if read is None or set(zip(read.names, read.colors)) != set(zip(classes.names, classes.colors)):
        wrong = wrong or next(name for name in classes.names if read is None or name not in read.names)
        raise UserError(f"{LABELMAP} cannot hold the class name {wrong!r}; rename it in the data set")
