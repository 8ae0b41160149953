"""Photographs paired with their label files: what every data set is turned into."""

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

VAL_SHARE = 0.2
"""Share of the images held out where a data set comes without split lists."""


@dataclasses.dataclass(frozen=True)
class Pairs:
    """One split of a data set.

    Attributes:
        layout: How the data set is arranged, for people, such as "PASCAL VOC".
        split: The name of the split, such as "train".
        images: Paths of the photographs.
        labels: Paths of their label files, in the same order.
        classes: What the labels mean.
        read_label: Decodes a label file of this data set.
        findings: What is wrong with the listing: files that are missing or belong to nothing.
        palette_means_colors: Whether the classes of a palette PNG are those of its colours, not of its indices.
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
        where: Path,
        images: dict[str, Path],
        labels: dict[str, Path],
        classes: ClassTable,
        read_label: LabelReader,
        divide: bool,
    ) -> Pairs:
        """Pairs the photographs and label files that share a name.

        Args:
            layout: How the data set is arranged, for people.
            split: The name of the split.
            where: The folder that holds both, for complaints.
            images: Photographs by name.
            labels: Label files by name.
            classes: What the labels mean.
            read_label: Decodes a label file.
            divide: Whether they are the whole data set, so that `split_of` says which belong to `split`.

        Raises:
            UserError: If no photograph has a mask, or there are too few to divide.
        """
        names, findings = pair_found(images, labels)
        if not names:
            raise UserError(
                f"{where}: none of its {len(images)} photos and {len(labels)} masks share a name; "
                "name each mask as its photo"
            )
        names = split_of(names, split, where) if divide else names
        photos, masks = tuple(images[name] for name in names), tuple(labels[name] for name in names)
        return cls(layout, split, photos, masks, classes, read_label, findings)

    def __len__(self) -> int:
        return len(self.images)

    @property
    def names(self) -> list[str]:
        """The photographs' names without suffix, and without folder unless two in different folders share a name."""
        stems = [path.stem for path in self.images]
        paths = sorted(set(self.images))
        if len(set(stems)) == len(paths):
            return stems
        common = Path(os.path.commonpath(paths))
        return [path.relative_to(common).with_suffix("").as_posix() for path in self.images]

    def repeated(self, times: np.ndarray) -> Pairs:
        """Returns the pairs with each as many times as `times`, int [N], says."""
        indices = np.repeat(np.arange(len(self)), times).tolist()
        images, labels = (tuple(paths[index] for index in indices) for paths in (self.images, self.labels))
        return dataclasses.replace(self, images=images, labels=labels)

    def share(self, number: int, count: int) -> Pairs:
        """Returns the part, number `number` of `count`, that remains when all parts get one pair in turn."""
        return dataclasses.replace(self, images=self.images[number::count], labels=self.labels[number::count])


def reader(read: Callable[..., np.ndarray], *arguments: object) -> LabelReader:
    """Returns a `LabelReader` from a function of `images.masks` and its arguments after the path."""
    return functools.partial(_read, read=read, arguments=arguments)


def _read(path: Path, read: Callable[..., np.ndarray], arguments: tuple) -> np.ndarray:
    return read(path, *arguments)


def files_by_stem(folder: Path, suffixes: Sequence[str] = IMAGE_SUFFIXES, nested: bool = False) -> dict[str, Path]:
    """Lists a folder's files with one of `suffixes` by their names without suffix, in order; hidden files are none.

    Args:
        folder: Where to look.
        suffixes: In lower case; files may have them in upper case, too.
        nested: Whether to look into the folders in it, too; names are then such as "kitchen/table".

    Raises:
        UserError: If the folder is missing, or two files have the same name but for the suffix.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; a data set in this layout has one")
    found: dict[str, Path] = {}
    for path in sorted(folder.rglob("*") if nested else folder.iterdir()):
        inner = path.relative_to(folder)
        if path.suffix.lower() in suffixes and not is_hidden(inner) and path.is_file():
            name = normal_name(inner.with_name(path.stem).as_posix())
            if name in found:
                raise UserError(f"{path} and {found[name].name}: which of them is meant? Rename or remove one")
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
    """Returns whether a relative path leads to a file that the system keeps, such as `.DS_Store` or `__MACOSX/a`."""
    return any(part.startswith(".") or part == "__MACOSX" for part in path.parts)


def normal_name(name: str) -> str:
    """Returns a name in the one spelling in which names are compared: macOS stores an accent as its own character."""
    return unicodedata.normalize("NFC", name)


def pair_listed(
    names: Sequence[str], images: dict[str, Path], labels: dict[str, Path], source: Path
) -> tuple[tuple[Path, ...], tuple[Path, ...], tuple[DataError, ...]]:
    """Pairs the names of a list with their files.

    Args:
        names: What the list holds.
        images: Photographs by name.
        labels: Label files by name.
        source: The list.

    Returns:
        Photographs, label files, and a fatal finding for each name that lacks one of them.
    """
    findings = [
        DataError(f"missing {what}", f"{source}: the {what} of {name!r} is missing; add it, or take the name out")
        for name in names
        for files, what in ((images, "photo"), (labels, "mask"))
        if name not in files
    ]
    paired = [name for name in names if name in images and name in labels]
    return tuple(images[name] for name in paired), tuple(labels[name] for name in paired), tuple(findings)


def pair_found(images: dict[str, Path], labels: dict[str, Path]) -> tuple[list[str], tuple[DataError, ...]]:
    """Returns the names that have both files, in order, and a finding, not fatal, for each of the other files."""
    orphans = [(path, "photo", "mask") for name, path in images.items() if name not in labels]
    orphans += [(path, "mask", "photo") for name, path in labels.items() if name not in images]
    findings = [
        DataError(f"{what} alone", f"{path}: has no {other}; it is left out until there is one", is_fatal=False)
        for path, what, other in orphans
    ]
    return [name for name in images if name in labels], tuple(findings)


def split_of(names: Sequence[str], split: str, where: Path) -> list[str]:
    """Returns one side of the split that is made where a data set brings none: "train", "val" or "all".

    A fifth of the names are held out, at least one: those whose hashes are smallest. So the split is the same
    everywhere, and an image added later moves hardly any other from side to side.

    Raises:
        UserError: If there is no such side, or there are not two images to divide.
    """
    if split == "all":
        return list(names)
    if split not in ("train", "val"):
        raise UserError(f"{where}: has no split {split!r}; it comes without lists, so there are train, val and all")
    if len(names) < 2:
        raise UserError(f"{where}: holds {len(names)} pairs of photo and mask; training takes two at least")
    by_hash = sorted(names, key=lambda name: hashlib.sha256(name.encode()).digest())
    held_out = set(by_hash[: max(1, round(VAL_SHARE * len(names)))])
    return [name for name in names if (name in held_out) == (split == "val")]


def read_list(path: Path) -> list[str]:
    """Reads a split list: one name a line, which may hold blanks.

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
