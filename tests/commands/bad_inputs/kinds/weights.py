"""Files of weights that are cut off, declare more than they hold, or hold programs."""

from __future__ import annotations

import io
import json
import pickle
import struct
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import h5py
import numpy as np
from commands.bad_inputs import material
from commands.bad_inputs.case import Case
from commands.bad_inputs.kinds.images import HTML
from commands.bad_inputs.material import encoded, photo, write
from torch_files import legacy_file, zip_file

KIND = "Weights"
ONES = np.ones((3, 4), np.float32)


def _npy(values: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, values)
    return stream.getvalue()


def _zip(members: dict[str, bytes], kind: int = zipfile.ZIP_STORED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", kind) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return stream.getvalue()


def _declared(content: bytes, size: int) -> bytes:
    """Returns an archive whose directory and header declare another size of its only member."""
    old = zipfile.ZipFile(io.BytesIO(content)).infolist()[0]
    sizes = struct.pack("<II", old.compress_size, old.file_size)
    return content.replace(sizes, struct.pack("<II", old.compress_size, size))


def _safetensors(header: dict | bytes, body: bytes = b"", length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + body


def _tensor(kind: str = "F32", shape: tuple[int, ...] = (2,), offsets: tuple[int, int] = (0, 8)) -> dict:
    return {"a": {"dtype": kind, "shape": list(shape), "data_offsets": list(offsets)}}


def _h5(write_into: Callable[[h5py.File], object]) -> bytes:
    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        write_into(file)
    return stream.getvalue()


def _params(*numbers: int, rest: bytes = b"") -> bytes:
    return struct.pack(f"<{len(numbers)}Q", 0x112, 0, *numbers[2:]) + rest


class _Program:
    def __reduce__(self):
        return print, ("a program of the file runs",)


def _npz(content: bytes, kind: int = zipfile.ZIP_STORED) -> tuple[str, bytes]:
    return "w.npz", _zip({"a.npy": content}, kind)


_MAGIC = b"\x93NUMPY\x01\0v\0"
GOOD_ZIP, GOOD_LEGACY = zip_file({"a.weight": ONES}), legacy_file({"a.weight": ONES})
FILES: dict[str, tuple[str, bytes]] = {
    "an empty file": ("w.npz", b""),
    "a web page": ("w.pth", HTML),
    "a picture": ("w.npz", encoded(photo())),
    "bytes of chance": ("w.safetensors", np.random.default_rng(1).bytes(300)),
    "a Git LFS pointer": ("w.pth", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"),
    "npz: cut off": ("w.npz", _zip({"a.npy": _npy(ONES)})[:80]),
    "npz: no arrays": ("w.npz", _zip({})[:22]),
    "npz: another member": ("w.npz", _zip({"a.txt": b"hello"})),
    "npz: an array cut off": _npz(_npy(ONES)[:-4]),
    "npz: a damaged header": _npz(_MAGIC + b"{'descr': "),
    "npz: a header of a program": _npz(_MAGIC + b"__import__('os').getcwd()".ljust(117) + b"\n"),
    "npz: a header nested deeply": _npz(b"\x93NUMPY\x02\0" + struct.pack("<I", 90_000) + b"(" * 90_000),
    "npz: an array that claims 3 million numbers": _npz(_npy(ONES).replace(b"(3, 4)", b"(3<<20")),
    "npz: an array that claims a billion numbers": _npz(_npy(ONES).replace(b"(3, 4), }", b"(9**9,)} ")),
    "npz: an array of another shape": _npz(_npy(ONES).replace(b"(3, 4)", b"(9, 9)")),
    "npz: pickled objects": _npz(_npy(np.array([_Program()], object))),
    "npz: text": _npz(_npy(np.array(["cat"]))),
    "npz: complex numbers": _npz(_npy(ONES.astype(np.complex64))),
    "npz: NaN": _npz(_npy(ONES * np.nan)),
    "npz: infinity": _npz(_npy(ONES * np.inf)),
    "npz: values beyond float32": _npz(_npy(ONES.astype(np.float64) * 1e300)),
    "npz: declares 2 GiB": ("w.npz", _declared(_npz(_npy(ONES), zipfile.ZIP_DEFLATED)[1], 2 << 30)),
    "npz: zeros packed a thousand times": _npz(bytes(4 << 20), zipfile.ZIP_DEFLATED),
    "npz: packed by LZMA": _npz(_npy(ONES), zipfile.ZIP_LZMA),
    "npz: names of no network": _npz(_npy(ONES)),
    "safetensors: cut off": ("w.safetensors", _safetensors(_tensor(), bytes(4))),
    "safetensors: a header of 2^60 bytes": ("w.safetensors", _safetensors(b"{}", length=1 << 60)),
    "safetensors: a header of 90 MB": ("w.safetensors", _safetensors(b"{}", length=90_000_000)),
    "safetensors: no JSON": ("w.safetensors", _safetensors(b"{nonsense")),
    "safetensors: JSON nested deeply": ("w.safetensors", _safetensors(b'{"a":' * 50_000)),
    "safetensors: a type that is unknown": ("w.safetensors", _safetensors(_tensor("X9"), bytes(8))),
    "safetensors: booleans": ("w.safetensors", _safetensors(_tensor("BOOL", (8,)), bytes(8))),
    "safetensors: a tensor beyond the end": ("w.safetensors", _safetensors(_tensor(offsets=(0, 1 << 40)), bytes(8))),
    "safetensors: a shape of 2^64": ("w.safetensors", _safetensors(_tensor(shape=(1 << 40, 1 << 40)), bytes(8))),
    "safetensors: overlapping tensors": ("w.safetensors", _safetensors(_tensor() | {"b": _tensor()["a"]}, bytes(8))),
    "safetensors: no tensors": ("w.safetensors", _safetensors({})),
    "pth: cut off": ("w.pth", GOOD_ZIP[: len(GOOD_ZIP) // 2]),
    "pth: a turned byte": ("w.pth", GOOD_ZIP.replace(ONES.tobytes(), ONES.tobytes()[:-1] + b"\x40")),
    "pth: a pickle of a program": ("w.pth", _zip({"x/data.pkl": pickle.dumps(_Program(), 2), "x/version": b"3"})),
    "pth: a pickle of a program alone": ("w.pth", pickle.dumps(_Program(), 2)),
    "pth: a pickle of a list": ("w.pth", _zip({"x/data.pkl": pickle.dumps([1, 2], 2)})),
    "pth: a pickle cut off": ("w.pth", _zip({"x/data.pkl": b"\x80\x02}q\0("})),
    "pth: a memo of 2^31": ("w.pth", _zip({"x/data.pkl": b"\x80\x02}r\xff\xff\xff\x7f."})),
    "pth: tuples nested deeply": ("w.pth", _zip({"x/data.pkl": b"\x80\x02)" + b"\x85" * 200_000 + b"."})),
    "pth: two descriptions": ("w.pth", _zip({"x/data.pkl": b"\x80\x02}.", "y/data.pkl": b"\x80\x02}."})),
    "pth: no tensors": ("w.pth", _zip({"x/data.pkl": b"\x80\x02}."})),
    "pth: TorchScript": ("w.pth", _zip({"x/data.pkl": b"\x80\x02c__torch__\nNet\n)\x81.", "x/code/a.py": b""})),
    "pth of before 1.6: cut off": ("w.pth", GOOD_LEGACY[:-4]),
    "pth of before 1.6: bytes after it": ("w.pth", GOOD_LEGACY + b"more"),
    "h5: cut off": ("w.weights.h5", _h5(lambda file: file.create_dataset("a", data=ONES))[:900]),
    "h5: no network's": ("w.weights.h5", _h5(lambda file: file.create_dataset("a", data=ONES))),
    "h5: texts": ("w.weights.h5", _h5(lambda file: file.create_dataset("layers/a/vars/0", data="hello"))),
    "h5: a terabyte that is not there": (
        "w.weights.h5", _h5(lambda file: file.create_dataset("layers/a/vars/0", (1 << 38,), "f4", chunks=(1 << 20,)))
    ),
    "h5: a link to another file": (
        "w.weights.h5", _h5(lambda file: file.__setitem__("layers", h5py.ExternalLink("/etc/hostname", "/")))
    ),
    "h5: packed arrays": ("w.weights.h5", _h5(lambda file: file.create_dataset("a", data=ONES, compression="gzip"))),
    "h5: numbers of another file": (
        "w.weights.h5", _h5(lambda file: file.create_dataset("a", (4,), "u1", external=[("/etc/hostname", 0, 4)]))
    ),
    "h5: groups nested deeply": ("w.weights.h5", _h5(lambda file: file.create_group("/".join("g" * 200)))),
    "params: cut off": ("w.params", _params(0, 0, 5)),
    "params: 2^60 arrays": ("w.params", _params(0, 0, 1 << 60)),
    "params: an array of an unknown version": ("w.params", _params(0, 0, 1, rest=struct.pack("<I", 7))),
    "params: an array of 2^40 numbers": (
        "w.params", _params(0, 0, 1, rest=struct.pack("<IiIqiii", 0xF993FAC9, 0, 1, 1 << 40, 1, 0, 0))
    ),
}  # fmt: skip
"""Files by name, which `--weights` gets."""


def _file(name: str, content: bytes) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        material.data(folder)
        write(folder / name, content)

    return make


def cases() -> Iterator[Case]:
    """Yields each file as the backbone's weights."""
    for what, (name, content) in FILES.items():
        words = f"train --data data --run-dir out --backbone resnet18_v2 --weights {name}"
        yield Case(what, words, _file(name, content), (name,))
    for name in ("w.pth", "w.safetensors"):
        content = GOOD_ZIP if name == "w.pth" else _safetensors(_tensor(), bytes(8))
        words = f"predict {name} data/images --out out"
        yield Case(f"a model of another network: {name}", words, _file(name, content), (name,))
    yield Case(
        "weights that are missing", "train --data data --run-dir out --weights no.npz", material.data, ("no.npz",)
    )
