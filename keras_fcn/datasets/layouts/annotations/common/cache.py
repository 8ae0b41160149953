"""Masks drawn from annotations, and lists of these, kept outside the data set under names that content determines."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
import json
import os
import pickle
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from keras_fcn.errors import DataError, NoSpaceError, UserError
from keras_fcn.images.classes import ClassTable
from keras_fcn.images.masks import write_label
from keras_fcn.system.files import replaced_file

VARIABLE = "KERAS_FCN_CACHE"
"""The environment variable that names the cache's folder."""

Draw = Callable[[Any, tuple[int, int]], np.ndarray]
"""Draws the shapes of an image of this height and width: class ids uint8 [H, W], 255 for void."""

_DRAWN = "masks drawn from annotations are kept"
_VERSION = 2  # another one where the same shapes are drawn otherwise than before


def cache_folder() -> Path:
    """Returns the folder of the cache: that of `VARIABLE`, else `keras_fcn` in the system's folder of caches."""
    if chosen := os.environ.get(VARIABLE):
        return Path(chosen)
    if sys.platform == "win32":
        parent = os.environ.get("LOCALAPPDATA")
    else:
        parent = os.environ.get("XDG_CACHE_HOME")
    if parent:
        return Path(parent) / "keras_fcn"
    try:
        return Path.home() / ("Library/Caches" if sys.platform == "darwin" else ".cache") / "keras_fcn"
    except RuntimeError:  # a user without a home
        return Path(tempfile.gettempdir()) / "keras_fcn"


@dataclasses.dataclass(frozen=True)
class Later:
    """Shapes that are read when they are drawn.

    Attributes:
        digest: A hash of them, empty if there are none.
        read: Returns them.
    """

    digest: str
    read: Callable[[], Any]

    def __bool__(self) -> bool:
        return bool(self.digest)


def packed(source: str, shapes: Any) -> Later:
    """Returns shapes of the types that JSON has, and tuples, in a tenth of their memory.

    Args:
        source: The file and the place in it, for error messages.
        shapes: The shapes.

    Raises:
        DataError: If they are nested too deeply.
    """
    try:
        content = pickle.dumps(shapes, protocol=5)
    except RecursionError:
        raise DataError("shape", f"{source}: has shapes that are nested too deeply; export it again") from None
    digest = hashlib.sha256(content).hexdigest() if shapes else ""
    return Later(digest, functools.partial(_unpacked, zlib.compress(content, 1)))


def _unpacked(content: bytes) -> Any:
    return pickle.loads(zlib.decompress(content))


def mask_path(shapes: Later, size: tuple[int, int], turn: int, classes: ClassTable, draw: Draw) -> Path:
    """Returns the path of a mask in the cache, which these arguments determine.

    Args:
        shapes: What is drawn.
        size: Height and width.
        turn: The EXIF orientation by which the mask is turned when it is drawn.
        classes: The classes.
        draw: The function that draws it.
    """
    by = (_VERSION, f"{draw.__module__}.{draw.__qualname__}", size, turn, classes, shapes.digest)
    return _path("masks", hashlib.sha256(repr(by).encode()).hexdigest(), ".png")


def store_mask(path: Path, ids: np.ndarray, classes: ClassTable) -> None:
    """Writes a mask into the cache.

    Args:
        path: The result of `mask_path`.
        ids: Class ids uint8 [H, W].
        classes: The classes.

    Raises:
        UserError: If it cannot be written.
    """
    with hinting(_DRAWN):
        write_label(path, ids, classes)


def load_listing(key: str) -> Any:
    """Returns what `store_listing` has kept under a hash; None if it is not there, or broken."""
    try:
        return json.loads(_path("listings", key, ".json").read_bytes())
    except (OSError, ValueError, RecursionError):
        return None


def store_listing(key: str, listing: Any) -> None:
    """Keeps what JSON can hold under a hash.

    Raises:
        UserError: If it cannot be written.
    """
    path = _path("listings", key, ".json")
    with hinting(_DRAWN), replaced_file(path) as temporary:
        temporary.write_text(json.dumps(listing), encoding="utf-8")


def _path(kind: str, name: str, suffix: str) -> Path:
    return cache_folder() / kind / name[:2] / f"{name[2:]}{suffix}"


@contextlib.contextmanager
def hinting(what: str) -> Iterator[None]:
    """Adds to errors of writing into the cache what it is for, and how to choose another."""
    try:
        yield
    except DataError:
        raise
    except UserError as error:
        hint = f"{error.marked}; {what} there: set {VARIABLE} to another folder"
        raise (NoSpaceError if isinstance(error, NoSpaceError) else UserError)(hint) from None
