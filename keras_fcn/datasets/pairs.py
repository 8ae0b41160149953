"""Images paired with their label files, the common form of all data sets."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import os
import unicodedata
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from keras_fcn.errors import DataError, UserError
from keras_fcn.images.classes import ClassTable
from keras_fcn.images.photos import IMAGE_SUFFIXES
from keras_fcn.system.files import read_lines

LabelReader = Callable[[Path], np.ndarray]
"""Decodes a label file to class ids uint8 [H, W], 255 for void; raises DataError."""

VAL_FRACTION = 0.2
"""Fraction of the images used for validation if a data set has no split lists."""


@dataclasses.dataclass(frozen=True)
class Pairs:
    """One split of a data set.

    Attributes:
        layout: The name of the data set's layout, human-readable, such as "PASCAL VOC".
        split: The name of the split, such as "train".
        images: Paths of the images.
        labels: Paths of their label files, in the same order.
        classes: The classes of the labels.
        read_label: Decodes a label file of this data set.
        findings: Faults of the listing: missing and unpaired files.
        palette_means_colors: Whether the colours of a palette PNG, not its indices, determine the classes.
    """

    layout: str
    split: str
    images: tuple[Path, ...]
    labels: tuple[Path, ...]
    classes: ClassTable
    read_label: LabelReader
    findings: tuple[DataError, ...] = ()
    palette_means_colors: bool = False

    @classmethod
    def found(
        cls,
        layout: str,
        split: str,
        source: Path,
        images: dict[str, Path],
        labels: dict[str, Path],
        classes: ClassTable,
        read_label: LabelReader,
        divide: bool,
    ) -> Pairs:
        """Pairs the images and label files of the same name.

        Args:
            layout: The name of the data set's layout, human-readable.
            split: The name of the split.
            source: The folder of both, for error messages.
            images: Images by name.
            labels: Label files by name.
            classes: The classes of the labels.
            read_label: Decodes a label file.
            divide: Whether they are the whole data set, which `split_of` divides.

        Raises:
            UserError: If no image has a mask, or there are too few to divide.
        """
        names, findings = pair_found(images, labels)
        if not names:
            raise UserError(
                f"{source}: none of its {len(images)} images and {len(labels)} masks have the same name; "
                "name each mask like its image"
            )
        names = split_of(names, split, source) if divide else names
        paths, masks = tuple(images[name] for name in names), tuple(labels[name] for name in names)
        return cls(layout, split, paths, masks, classes, read_label, findings)

    def __len__(self) -> int:
        return len(self.images)

    @property
    def names(self) -> list[str]:
        """The images' names without suffix; with folder only if two folders hold the same name."""
        stems = [path.stem for path in self.images]
        paths = sorted(set(self.images))
        if len(set(stems)) == len(paths):
            return stems
        common = Path(os.path.commonpath(paths))
        return [path.relative_to(common).with_suffix("").as_posix() for path in self.images]

    def repeated(self, times: np.ndarray) -> Pairs:
        """Returns the pairs, each repeated `times`, int [N]."""
        indices = np.repeat(np.arange(len(self)), times).tolist()
        images, labels = (tuple(paths[index] for index in indices) for paths in (self.images, self.labels))
        return dataclasses.replace(self, images=images, labels=labels)

    def shard(self, index: int, count: int) -> Pairs:
        """Returns shard `index` of `count`: every `count`-th pair, from pair `index` on."""
        return dataclasses.replace(self, images=self.images[index::count], labels=self.labels[index::count])


def reader(read: Callable[..., np.ndarray], *arguments: object) -> LabelReader:
    """Returns a `LabelReader` from a function of `images.masks` and its arguments after the path."""
    return functools.partial(_read, read=read, arguments=arguments)


def _read(path: Path, read: Callable[..., np.ndarray], arguments: tuple) -> np.ndarray:
    return read(path, *arguments)


def files_by_stem(folder: Path, suffixes: Sequence[str] = IMAGE_SUFFIXES, nested: bool = False) -> dict[str, Path]:
    """Lists a folder's files with one of `suffixes` by their names without suffix, in order; skips hidden files.

    Args:
        folder: The folder to list.
        suffixes: Suffixes in lower case; those of files may be in upper case.
        nested: Whether to include the folders in it; names are then such as "kitchen/table".

    Raises:
        UserError: If the folder is missing, or two files differ only in the suffix.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; this layout needs it")
    found: dict[str, Path] = {}
    for path in sorted(folder.rglob("*") if nested else folder.iterdir()):
        inner = path.relative_to(folder)
        if path.suffix.lower() in suffixes and not is_hidden(inner) and path.is_file():
            name = normal_name(inner.with_name(path.stem).as_posix())
            if name in found:
                raise UserError(f"{path} and {found[name].name} have the same name; rename or remove one")
            found[name] = path
    return found


def masks_by_stem(folder: Path, nested: bool = False) -> dict[str, Path]:
    """Lists a folder's PNG masks by their names without suffix, in order.

    Raises:
        UserError: If the folder is missing, or holds no PNG.
    """
    masks = files_by_stem(folder, (".png",), nested)
    if not masks:
        others = files_by_stem(folder, nested=nested)
        reason = ", but JPEGs, whose colours are not exact" if others else ""
        raise UserError(f"{folder}: holds no PNG masks{reason}; export the masks as PNGs")
    return masks


def is_hidden(path: Path) -> bool:
    """Returns whether a relative path is a file of the operating system, such as `.DS_Store` or `__MACOSX/a`."""
    return any(part.startswith(".") or part == "__MACOSX" for part in path.parts)


def normal_name(name: str) -> str:
    """Returns a name in Unicode's NFC form for comparison, since macOS stores accents as separate characters."""
    return unicodedata.normalize("NFC", name)


def pair_listed(
    names: Sequence[str], images: dict[str, Path], labels: dict[str, Path], source: Path
) -> tuple[tuple[Path, ...], tuple[Path, ...], tuple[DataError, ...]]:
    """Pairs the names of a list with their files.

    Args:
        names: The names in the list.
        images: Images by name.
        labels: Label files by name.
        source: The list.

    Returns:
        Images, label files, and a fatal finding for each name that lacks one of them.
    """
    findings = [
        DataError(kind, f"{source}: the {what} of {name!r} is missing; add it, or remove the name from the list")
        for name in names
        for files, what, kind in ((images, "image", "missing photo"), (labels, "mask", "missing mask"))
        if name not in files
    ]
    paired = [name for name in names if name in images and name in labels]
    return tuple(images[name] for name in paired), tuple(labels[name] for name in paired), tuple(findings)


def pair_found(images: dict[str, Path], labels: dict[str, Path]) -> tuple[list[str], tuple[DataError, ...]]:
    """Returns the names that have both files, in order, and a finding, not fatal, for each unpaired file."""
    orphans = [(path, "photo alone", "mask") for name, path in images.items() if name not in labels]
    orphans += [(path, "mask alone", "image") for name, path in labels.items() if name not in images]
    findings = [
        DataError(kind, f"{path}: has no {other}; it is ignored until you add one", is_fatal=False)
        for path, kind, other in orphans
    ]
    return [name for name in images if name in labels], tuple(findings)


def split_of(names: Sequence[str], split: str, source: Path) -> list[str]:
    """Returns the names of "train", "val" or "all" for a data set without split lists.

    The fifth of the names with the smallest hashes, at least one, is for validation. So the split is the same on every
    machine, and a new image moves hardly any other image to the other side.

    Raises:
        UserError: If there is no such split, or there are fewer than two images.
    """
    if split == "all":
        return list(names)
    if split not in ("train", "val"):
        raise UserError(f"{source}: has no split {split!r}; without split lists, there are train, val and all")
    if len(names) < 2:
        raise UserError(f"{source}: holds {len(names)} pairs of image and mask; training needs at least two")
    by_hash = sorted(names, key=lambda name: hashlib.sha256(name.encode()).digest())
    validation = set(by_hash[: max(1, round(VAL_FRACTION * len(names)))])
    return [name for name in names if (name in validation) == (split == "val")]


def read_list(path: Path) -> list[str]:
    """Reads a split list: one name per line; names may contain spaces.

    Raises:
        UserError: If the list is empty, repeats a name, or is not UTF-8 text.
    """
    names = [normal_name(line) for line in read_lines(path) if line]
    if not names:
        raise UserError(f"{path}: lists no images; write one name per line, without folder and suffix")
    twice = next((name for name, following in zip(sorted(names), sorted(names)[1:]) if name == following), None)
    if twice is not None:
        raise UserError(f"{path}: lists {twice!r} more than once; remove the repetition")
    return names
