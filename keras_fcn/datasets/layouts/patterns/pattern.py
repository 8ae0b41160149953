"""A pattern of paths, which says where files lie and how they are called."""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Iterable
from pathlib import Path

from keras_fcn.datasets.listing import SPECIAL, expression_of, normal_name
from keras_fcn.errors import UserError, argument
from keras_fcn.images.label_files.opening import MASK_SUFFIXES
from keras_fcn.images.photos import IMAGE_SUFFIXES
from keras_fcn.system.files import entries_of

ANY_SUFFIX = ".*"
"""The end of a pattern of pictures of any suffix."""


@dataclasses.dataclass(frozen=True)
class File:
    """A file that a pattern matches.

    Attributes:
        path: Its path.
        name: What {name} stands for.
        split: What {split} stands for; None without it.
        others: What each * and ** stands for.
    """

    path: Path
    name: str
    split: str | None
    others: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Pattern:
    """A pattern of paths: {split} and {name} are parts of the name of a folder or file, * any text in one, ** folders.

    At the end, .* stands for every suffix of pictures.

    Attributes:
        option: The name of the argument that holds it, for error messages.
        text: The pattern, relative to the folder of the data set.
    """

    option: str
    text: str

    def __post_init__(self) -> None:
        unknown = {found for found in SPECIAL.findall(self.text) if "{" in found} - {"{split}", "{name}"}
        if unknown or "{name}" not in self.text:
            wrong = f"{sorted(unknown)[0]} is none of these" if unknown else "{name} is missing"
            wants = "takes a path with {name}, {split}, * and **"
            raise UserError(f"{argument(self.option)} {wants}; {wrong}. Received: {self.text}")

    @property
    def literals(self) -> int:
        """The number of letters that stand for themselves."""
        return len(SPECIAL.sub("", self.text))

    @property
    def has_split(self) -> bool:
        """Whether it holds {split}."""
        return "{split}" in self.text

    @functools.cached_property
    def folder(self) -> str:
        """The folders before the first part that is no plain name."""
        parts = self.text.split("/")
        plain = next(index for index, part in enumerate(parts) if SPECIAL.search(part))
        return "/".join(parts[:plain]) + "/" * (plain > 0)

    @functools.cached_property
    def _expression(self) -> re.Pattern[str]:
        text = normal_name(self.text[len(self.folder) :])
        stem, dot, suffix = text.rpartition(".")
        if dot + suffix == ANY_SUFFIX:
            suffixes = "|".join(re.escape(known) for known in dict.fromkeys((*IMAGE_SUFFIXES, *MASK_SUFFIXES)))
            return re.compile(f"{expression_of(stem)}(?i:{suffixes})", re.DOTALL)
        text, end = (stem, f"(?i:{re.escape(dot + suffix)})") if dot and re.fullmatch(r"\w+", suffix) else (text, "")
        return re.compile(expression_of(text) + end, re.DOTALL)

    def files(self, root: Path, paths: Iterable[Path]) -> list[File]:
        """Returns those of the files in `root / folder` that the pattern matches."""
        found, start = [], len((root / self.folder / "_").as_posix()) - 1
        for path in paths:
            if match := self._expression.fullmatch(normal_name(path.as_posix()[start:])):
                groups = match.groupdict()
                others = tuple(text.strip("/") for name, text in groups.items() if name[0] == "_")
                found.append(File(path, groups["name"], groups.get("split"), others))
        return found

    def split_folders(self, root: Path) -> dict[str, Path]:
        """Returns the folders that {split} names, by split; none if it is in files' names, or behind **."""
        before, _, behind = self.text.partition("{split}")
        if not behind or "/" not in behind or "**" in before:
            return {}
        parts = (before + "{split}" + behind.split("/")[0])[len(self.folder) :].split("/")
        found = [(root / self.folder, "")]
        for depth in range(len(parts)):
            wanted = re.compile(expression_of(normal_name("/".join(parts[: depth + 1]))), re.DOTALL)
            entries = [
                (folder / entry.name, f"{inner}/{entry.name}" if inner else entry.name)
                for folder, inner in found
                if folder.is_dir()
                for entry in entries_of(folder)
                if entry.is_dir() and not entry.name.startswith(".")
            ]
            found = [(folder, inner) for folder, inner in entries if wanted.fullmatch(normal_name(inner))]
            matches = {folder: wanted.fullmatch(normal_name(inner)) for folder, inner in found}
        return {match["split"]: folder for folder, match in matches.items() if match}
