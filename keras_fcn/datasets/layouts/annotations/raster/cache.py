"""Masks drawn from annotations, kept outside the data set under a name that their content determines."""

from __future__ import annotations

import hashlib
import os
import pickle
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from keras_fcn.errors import UserError
from keras_fcn.images.classes import ClassTable
from keras_fcn.images.masks import write_label

VARIABLE = "KERAS_FCN_CACHE"
"""The environment variable that names the cache's folder."""

Draw = Callable[[Any, tuple[int, int]], np.ndarray]
"""Draws the shapes of an image of this height and width: class ids uint8 [H, W], 255 for void."""

_VERSION = 1  # another one where the same shapes are drawn otherwise than before


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


def mask_path(shapes: object, size: tuple[int, int], turn: int, classes: ClassTable, draw: Draw) -> Path:
    """Returns the path of a mask in the cache, which these arguments determine.

    Args:
        shapes: What is drawn, of the types that JSON has, and tuples.
        size: Height and width.
        turn: The EXIF orientation by which the mask is turned when it is drawn.
        classes: The classes.
        draw: The function that draws it.
    """
    by = (_VERSION, f"{draw.__module__}.{draw.__qualname__}", size, turn, repr(classes), shapes)
    name = hashlib.sha256(pickle.dumps(by, protocol=5)).hexdigest()
    return cache_folder() / "masks" / name[:2] / f"{name[2:]}.png"


def store_mask(path: Path, ids: np.ndarray, classes: ClassTable) -> None:
    """Writes a mask into the cache.

    Args:
        path: The result of `mask_path`.
        ids: Class ids uint8 [H, W].
        classes: The classes.

    Raises:
        UserError: If it cannot be written.
    """
    try:
        write_label(path, ids, classes)
    except UserError as error:
        raise UserError(
            f"{error}; masks drawn from annotations are kept there: set {VARIABLE} to another folder"
        ) from None
