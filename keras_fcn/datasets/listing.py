"""Listing the files of a data set's folders: what is read, by name, and what is left out."""

from __future__ import annotations

import contextlib
import contextvars
import functools
import os
import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from keras_fcn.datasets.foreign import foreign_format
from keras_fcn.errors import DataError, UserError
from keras_fcn.images.bands.files import ARRAY_SUFFIX
from keras_fcn.images.label_files.opening import MASK_SUFFIXES
from keras_fcn.images.photos import IMAGE_SUFFIXES, OTHER_PICTURES
from keras_fcn.system.files import walk_files
from keras_fcn.system.text import by_suffix

_PICTURES = (*IMAGE_SUFFIXES, *MASK_SUFFIXES, *OTHER_PICTURES)

Listing = TypeVar("Listing", bound=Callable)

_LISTED: contextvars.ContextVar[dict | None] = contextvars.ContextVar("listed", default=None)


@contextlib.contextmanager
def listing_once() -> Iterator[None]:
    """Lets functions that are marked by `once` answer from memory while the block runs: folders may be large."""
    token = _LISTED.set({} if _LISTED.get() is None else _LISTED.get())
    try:
        yield
    finally:
        _LISTED.reset(token)


def once(listing: Listing) -> Listing:
    """Marks a function that lists folders, and whose result nobody changes; see `listing_once`."""

    @functools.wraps(listing)
    def listed(*arguments, **named):
        known = _LISTED.get()
        if known is None:
            return listing(*arguments, **named)
        key = (listing, arguments, *named.items())
        if key not in known:
            known[key] = listing(*arguments, **named)
        return known[key]

    return listed  # type: ignore[return-value]


class Files(dict[str, Path]):
    """Files by name.

    Attributes:
        left_out: Findings, not fatal, about pictures in the same folder that are not read.
    """

    left_out: tuple[DataError, ...] = ()


@once
def files_by_stem(folder: Path, suffixes: Sequence[str] = IMAGE_SUFFIXES, preferred: str = "") -> Files:
    """Lists the files with one of `suffixes` by their names without suffix, in order, as `walk_files` finds them.

    Args:
        folder: The folder to list, with all folders in it; names are then such as "kitchen/table".
        suffixes: Suffixes in lower case; those of files may be in upper case.
        preferred: One of them; files of the same name with another one are left out.

    Raises:
        UserError: If the folder is missing, or two files differ only in the suffix.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; this layout needs it")
    found, others, doubles = Files(), [], []
    start = len(str(folder / "_")) - 1
    for path in walk_files(folder):
        own = path.suffix
        suffix = own.lower()
        if suffix in suffixes:
            name = normal_name(str(path)[start:].removesuffix(own).replace(os.sep, "/"))
            before = found.setdefault(name, path)
            if before is not path:
                ours = [file for file in (before, path) if file.suffix.lower() == preferred]
                if len(ours) != 1:
                    raise UserError(f"{path} and {before.name} have the same name; rename or remove one")
                found[name] = ours[0]
                doubles.append(path if ours[0] is before else before)
        elif suffix in IMAGE_SUFFIXES or suffix in OTHER_PICTURES:
            others.append(path)
    whys = (others, f"; convert them to {_wanted(suffixes)}"), (doubles, f", since {preferred} has the same name")
    for paths, why in whys:
        if paths:
            are = "file in it is" if len(paths) == 1 else "files in it are"
            message = f"{folder}: {by_suffix(paths)} {are} not read{why}"
            found.left_out += (DataError("not read", message, is_fatal=False, count=len(paths)),)
    return found


def images_by_stem(folder: Path) -> Files:
    """Lists a folder's images by their names without suffix, in order.

    Raises:
        UserError: If the folder is missing, or holds no image.
    """
    images = files_by_stem(folder) or files_by_stem(folder, (ARRAY_SUFFIX,))
    if not images:
        fix = (
            "convert them to JPEGs or PNGs"
            if holds_pictures(folder)
            else "put them there, under the names of the masks"
        )
        raise UserError(f"{folder}: holds no images{_but(folder)}; {fix}")
    return images


def masks_by_stem(folder: Path) -> Files:
    """Lists a folder's masks by their names without suffix, in order; a PNG is read before others of its name.

    Raises:
        UserError: If the folder is missing, or holds no mask.
    """
    masks = files_by_stem(folder, MASK_SUFFIXES, preferred=MASK_SUFFIXES[0])
    if not masks:
        suffixes = {path.suffix.lower() for path in walk_files(folder)}
        reason = ", whose colours are not exact" if suffixes and suffixes <= {".jpg", ".jpeg"} else ""
        fix = foreign_format(folder) or "export the masks as PNGs"
        raise UserError(f"{folder}: holds no masks{_but(folder)}{reason}; {fix}")
    return masks


def holds_pictures(folder: Path) -> bool:
    """Returns whether a folder, or one in it, holds pictures of any kind."""
    if not folder.is_dir():
        return False
    with contextlib.suppress(OSError), os.scandir(folder) as entries:  # mostly the first of a million files tells
        if any(not entry.name.startswith(".") and is_picture(entry.name) and entry.is_file() for entry in entries):
            return True
    return any(True for _ in pictures_in(folder))


def pictures_in(folder: Path) -> Iterator[Path]:
    """Yields the pictures of any kind in a folder and in folders in it."""
    return (path for path in walk_files(folder) if is_picture(path.name))


def is_picture(name: str) -> bool:
    """Returns whether a file's name is that of a picture of any kind."""
    return name.lower().endswith(_PICTURES)


@once
def inner_folders(folder: Path) -> list[Path]:
    """Returns the folders in a folder by name, without hidden ones; none if it is no folder."""
    if not folder.is_dir():
        return []
    with os.scandir(folder) as entries:
        names = sorted(entry.name for entry in entries if entry.is_dir())
    return [folder / name for name in names if not name.startswith(".") and name != "__MACOSX"]


def normal_name(name: str) -> str:
    """Returns a name in Unicode's NFC form for comparison, since macOS stores accents as separate characters."""
    return unicodedata.normalize("NFC", name)


def _but(folder: Path) -> str:
    files = list(walk_files(folder))
    return f", but {by_suffix(files)}" if files else ""


def _wanted(suffixes: Sequence[str]) -> str:
    return "JPEGs or PNGs" if ".jpg" in suffixes else "PNGs"


def inside(root: Path, path: Path) -> Path:
    """Returns a path as seen from a folder, if it is in it."""
    return path.relative_to(root) if path.is_relative_to(root) else path


SPECIAL = re.compile(r"\{[^{}/]*\}|\*\*/|\*+")
"""What stands for other letters in a pattern of paths: {name}, ** with what follows, and *."""


def expression_of(pattern: str) -> str:
    """Returns the regular expression of a pattern of paths; what * stands for is in groups whose names begin with _."""
    expression, position, seen = "", 0, set[str]()
    for number, found in enumerate(SPECIAL.finditer(pattern)):
        expression += re.escape(pattern[position : found.start()])
        position, name = found.end(), found[0].strip("{}")
        if found[0].startswith("{"):
            expression += f"(?P={name})" if name in seen else f"(?P<{name}>[^/]+?)"
            seen.add(name)
        else:
            any_text = {"**/": "(?:[^/]+/)*", "*": "[^/]*"}.get(found[0], ".*")
            expression += f"(?P<_{number}>{any_text})"
    return expression + re.escape(pattern[position:])
