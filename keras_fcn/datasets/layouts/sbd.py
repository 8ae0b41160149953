"""PASCAL VOC 2012 with the Semantic Boundaries Dataset (SBD), which labels most of VOC's other images."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np

from keras_fcn.datasets.layouts import voc
from keras_fcn.datasets.listing import files_by_stem
from keras_fcn.datasets.pairs import Pairs, reader
from keras_fcn.datasets.splits import read_list
from keras_fcn.errors import DataError, UserError
from keras_fcn.images.classes import ClassTable
from keras_fcn.images.masks import read_label
from keras_fcn.system.packages import require_packages
from keras_fcn.system.text import reason_of

TRAIN_SPLITS = ("train", "train_aug")
"""Two names for VOC's training images and all of SBD's that are not in VOC's validation split."""

_NAME = "PASCAL VOC with SBD"


def recognizes(root: Path) -> bool:
    """Returns whether the folder holds both VOC 2012 and SBD."""
    return (voc.voc_folder(root) / voc.LISTS).is_dir() and (sbd_folder(root) / "cls").is_dir()


def read_voc_aug(root: Path, split: str) -> Pairs:
    """Lists the pairs of one split; the classes are VOC's.

    The splits "train" and "train_aug" are VOC's training images, with VOC's masks, followed by those of both of SBD's
    lists that are in neither VOC's train nor VOC's val: 1,464 and 9,118 in the published data sets. SBD's
    masks have no void outlines. Every other split is VOC's own.

    Args:
        root: The folder that holds VOC2012, or VOCdevkit with it inside, and SBD as benchmark_RELEASE/dataset or
            dataset.
        split: "train" or "train_aug", or the name of a list in VOC's ImageSets/Segmentation.

    Raises:
        UserError: If a folder or a list is missing, a list is empty or repeats a name, or SciPy is not installed.
    """
    pairs = voc.read_voc(root, "train" if split in TRAIN_SPLITS else split)
    if split not in TRAIN_SPLITS:
        return dataclasses.replace(pairs, layout=_NAME)
    require_packages("SBD's masks are MATLAB files", "extra", "scipy")
    folder = sbd_folder(root)
    sbd_images, sbd_masks = files_by_stem(folder / "img"), files_by_stem(folder / "cls", (".mat",))
    images, labels, findings = pairs.images, pairs.labels, pairs.findings
    taken = {name for voc_split in ("train", "val") for name in read_list(voc.list_path(root, voc_split))}
    for source in (folder / "train.txt", folder / "val.txt"):
        names = [name for name in _read_sbd_list(source) if name not in taken]
        taken.update(names)
        more = Pairs.listed(_NAME, split, source, names, sbd_images, sbd_masks, pairs.classes, pairs.read_label)
        images, labels, findings = images + more.images, labels + more.labels, findings + more.findings
    read = reader(read_voc_or_sbd_label, pairs.classes)
    return dataclasses.replace(
        pairs, layout=_NAME, split=split, images=images, labels=labels, read_label=read, findings=findings, masks=None
    )


def sbd_folder(root: Path) -> Path:
    """Returns the folder of SBD that holds img, cls and the lists: benchmark_RELEASE/dataset or dataset."""
    unpacked = root / "benchmark_RELEASE/dataset"
    return unpacked if unpacked.is_dir() else root / "dataset"


def read_voc_or_sbd_label(path: str | Path, classes: ClassTable) -> np.ndarray:
    """Decodes a label file in SBD's format if its name ends in .mat, else in VOC's.

    Returns:
        uint8 [H, W], class ids and 255 for void.

    Raises:
        DataError: If the file cannot be decoded, or holds a colour or an id that is no class.
    """
    path = Path(path)
    return read_sbd_label(path, classes) if path.suffix.lower() == ".mat" else read_label(path, classes)


def read_sbd_label(path: Path, classes: ClassTable) -> np.ndarray:
    """Decodes a label file of SBD, the array GTcls.Segmentation of a MATLAB file.

    Returns:
        uint8 [H, W], class ids and 255 for void.

    Raises:
        DataError: If the file cannot be decoded, or holds an id that is no class.
        UserError: If SciPy is not installed.
    """
    require_packages("SBD's masks are MATLAB files", "extra", "scipy")
    from scipy.io import loadmat

    fix = "replace the file or remove it from the data set"
    try:
        with path.open("rb") as file:
            ids = loadmat(file, variable_names=["GTcls"])["GTcls"][0]["Segmentation"][0]
    except FileNotFoundError:
        raise DataError("missing file", f"{path}: no such file") from None
    except Exception as error:  # SciPy raises errors of any type for damaged files
        raise DataError("undecodable file", f"{path}: cannot be decoded ({reason_of(error)}); {fix}") from None
    if not isinstance(ids, np.ndarray) or ids.dtype != np.uint8 or ids.ndim != 2:
        given = f"{ids.dtype} {list(ids.shape)}" if isinstance(ids, np.ndarray) else type(ids).__name__
        message = f"{path}: cannot be decoded (GTcls.Segmentation is {given}, not uint8 [height, width]); {fix}"
        raise DataError("undecodable file", message)
    try:
        classes.require_known(ids)
    except DataError as error:
        raise DataError(error.kind, f"{path}: {error}") from None
    return np.ascontiguousarray(ids)


def _read_sbd_list(path: Path) -> list[str]:
    if not path.is_file():
        raise UserError(f"{path}: no such list; it is part of SBD, so unpack benchmark.tgz again")
    return read_list(path)
