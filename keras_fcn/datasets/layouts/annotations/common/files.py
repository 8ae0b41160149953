"""Files of annotations, and the images that they name."""

from __future__ import annotations

import contextlib
import json
import os
import re
import reprlib
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from keras_fcn.datasets.layouts import folders
from keras_fcn.datasets.listing import inner_folders, is_picture, normal_name, once
from keras_fcn.errors import DataError, UserError
from keras_fcn.images.label_files.opening import MASK_SUFFIXES
from keras_fcn.system.files import walk_files
from keras_fcn.system.text import may_be_path, reason_of

_FROM_TOP = re.compile(r"[A-Za-z]:|[A-Za-z][A-Za-z0-9+.-]+://")
"""How paths of Windows with a drive begin, and addresses."""

_BEGINNING = 4096
"""Bytes of a file by which its kind is recognized."""


_IMAGES = ("images", "data", "JPEGImages", "img")
"""Names of folders of images."""


def json_files(root: Path) -> Iterator[Path]:
    """Yields the JSON files in a folder and in two levels of folders in it, without hidden ones."""
    return files_named(root, ".json")


def files_named(root: Path, suffix: str) -> Iterator[Path]:
    """Yields the files of a suffix in a folder and in two levels of folders in it, without hidden ones."""
    return (path for path in _others(root) if path.name.endswith(suffix) and path.is_file())


@once
def _others(root: Path) -> list[Path]:
    """Returns what is not called like a picture in a folder and in two levels of folders in it, level by level."""
    found, level = list[Path](), [root]
    for _ in range(3):
        files, inner = list[Path](), list[Path]()
        for folder in level:
            for entry in _entries(folder):
                if not is_picture(entry.name):
                    files.append(folder / entry.name)
                if _is_folder(entry):
                    inner.append(folder / entry.name)
        found, level = found + sorted(files), inner
    return found


def _entries(folder: Path) -> Iterator[os.DirEntry]:
    """Yields the entries of a folder that are not hidden; none if it cannot be listed by this user."""
    with contextlib.suppress(PermissionError, FileNotFoundError, NotADirectoryError), os.scandir(folder) as entries:
        yield from (entry for entry in entries if not entry.name.startswith((".", "__MACOSX")))


def _is_folder(entry: os.DirEntry) -> bool:
    with contextlib.suppress(OSError):  # a link that leads to itself
        return entry.is_dir()
    return False


def beginning(path: Path) -> str:
    """Returns the first characters of a text file, or nothing if it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(_BEGINNING).decode("utf-8-sig", "replace")
    except OSError:
        return ""


def read_json(path: Path) -> Any:
    """Reads a JSON file.

    Raises:
        UserError: If it cannot be read, or is not JSON.
    """
    try:
        return json.loads(path.read_bytes())
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise UserError(f"{path}: is not JSON ({error.msg}, {where}); export or save it again") from None
    except (OSError, ValueError, RecursionError) as error:  # ValueError of numbers of thousands of digits, too
        raise UserError(f"{path}: cannot be read as JSON ({reason_of(error)}); export or save it again") from None


class Images:
    """Finds the images that files of annotations name.

    Args:
        root: The folder of the data set, which images must lie in.
        folders: Folders that a name may start from; the first that has the image counts.
    """

    def __init__(self, root: Path, folders: Sequence[Path]) -> None:
        self._root, self._folders = root, folders
        self._listings: dict[Path, dict[str, Path]] = {}

    @classmethod
    def near(cls, root: Path, path: Path, split: str) -> Images:
        """Returns the finder of the images of a file of annotations, by its place and the name of its split."""
        return cls(root, image_folders(root, path.parent, split))

    def find(self, source: str, name: object) -> Path:
        """Returns an image; the case of letters and Unicode's form of accents may differ from the file's.

        Args:
            source: The file and the place in it that names the image, for error messages.
            name: The name as it is written there, with folders or without.

        Raises:
            DataError: If the name is absolute or leads out of the data set, or there is no such image.
        """
        if not isinstance(name, str) or not name.strip() or not may_be_path(name):
            raise DataError(
                "image name", f"{source}: has no image's name, but {reprlib.repr(name)}; write the file's name"
            )
        path = PurePosixPath(name.replace("\\", "/"))
        if path.is_absolute() or _FROM_TOP.match(name):
            message = (
                f"{source}: names its image from elsewhere, {name!r}; write its path in the data set: {path.name!r}"
            )
            raise DataError("image name", message)
        inside = [folder / path for folder in self._folders if self._is_inside(folder / path)]
        found = next(filter(None, map(self._file, inside)), None)
        if found is not None:
            return found
        if not inside:
            message = (
                f"{source}: its image {name!r} lies outside of {self._root}; move it there, and name it from there"
            )
            raise DataError("image name", message)
        raise DataError("missing photo", f"{source}: the image {name!r} is missing; add it, or remove it there")

    def _is_inside(self, path: Path) -> bool:
        if ".." in path.parts:
            return path.resolve().is_relative_to(self._root.resolve())
        return path.is_relative_to(self._root)  # or the split that a file names leads to elsewhere

    def _file(self, path: Path) -> Path | None:
        if path.is_file():
            return Path(os.path.normpath(path))
        if path.parent not in self._listings:
            files = path.parent.iterdir() if path.parent.is_dir() else ()
            self._listings[path.parent] = {plain_name(file.name): file for file in files if file.is_file()}
        return self._listings[path.parent].get(plain_name(path.name))


def plain_name(name: str) -> str:
    """Returns a name for comparison, whatever the case of its letters and Unicode's form of accents."""
    return normal_name(name).casefold()


def image_folders(root: Path, beside: Path, split: str) -> list[Path]:
    """Returns the folders where the images of a file of annotations may be, the nearest first.

    Args:
        root: The folder of the data set.
        beside: The folder of the file.
        split: The name of the file's split.
    """
    near = [beside, *(beside / name for name in _IMAGES)]
    of_split = [folder / split for top in (beside, root) for folder in (top, *(top / name for name in _IMAGES))]
    inside = [root / split / name for name in _IMAGES]
    near += [*of_split, *inside, root, *(root / name for name in _IMAGES)]
    return [folder for folder in dict.fromkeys(near) if folder.is_dir()]


def holds_masks(root: Path) -> bool:
    """Returns whether there is a folder of masks beside one of images, by their names, and masks in it."""
    if not folders.recognizes(root):
        return False
    named = [top / name for top in (root, *inner_folders(root)) for name in folders.MASKS]
    return any(
        path.suffix.lower() in MASK_SUFFIXES for folder in named if folder.is_dir() for path in walk_files(folder)
    )
