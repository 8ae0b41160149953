"""PASCAL VOC 2012 with the Semantic Boundaries Dataset (SBD), which labels most of VOC's other images."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from keras_fcn.datasets.labels.reading import LabelReader, Masks
from keras_fcn.datasets.layouts import voc
from keras_fcn.datasets.listing import files_by_stem
from keras_fcn.datasets.pairs import Pairs
from keras_fcn.datasets.splits import read_list
from keras_fcn.errors import DataError, UserError
from keras_fcn.images.classes import ClassTable
from keras_fcn.images.masks import ids_of_values
from keras_fcn.system.packages import require_packages
from keras_fcn.system.text import reason_of

TRAIN_SPLITS = ("train", "train_aug")
"""Two names for VOC's training images and all of SBD's that are not in VOC's validation split."""

_NAME = "PASCAL VOC with SBD"


def recognizes(root: Path) -> bool:
    """Returns whether the folder holds both VOC 2012 and SBD."""
    return (voc.voc_folder(root) / voc.LISTS).is_dir() and (sbd_folder(root) / "cls").is_dir()


def read_voc_aug(root: Path, split: str) -> Pairs:
    """Lists the pairs of one split; the classes are VOC's, unless a file of classes lies beside.

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
    assert pairs.masks is not None
    masks = _MasksOfBoth(pairs.masks.legend, pairs.masks.files, pairs.masks.by_color)
    return dataclasses.replace(
        pairs, layout=_NAME, split=split, images=images, labels=labels, findings=findings, masks=masks,
        read_label=masks.reader(),
    )  # fmt: skip


def sbd_folder(root: Path) -> Path:
    """Returns the folder of SBD that holds img, cls and the lists: benchmark_RELEASE/dataset or dataset."""
    unpacked = root / "benchmark_RELEASE/dataset"
    return unpacked if unpacked.is_dir() else root / "dataset"


@dataclasses.dataclass(frozen=True)
class _MasksOfBoth(Masks):
    """VOC's masks, which tell how they are read, and SBD's, which hold ids."""

    def reader(self, reading: str = "") -> LabelReader:
        """Returns the reader of a mask of either; see `Masks.reader`."""
        of_sbd = functools.partial(read_sbd_label, classes=self.legend.classes, ids=self.legend.ids)
        return functools.partial(_read_by_suffix, of_voc=super().reader(reading), of_sbd=of_sbd)


def _read_by_suffix(path: Path, of_voc: LabelReader, of_sbd: LabelReader) -> np.ndarray:
    return (of_sbd if path.suffix.lower() == ".mat" else of_voc)(path)


def read_sbd_label(path: Path, classes: ClassTable, ids: Sequence[int] = range(256)) -> np.ndarray:
    """Decodes a label file of SBD, the array GTcls.Segmentation of a MATLAB file.

    Args:
        path: The file.
        classes: The classes.
        ids: The class id of each value 0 to 255; 255 for void, 254 for none.

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
            values = loadmat(file, variable_names=["GTcls"])["GTcls"][0]["Segmentation"][0]
    except FileNotFoundError:
        raise DataError("missing file", f"{path}: no such file") from None
    except Exception as error:  # SciPy raises errors of any type for damaged files
        raise DataError("undecodable file", f"{path}: cannot be decoded ({reason_of(error)}); {fix}") from None
    if not isinstance(values, np.ndarray) or values.dtype != np.uint8 or values.ndim != 2:
        given = f"{values.dtype} {list(values.shape)}" if isinstance(values, np.ndarray) else type(values).__name__
        message = f"{path}: cannot be decoded (GTcls.Segmentation is {given}, not uint8 [height, width]); {fix}"
        raise DataError("undecodable file", message)
    try:
        return ids_of_values(np.ascontiguousarray(values), classes, np.array(ids, np.uint8))
    except DataError as error:
        raise DataError(error.kind, f"{path}: {error}; SBD's masks hold VOC's ids") from None


def _read_sbd_list(path: Path) -> list[str]:
    if not path.is_file():
        raise UserError(f"{path}: no such list; it is part of SBD, so unpack benchmark.tgz again")
    return read_list(path)
