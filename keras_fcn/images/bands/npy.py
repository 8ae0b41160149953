"""Reading NumPy's .npy files: arrays of numbers only, never Python objects."""

from __future__ import annotations

import math
import os
from pathlib import Path

import numpy as np

from keras_fcn.images.pillow import named_in_errors, require_pixels

NPY = b"\x93NUMPY"
"""The first bytes of a file (NumPy enhancement proposal 1)."""

_MOST_BEFORE = 16
"""Arrays of fewer rows, and not fewer columns and channels, have channels first."""

_READERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


def read_npy(path: Path, any_depth: bool = False) -> np.ndarray:
    """Reads an array of numbers or booleans: [H, W], [H, W, 1] as [H, W], or [H, W, 3].

    Args:
        path: The file.
        any_depth: Whether [H, W, C] of any C is read, as images have it.

    Raises:
        DataError: If the file cannot be read, is cut off, has another shape or type, or more than `MOST_PIXELS`.
    """
    with named_in_errors(path), path.open("rb") as file:
        dtype, shape, is_fortran = _header(file, any_depth)
        count = math.prod(shape)
        if os.fstat(file.fileno()).st_size - file.tell() < count * dtype.itemsize:
            raise ValueError(f"it is cut off: {dtype} {list(shape)} takes more bytes")
        values = np.fromfile(file, dtype, count)
    values = values.reshape(shape, order="F" if is_fortran else "C")
    return values[..., 0] if shape[2:] == (1,) else values


def npy_type(path: Path) -> np.dtype:
    """Returns the type of the array in a file, from its header alone.

    Raises:
        DataError: As `read_npy` does.
    """
    with named_in_errors(path), path.open("rb") as file:
        return _header(file)[0]


def npy_shape(path: Path) -> tuple[int, ...]:
    """Returns the shape of an image in a file, [H, W] or [H, W, C], from its header alone.

    Raises:
        DataError: As `read_npy` does.
    """
    with named_in_errors(path), path.open("rb") as file:
        return _header(file, any_depth=True)[1]


def _header(file, any_depth: bool = False) -> tuple[np.dtype, tuple[int, ...], bool]:
    """Returns type, shape and whether columns come first; raises ValueError for what is no mask, or no image."""
    version = np.lib.format.read_magic(file)
    if version not in _READERS:
        raise ValueError(f"it has version {version[0]}.{version[1]} of the format, which arrays of numbers do not need")
    try:
        shape, is_fortran, dtype = _READERS[version](file)
    except Exception:  # NumPy raises errors of many types for damaged headers
        raise ValueError("its header is damaged") from None
    if dtype.hasobject:
        raise ValueError("it holds Python objects, which may run programs when they are read; save an array of ids")
    if dtype.kind not in "buif":
        raise ValueError(f"it holds {dtype}; save an array of whole numbers")
    if any_depth and len(shape) == 3 and shape[0] < _MOST_BEFORE <= min(shape[1:]):
        raise ValueError(
            f"its shape is {list(shape)}, channels first; save it with these last: np.moveaxis(array, 0, -1)"
        )
    if len(shape) not in (2, 3) or (shape[2:] not in ((), (1,), (3,)) and not any_depth) or min(shape) < 1:
        raise ValueError(f"its shape is {list(shape)}; save an array [height, width{', channels' * any_depth}]")
    require_pixels(shape[1], shape[0])
    return dtype, tuple(map(int, shape)), is_fortran  # True is an int, which arrays do not take as a length
