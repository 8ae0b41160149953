"""Reading state dicts that PyTorch saved: the zip form since version 1.6, and the form of five pickles before it."""

from __future__ import annotations

import dataclasses
import io
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np

from keras_fcn.network.weights import pickles
from keras_fcn.network.weights.pickles import UnknownNameError, plain_key, read_pickle

DESCRIPTION = "data.pkl"
"""The end of the name of the member of a zip file which describes the tensors."""

_MAGIC, _VERSION = 0x1950A86A20F9469CFC6C, 1001
_KINDS = {
    "Float": np.float32, "Double": np.float64, "Half": np.float16, "BFloat16": ml_dtypes.bfloat16,
    "ComplexFloat": np.complex64, "ComplexDouble": np.complex128,
    "Long": np.int64, "Int": np.int32, "Short": np.int16, "Char": np.int8, "Byte": np.uint8, "Bool": np.bool_,
}  # fmt: skip
_MOST_DIMENSIONS = 8


@dataclasses.dataclass(frozen=True)
class _Kind:
    """The type of a storage; calling it, as for a storage that is pickled in place, is an error."""

    name: str

    @property
    def dtype(self) -> np.dtype:
        return np.dtype(_KINDS[self.name])


@dataclasses.dataclass(frozen=True)
class _Storage:
    """Numbers in a file, which several tensors may share.

    Attributes:
        key: Its name in the file.
        dtype: Their type.
        size: How many there are.
    """

    key: str
    dtype: np.dtype
    size: int


@dataclasses.dataclass(frozen=True)
class _Tensor:
    """A tensor's place in a storage; offset and strides count numbers."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def of(self, numbers: np.ndarray) -> np.ndarray:
        """Returns the view of the storage's numbers [size].

        Raises:
            ValueError: If it reaches beyond the storage.
        """
        last = self.offset + sum((length - 1) * stride for length, stride in zip(self.shape, self.strides))
        if 0 not in self.shape and last >= self.storage.size:
            raise ValueError(f"reaches beyond its storage of {self.storage.size} numbers")
        step = self.storage.dtype.itemsize
        start = 0 if 0 in self.shape else self.offset
        return np.lib.stride_tricks.as_strided(
            numbers[start:], self.shape, [step * stride for stride in self.strides], writeable=False
        )


def read_zip(path: Path, archive: zipfile.ZipFile) -> Iterator[tuple[str, np.ndarray]]:
    """Reads the named tensors of a zip file of `torch.save`.

    Args:
        path: The file.
        archive: The same, open.

    Yields:
        Names and arrays; storages that are not compressed are mapped into memory.

    Raises:
        ValueError: If it is damaged, or holds other things than named tensors.
    """
    members = {member.filename: member for member in archive.infolist()}
    (name, *others) = [name for name in members if name.rpartition("/")[2] == DESCRIPTION]
    if others:
        raise ValueError(f"holds {name!r} and {others[0]!r}")
    root = name.removesuffix(DESCRIPTION)
    mapped = np.memmap(path, np.uint8, "r")

    def content(name: str) -> np.ndarray:
        return _member(mapped, archive, members[name])

    if f"{root}byteorder" in members and bytes(content(f"{root}byteorder")[:8]) != b"little":
        raise ValueError("was written by a machine of big-endian order; save it on another")

    def numbers(storage: _Storage) -> np.ndarray:
        name = f"{root}data/{storage.key}"
        if name not in members:
            raise ValueError(f"lies in the storage {name!r}, which is not there")
        size = storage.size * storage.dtype.itemsize
        if members[name].file_size != size:
            raise ValueError(f"lies in the storage {name!r} of {members[name].file_size} bytes instead of {size}")
        return content(name).view(storage.dtype)

    if members[name].file_size > pickles.LARGEST:
        raise ValueError(f"its {DESCRIPTION} has more than {pickles.LARGEST >> 10} KiB")
    yield from _arrays(_described(io.BytesIO(content(name).tobytes()), _storage), numbers)


def _member(mapped: np.ndarray, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> np.ndarray:
    """Returns the bytes of a member, without reading them if they are not compressed."""
    if member.compress_type != zipfile.ZIP_STORED or member.flag_bits & 1:
        return np.frombuffer(archive.read(member), np.uint8)  # at most file_size bytes
    header = mapped[member.header_offset : member.header_offset + 30].tobytes()
    if header[:4] != b"PK\x03\x04" or len(header) < 30:
        raise ValueError(f"is a damaged zip file: {member.filename!r} is not where its directory says")
    lengths = int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little")
    start = member.header_offset + 30 + lengths
    content = mapped[start : start + member.file_size]
    # torch.save can be told to leave the checksums out.
    if len(content) < member.file_size or member.CRC not in (0, zlib.crc32(content.data)):
        raise ValueError(f"is a damaged zip file: {member.filename!r} does not have the bytes that were written")
    return content


def read_legacy(path: Path) -> Iterator[tuple[str, np.ndarray]]:
    """Reads the named tensors of a file of PyTorch before 1.6: five pickles, and the storages' bytes, mapped.

    Yields:
        Names and arrays.

    Raises:
        ValueError: If it is damaged, or holds other things than named tensors.
    """
    mapped = np.memmap(path, np.uint8, "r")
    stream = io.BytesIO(mapped[: 2 * pickles.LARGEST].tobytes())
    if not _is_of_torch(stream):
        raise ValueError("is a pickle, but not of torch.save")
    system = read_pickle(stream, {})
    if not isinstance(system, dict) or system.get("little_endian") is not True:
        raise ValueError("was written by a machine of big-endian order; save it on another")
    declared: dict[str, _Storage] = {}

    def find(identity: Any) -> _Storage:
        storage = _storage(identity)
        if declared.setdefault(storage.key, storage) != storage:
            raise ValueError(f"declares the storage {storage.key!r} twice, unlike")
        return storage

    tensors = _described(stream, find)
    found = _positions(read_pickle(stream, {}), declared, mapped, stream.tell())

    def numbers(storage: _Storage) -> np.ndarray:
        if storage.key not in found:
            raise ValueError(f"lies in the storage {storage.key!r}, which is not there")
        start = found[storage.key]
        return mapped[start : start + storage.size * storage.dtype.itemsize].view(storage.dtype)

    yield from _arrays(tensors, numbers)


def _is_of_torch(stream: io.BytesIO) -> bool:
    try:
        return read_pickle(stream, {}) == _MAGIC and read_pickle(stream, {}) == _VERSION
    except UnknownNameError:  # of another program
        return False


def _positions(keys: Any, declared: dict[str, _Storage], mapped: np.ndarray, position: int) -> dict[str, int]:
    """Returns where the bytes of each storage begin; its size, an int64, is before them."""
    found: dict[str, int] = {}
    for key in keys if isinstance(keys, list) else [None]:
        if not isinstance(key, str) or key not in declared or key in found:
            raise ValueError(f"lists the storage {_text(key)}, which no tensor lies in, or twice")
        storage = declared[key]
        count = int.from_bytes(mapped[position : position + 8].tobytes(), "little")
        if count != storage.size:
            raise ValueError(f"has a storage {key!r} of {count} numbers instead of {storage.size}")
        found[key] = position + 8
        position += 8 + count * storage.dtype.itemsize
        if position > len(mapped):
            raise ValueError(f"ends within the storage {key!r}")
    if position < len(mapped):
        raise ValueError(f"is followed by {len(mapped) - position} other bytes")
    return found


def _described(stream: io.BytesIO, find: Callable[[Any], _Storage]) -> dict[Any, Any]:
    """Returns the state dict that the next pickle describes, of `_Tensor`s."""
    known = {
        "collections.OrderedDict": _ordered_dict,
        "torch._utils._rebuild_tensor": _tensor,
        "torch._utils._rebuild_tensor_v2": _tensor,
        "torch._utils._rebuild_parameter": _parameter,
        "torch.nn.parameter.Parameter": _parameter,
        **{f"torch.{name}Storage": _Kind(name) for name in _KINDS},
    }
    try:
        return _state_dict(read_pickle(stream, known, find, (_Tensor,)))
    except UnknownNameError as error:
        raise ValueError(
            f"holds {str(error)[:80]}, but only tensors, storages and ordered dicts are read, as others may run code: "
            "save the state dict alone, torch.save(model.state_dict(), FILE)"
        ) from None


def _ordered_dict(items: Any = ()) -> dict[Any, Any]:
    if not all(isinstance(item, (list, tuple)) and len(item) == 2 for item in items):
        raise TypeError
    return {plain_key(key): value for key, value in items}


def _storage(identity: Any) -> _Storage:
    """Returns the storage that a persistent id describes."""
    kind, *rest = identity if isinstance(identity, tuple) else (None,)
    if kind != "storage" or len(rest) not in (4, 5):
        raise ValueError(f"holds a {_text(kind)}, which is no storage")
    dtype, key, _device, size, *view = rest
    if not isinstance(dtype, _Kind) or not isinstance(key, str) or not _are_lengths((size,)):
        raise ValueError("holds a storage without a type, a name or a size")
    if view not in ([], [None]):
        raise ValueError(f"holds the storage {key!r:.40} as a view of another one: save it with PyTorch 1.0 or later")
    return _Storage(key, dtype.dtype, size)


def _tensor(storage: Any, offset: Any, shape: Any, strides: Any, *_requires_gradient_and_hooks: Any) -> _Tensor:
    lengths = (offset, *shape, *strides)
    if not isinstance(storage, _Storage) or len(shape) != len(strides) or not _are_lengths(lengths):
        raise TypeError
    if len(shape) > _MOST_DIMENSIONS:
        raise ValueError(f"holds a tensor of {len(shape)} dimensions; weights have {_MOST_DIMENSIONS} at most")
    return _Tensor(storage, offset, tuple(shape), tuple(strides))


def _parameter(tensor: Any, *_requires_gradient_and_hooks: Any) -> _Tensor:
    if not isinstance(tensor, _Tensor):
        raise TypeError
    return tensor


def _are_lengths(values: tuple[Any, ...]) -> bool:
    return all(type(value) is int and 0 <= value < 1 << 48 for value in values)


def _state_dict(root: Any) -> dict[Any, Any]:
    """Returns the dict of tensors that a file holds, alone or as the only one beside other things, such as an epoch."""
    if not isinstance(root, dict):
        raise ValueError(f"holds a {_name(root)}, not a state dict")
    if any(isinstance(value, _Tensor) for value in root.values()):
        return root
    found = {name: value for name, value in root.items() if _is_state_dict(value)}
    if len(found) != 1:
        which = ", ".join(map(repr, found)) or "none"
        raise ValueError(f"must hold one state dict, a dict of tensors by name. Received: {which:.200}")
    return found.popitem()[1]


def _is_state_dict(value: Any) -> bool:
    return isinstance(value, dict) and bool(value) and all(isinstance(tensor, _Tensor) for tensor in value.values())


def _text(value: Any) -> str:
    """Returns a string of a pickle for a message, or the type of another value: nested ones may have endless texts."""
    return f"{value!r:.40}" if isinstance(value, str) else type(value).__name__


def _name(value: Any) -> str:
    return "tensor without a name" if isinstance(value, _Tensor) else type(value).__name__


def _arrays(
    tensors: dict[Any, Any], numbers: Callable[[_Storage], np.ndarray]
) -> Iterator[tuple[str, np.ndarray]]:  # fmt: skip
    """Yields the tensors of a state dict by name, as views of what `numbers` returns."""
    stored: dict[str, np.ndarray] = {}
    for name, tensor in tensors.items():
        if not isinstance(tensor, _Tensor):
            raise ValueError(f"holds {name!r:.80}, which is a {_name(tensor)}, no tensor")
        try:
            if tensor.storage.key not in stored:
                stored[tensor.storage.key] = numbers(tensor.storage)
            yield str(name), tensor.of(stored[tensor.storage.key])
        except ValueError as error:
            raise ValueError(f"{name!r:.80} {error}") from None
