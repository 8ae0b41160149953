"""Reading NumPy's .npy files: arrays of numbers only, never Python objects."""

from __future__ import annotations

import math
import os
from pathlib import Path

import numpy as np

from keras_fcn.images.pillow import named_in_errors, require_pixels

NPY = b"\x93NUMPY"
"""The first bytes of a file (NumPy enhancement proposal 1)."""

_READERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


def read_npy(path: Path) -> np.ndarray:
    """Reads an array of numbers or booleans: [H, W], [H, W, 1] as [H, W], or [H, W, 3].

    Raises:
        DataError: If the file cannot be read, is cut off, has another shape or type, or more than `MOST_PIXELS`.
    """
    with named_in_errors(path), path.open("rb") as file:
        dtype, shape, is_fortran = _header(file)
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


def _header(file) -> tuple[np.dtype, tuple[int, ...], bool]:
    """Returns type, shape and whether columns come first; raises ValueError for what is no mask."""
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
    if len(shape) not in (2, 3) or shape[2:] not in ((), (1,), (3,)) or min(shape) < 1:
        raise ValueError(f"its shape is {list(shape)}; save an array [height, width] of class ids")
    require_pixels(shape[1], shape[0])
    return dtype, tuple(map(int, shape)), is_fortran  # True is an int, which arrays do not take as a length
