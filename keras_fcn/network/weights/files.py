"""Reading files of named tensors from other programs: NumPy's .npz, safetensors, PyTorch's .pth and MXNet's .params.

The first bytes tell the format. Sizes are checked against the file's size before use, and no code in a file is run.
"""

from __future__ import annotations

import contextlib
import io
import math
import struct
import zipfile
from collections.abc import Iterator
from pathlib import Path

import ml_dtypes
import numpy as np
from safetensors import SafetensorError, safe_open

from keras_fcn.errors import UserError
from keras_fcn.network.weights.hdf5 import SPARE, UNPACKED, mib
from keras_fcn.network.weights.pytorch import DESCRIPTION, read_legacy, read_zip
from keras_fcn.system.text import ZIP_FAULTS, reason_of, require_plain_compression

LARGEST_FILE = 1 << 30
"""Maximum size of a file and of its unpacked tensors in bytes; the largest ResNets have a quarter of it."""

REPEATED = 4 * UNPACKED
"""How many times a file's size its tensors may have, of bytes that are packed and become numbers of four bytes."""

KINDS = "an .npz of arrays, a .safetensors, a .pth of PyTorch or a Gluon .params file"
"""Formats of `read_weight_file`, for messages."""

_AGAIN = "download or save it again, or give another"
"""The fix for files that are damaged, or of another kind."""

_ZIP, _MXNET, _PICKLE, _JSON = b"PK\x03\x04", struct.pack("<QQ", 0x112, 0), b"\x80", b"{"
_MXNET_V1, _MXNET_V2, _MXNET_V3 = 0xF993FAC8, 0xF993FAC9, 0xF993FACA
_MXNET_TYPES = ("<f4", "<f8", "<f2", "u1", "<i4", "i1", "<i8")
_SAFETENSORS_TYPES = {"F64", "BF16", "F32", "F16", "I64", "I32", "I16", "I8", "U64", "U32", "U16", "U8"}


def read_weight_file(path: Path) -> dict[str, np.ndarray]:
    """Reads the named tensors of a file in one of four formats, recognized by its content.

    Args:
        path: An `.npz`, a `.safetensors`, a `.pth` of a state dict, or an MXNet `.params` file, with any suffix.

    Returns:
        The tensors by name, in the file's order: floating-point ones as float32, all finite, and integers unchanged.

    Raises:
        UserError: If the file does not exist, is of another format, damaged, too large, or holds other data.
    """
    try:
        return _checked(_read(path), REPEATED * path.stat().st_size + SPARE)
    except SafetensorError as error:
        raise UserError(f"{path}: is a damaged .safetensors file ({reason_of(error)}); {_AGAIN}") from None
    except ZIP_FAULTS as error:
        raise UserError(f"{path}: is a damaged .npz, .pth or .keras file ({reason_of(error)}); {_AGAIN}") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({reason_of(error)}); give a file of weights") from None
    except ValueError as error:
        reason = reason_of(error)
        has_fix = any(part in reason for part in ("; ", ": save", "Received"))
        raise UserError(f"{path}: {reason}" if has_fix else f"{path}: {reason}; {_AGAIN}") from None


def _read(path: Path) -> Iterator[tuple[str, np.ndarray]]:
    """Returns the tensors of a file; its first bytes tell the format."""
    with path.open("rb") as file:
        head = file.read(16)
    _require_size(path.stat().st_size)
    if head.startswith(_ZIP):
        return _read_archive(path)
    if head.startswith(_MXNET):
        return _read_mxnet(path.read_bytes())
    if head[8:9] == _JSON:  # before pickles: the length of this JSON, which comes first, may begin like one
        return _read_safetensors(path)
    if head.startswith(_PICKLE):
        return read_legacy(path)
    raise ValueError(f"is not {KINDS}")


def holds_tensors(path: Path) -> bool:
    """Returns whether a file is of PyTorch or safetensors, by its first bytes; False for what cannot be read."""
    with contextlib.suppress(OSError, *ZIP_FAULTS):
        with path.open("rb") as file:
            head = file.read(16)
        if not head.startswith(_ZIP):
            return head.startswith(_PICKLE) or head[8:9] == _JSON
        with zipfile.ZipFile(path) as archive:
            return any(name.rpartition("/")[2] == DESCRIPTION for name in archive.namelist())
    return False


def _require_size(size: int) -> None:
    if size > LARGEST_FILE:
        raise ValueError(f"holds {size / 2**30:.1f} GiB; a file of weights for a backbone has 1 GiB at most")


def _checked(tensors: Iterator[tuple[str, np.ndarray]], most: int) -> dict[str, np.ndarray]:
    """Returns the tensors by name, floating-point ones as float32.

    Args:
        tensors: The tensors, of which one may be a view that repeats few bytes many times.
        most: The bytes that all of them may have, numbers of one and two bytes being counted as of four.

    Raises:
        ValueError: If there is none, two have the same name, or one has values that are not finite.
    """
    found: dict[str, np.ndarray] = {}
    size = 0
    for name, tensor in tensors:
        if not name.isprintable() or len(name) > 200:
            raise ValueError(f"holds a tensor whose name is not text: {name[:40]!r}")
        if name in found:
            raise ValueError(f"holds {name} twice")
        is_float = tensor.dtype.kind == "f" or tensor.dtype == ml_dtypes.bfloat16
        if not (is_float or tensor.dtype.kind in "iu") or tensor.dtype.itemsize > 8:
            raise ValueError(f"{name} is of {tensor.dtype}; weights are float16, bfloat16, float32 or float64")
        size += tensor.size * max(tensor.dtype.itemsize, 4)
        _require_size(size)
        if size > most:
            raise ValueError(f"its tensors have {mib(size)}, more than {REPEATED} times the file; save copies of them")
        with np.errstate(over="ignore"):  # overflow becomes infinity, which is refused
            tensor = tensor.astype(np.float32 if is_float else tensor.dtype)  # a copy: the file may change
        if is_float and not np.isfinite(tensor).all():
            raise ValueError(f"{name} holds NaN, infinity, or values beyond float32")
        found[name] = tensor
    if not found:
        raise ValueError("holds no tensors")
    return found


def _read_archive(path: Path) -> Iterator[tuple[str, np.ndarray]]:
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        require_plain_compression(archive)
        unpacked, size = sum(member.file_size for member in members), path.stat().st_size
        _require_size(unpacked)
        if unpacked > UNPACKED * size + SPARE:
            raise ValueError(
                f"unpacks to {mib(unpacked)}, more than {UNPACKED} times its {mib(size)}; save it unpacked"
            )
        is_pytorch = any(member.filename.rpartition("/")[2] == DESCRIPTION for member in members)
        yield from read_zip(path, archive) if is_pytorch else _read_npz(archive)


def _read_npz(archive: zipfile.ZipFile) -> Iterator[tuple[str, np.ndarray]]:
    for member in archive.infolist():
        if not member.filename.endswith(".npy"):
            raise ValueError(f"is a zip file of other data than arrays ({member.filename[:40]!r})")
        name = member.filename.removesuffix(".npy")
        yield name, _read_npy(name, archive.read(member))  # reads at most file_size bytes


def _read_npy(name: str, content: bytes) -> np.ndarray:
    """Returns an array, after a check that exactly the data declared in its header follow."""
    stream = io.BytesIO(content)
    try:
        version = np.lib.format.read_magic(stream)
        read_header = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }[version]
        shape, is_fortran, dtype = read_header(stream)
    except Exception:  # NumPy raises errors of many types for damaged headers
        raise ValueError(f"{name} has a damaged array header") from None
    if dtype.hasobject:
        raise ValueError(f"{name} is of pickled objects, which may run code; weights are arrays of numbers")
    if min(shape, default=1) < 0 or math.prod(shape) * dtype.itemsize != len(content) - stream.tell():
        raise ValueError(f"{name} declares the shape {_shape(shape)} of {dtype}, but has other data")
    values = np.frombuffer(content, dtype, math.prod(shape), stream.tell())
    return values.reshape(shape, order="F" if is_fortran else "C")


def _shape(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "of a scalar"


def _read_safetensors(path: Path) -> Iterator[tuple[str, np.ndarray]]:
    with safe_open(path, framework="numpy") as file:
        for name in file.keys():  # noqa: SIM118 - it is no dict
            kind = file.get_slice(name).get_dtype()
            if kind not in _SAFETENSORS_TYPES:
                raise ValueError(f"{name[:200]} is of {kind}; weights are F16, BF16, F32 or F64")
            yield name, file.get_tensor(name)


class _Cursor:
    """Reads little-endian numbers and bytes in sequence, never beyond the end."""

    def __init__(self, content: bytes) -> None:
        self.content, self.position = memoryview(content), 0

    def take(self, size: int) -> memoryview:
        """Returns the next `size` bytes."""
        if size > len(self.content) - self.position:
            raise ValueError(f"is a .params file that ends too early: {size} bytes should follow {self.position}")
        self.position += size
        return self.content[self.position - size : self.position]

    def numbers(self, kinds: str) -> tuple[int, ...]:
        """Returns the next numbers, with the types given by letters of `struct`."""
        return struct.unpack(f"<{kinds}", self.take(struct.calcsize(f"<{kinds}")))


def _read_mxnet(content: bytes) -> Iterator[tuple[str, np.ndarray]]:
    """Reads a file of MXNet's `NDArray::Save`: arrays, then their names."""
    cursor = _Cursor(content)
    _, _, count = cursor.numbers("QQQ")
    arrays: list[np.ndarray] = []
    while len(arrays) < count:
        arrays.append(_read_ndarray(cursor, len(arrays)))
    if cursor.numbers("Q") != (count,):
        raise ValueError("is a .params file without a name for each array")
    for array in arrays:
        (length,) = cursor.numbers("Q")
        name = str(cursor.take(length), "utf-8", "backslashreplace")
        yield name.removeprefix("arg:").removeprefix("aux:"), array
    if cursor.position < len(content):
        raise ValueError(f"is a .params file followed by {len(content) - cursor.position} other bytes")


def _read_ndarray(cursor: _Cursor, index: int) -> np.ndarray:
    (version,) = cursor.numbers("I")
    if version not in (_MXNET_V1, _MXNET_V2, _MXNET_V3):
        raise ValueError(f"array {index} is of an unknown version; load and save it with MXNet 1.0 or later")
    if version != _MXNET_V1 and cursor.numbers("i") != (0,):
        raise ValueError(f"array {index} is sparse; weights are dense")
    (rank,) = cursor.numbers("I")
    if rank > 8 or (rank == 0 and version != _MXNET_V3):
        raise ValueError(f"array {index} is empty or has more than 8 dimensions")
    shape = cursor.numbers("q" * rank)
    _device_type, _device_id, kind = cursor.numbers("iii")
    if not 0 <= kind < len(_MXNET_TYPES) or min(shape, default=1) < 0:
        raise ValueError(f"array {index} has the shape {_shape(shape)} and the type {kind}, which is no tensor")
    dtype = np.dtype(_MXNET_TYPES[kind])
    return np.frombuffer(cursor.take(math.prod(shape) * dtype.itemsize), dtype).reshape(shape)
