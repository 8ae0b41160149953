"""Archives of predictions for PASCAL VOC's test server."""

from __future__ import annotations

import gzip
import io
import tarfile
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from keras_fcn.errors import Remark, UserError, about
from keras_fcn.evaluation.evaluate import require_same_classes
from keras_fcn.images.classes import ClassTable
from keras_fcn.images.masks import encode_label
from keras_fcn.images.photos import read_remarked
from keras_fcn.inference.predictor import Predictor
from keras_fcn.system.files import replaced_file
from keras_fcn.system.progress import progress_bar

COMPETITIONS = ("comp5", "comp6")
"""Segmentation by a model trained on VOC's own data only, and on any data (VOC2012 devkit, section 3.2)."""


def write_submission(
    archive: Path, predictor: Predictor, images: Mapping[str, Path], competition: str, split: str
) -> list[Remark]:
    """Predicts images into a .tgz of palette PNGs, atomically, after it was read back and checked.

    Masks are written one at a time, each at its image's size. The same predictions make the same bytes.

    Args:
        archive: The file to write.
        predictor: The model.
        images: Image files by their ids.
        competition: One of `COMPETITIONS`.
        split: The image set that they belong to; the server's is "test".

    Returns:
        Remarks about images that should be looked at.

    Raises:
        UserError: If the model does not have VOC's classes, an image cannot be decoded, or the archive cannot be
            written or does not hold exactly these masks.
    """
    require_same_classes(predictor.classes, ClassTable.voc())
    folder = f"results/VOC2012/Segmentation/{competition}_{split}_cls"
    sizes, remarks = {}, []
    with replaced_file(archive) as temporary:
        # A time and a name in gzip's header would make the bytes differ between calls.
        with (
            temporary.open("wb") as raw,
            gzip.GzipFile("", "wb", fileobj=raw, mtime=0) as zipped,
            tarfile.open(fileobj=zipped, mode="w") as file,
            progress_bar(len(images), "image", archive.name) as bar,
        ):
            for name, path in images.items():
                image, remark = read_remarked(path, channels=predictor.channels)
                remarks += [remark] if remark else []
                ids = predictor(image)
                sizes[f"{folder}/{name}.png"] = ids.shape
                _add(file, f"{folder}/{name}.png", encode_label(ids, predictor.classes))
                bar.update()
        with about(archive, "; nothing was written"):
            require_submission(temporary, sizes, predictor.classes.num_classes)
    return remarks


def _add(file: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    file.addfile(entry, io.BytesIO(content))


def require_submission(archive: Path, sizes: Mapping[str, tuple[int, ...]], num_classes: int) -> None:
    """Reads an archive and raises UserError unless it holds exactly the expected masks.

    Args:
        archive: The file.
        sizes: Height and width of every mask by its path in the archive.
        num_classes: Number of classes; ids must be less.
    """
    missing = dict(sizes)
    try:
        with tarfile.open(archive, "r:gz") as file:
            for entry in file:
                content = file.extractfile(entry)
                size = missing.pop(entry.name, None)
                if size is None or content is None:
                    raise UserError(f"holds {entry.name}, which is unexpected or a duplicate")
                _require_mask(entry.name, content.read(), size, num_classes)
    except (OSError, EOFError, zlib.error, tarfile.TarError, SyntaxError, ValueError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"cannot be read back ({error})") from None
    if missing:
        raise UserError(f"lacks {next(iter(missing))} and {len(missing) - 1} more")


def _require_mask(name: str, png: bytes, size: tuple[int, ...], num_classes: int) -> None:
    with Image.open(io.BytesIO(png)) as image:
        ids = np.asarray(image)
        if image.mode != "P" or ids.shape != size:
            raise UserError(f"{name} is of mode {image.mode} and shape {ids.shape}, not a palette image {size}")
    if ids.max(initial=0) >= num_classes:
        raise UserError(f"{name} holds the id {ids.max()}, but there are {num_classes} classes")
