"""Pairing the files of two patterns."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Sequence
from pathlib import Path

from keras_fcn.datasets.layouts.patterns.pattern import File, Pattern
from keras_fcn.datasets.listing import inside, is_picture
from keras_fcn.errors import UserError, argument
from keras_fcn.images.bands.files import ARRAY_SUFFIX
from keras_fcn.images.label_files.opening import MASK_SUFFIXES
from keras_fcn.images.photos import IMAGE_SUFFIXES
from keras_fcn.system.files import walk_files
from keras_fcn.system.text import by_suffix


@dataclasses.dataclass(frozen=True)
class Patterns:
    """The patterns of a data set's images and masks."""

    images: Pattern
    masks: Pattern

    @classmethod
    def given(cls, images: str | None, masks: str | None, layout: str = "auto") -> Patterns | None:
        """Returns the patterns, None without any.

        Raises:
            UserError: If one is missing, or a pattern cannot be read, or a layout is given, too.
        """
        if not images and not masks:
            return None
        if not images or not masks:
            given, missing = ("images", "masks") if images else ("masks", "images")
            raise UserError(f"{argument(given)} says where {given} are; give {argument(missing)}, too")
        if layout != "auto":
            raise UserError(f"{argument('images')} and {argument('layout', layout)} exclude each other; leave one out")
        return cls(Pattern("images", images), Pattern("masks", masks))

    def __str__(self) -> str:
        return f"--images {shlex.quote(self.images.text)} --masks {shlex.quote(self.masks.text)}"

    def matched(self, root: Path, paths: Sequence[Path] | None = None) -> Matched:
        """Returns the files of both patterns, paired.

        Args:
            root: The folder of the data set.
            paths: The files in it, if they are known.

        Raises:
            UserError: If a pattern matches no file, or files that cannot be read, or a name is there twice.
        """
        folders = {root / pattern.folder for pattern in (self.images, self.masks)}
        listed = {folder: _files_in(folder, paths) for folder in folders}
        images, masks = (pattern.files(root, listed[root / pattern.folder]) for pattern in (self.images, self.masks))
        images, masks = self._parted(images, masks)
        for pattern, files, suffixes in ((self.images, images, IMAGE_SUFFIXES), (self.masks, masks, MASK_SUFFIXES)):
            _require(pattern, files, suffixes, root, listed[root / pattern.folder])
        others = len(images[0].others) == len(masks[0].others) > 0
        matched = self._paired(images, masks, others)
        matched = self._paired(images, masks, False) if others and not matched.pairs else matched
        known = {file.path for file in (*images, *masks)}
        unmatched = {path for paths in listed.values() for path in paths if path not in known and is_picture(path.name)}
        return dataclasses.replace(matched, unmatched=tuple(sorted(unmatched)))

    def _parted(self, images: list[File], masks: list[File]) -> tuple[list[File], list[File]]:
        """Returns images and masks, files of both being those of the pattern that says more."""
        both = {file.path for file in images} & {file.path for file in masks}
        if both and self.images.literals == self.masks.literals:
            what = f"{argument('images', self.images.text)} and {argument('masks', self.masks.text)}"
            raise UserError(f"{what} both match {min(both)}, one of {len(both)}; say what tells masks from images")
        if self.images.literals < self.masks.literals:
            return [file for file in images if file.path not in both], masks
        return images, [file for file in masks if file.path not in both]

    def _paired(self, images: list[File], masks: list[File], others: bool) -> Matched:
        splits = self.images.has_split and self.masks.has_split
        by_key = [
            _by_key(self, of, files, splits, others) for of, files in ((self.images, images), (self.masks, masks))
        ]
        pairs = [(image, by_key[1][key]) for key, image in by_key[0].items() if key in by_key[1]]
        alone = [file for key, file in by_key[0].items() if key not in by_key[1]]
        return Matched(pairs, alone, [file for key, file in by_key[1].items() if key not in by_key[0]], others)


@dataclasses.dataclass(frozen=True)
class Matched:
    """The files of two patterns.

    Attributes:
        pairs: Images with their masks.
        images: Images without mask.
        masks: Masks without image.
        others: Whether what * and ** stand for tells pairs apart, too.
        unmatched: Pictures in the same folders that neither pattern matches.
    """

    pairs: list[tuple[File, File]]
    images: list[File]
    masks: list[File]
    others: bool
    unmatched: tuple[Path, ...] = ()

    @property
    def splits(self) -> list[str]:
        """The splits that {split} stands for."""
        files = (file for pair in self.pairs for file in pair)
        return sorted({file.split for file in (*files, *self.images, *self.masks) if file.split is not None})

    def of_masks(self) -> Matched:
        """Returns the files without the images of splits that have no masks."""
        splits = {file.split for pair in self.pairs for file in pair}
        return dataclasses.replace(self, images=[file for file in self.images if file.split in splits])

    def of_split(self, split: str | None) -> Matched:
        """Returns the files of one split; all of them if None."""
        if split is None:
            return self
        pairs = [(image, mask) for image, mask in self.pairs if split in (image.split, mask.split)]
        images, masks = ([file for file in files if file.split in (split, None)] for files in (self.images, self.masks))
        return dataclasses.replace(self, pairs=pairs, images=images, masks=masks)

    def name(self, file: File) -> str:
        """Returns the name of an image, without its split."""
        return "/".join(filter(None, [*file.others, file.name])) if self.others else file.name


def _require(pattern: Pattern, files: Sequence[File], suffixes: tuple[str, ...], root: Path, held: list[Path]) -> None:
    """Raises UserError unless a pattern matches files, and these may be read; `held` are those of its folder."""
    given = argument(pattern.option, pattern.text)
    if not files:
        held = held or list(walk_files(root))
        holds = f"there are {by_suffix(held)}, such as {inside(root, held[0])}" if held else "it holds no files"
        raise UserError(f"{given} matches nothing in {root}; {holds}")
    wrong = [file.path for file in files if file.path.suffix.lower() not in (*suffixes, ARRAY_SUFFIX)]
    if wrong:
        wants = (
            "images are JPEGs, PNGs and the like"
            if suffixes is IMAGE_SUFFIXES
            else "masks are PNGs, TIFFs and the like"
        )
        raise UserError(f"{given} matches {by_suffix(wrong)}, such as {wrong[0]}; {wants}: convert them")


def _files_in(folder: Path, paths: Sequence[Path] | None) -> list[Path]:
    if paths is None:
        return list(walk_files(folder)) if folder.is_dir() else []
    start = f"{folder.as_posix()}/"
    return [path for path in paths if path.as_posix().startswith(start)]


def _by_key(
    patterns: Patterns, pattern: Pattern, files: Sequence[File], splits: bool, others: bool
) -> dict[tuple, File]:
    """Returns files by what has to be the same in an image and its mask.

    Raises:
        UserError: If two files are the same by that.
    """
    found: dict[tuple, File] = {}
    for file in files:
        key = (file.name, file.split.lower() if splits and file.split else "", *(file.others if others else ()))
        if (first := found.setdefault(key, file)) is not file:
            other = "mask" if pattern is patterns.images else "image"
            raise UserError(
                f"{first.path} and {file.path} are both {file.name!r} by {argument(pattern.option, pattern.text)}, so "
                f"they would have one {other}; tell them apart by {{name}}, {{split}}, or a * that both patterns have"
            )
    return found
