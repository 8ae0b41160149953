"""Files as `torch.save` writes them, by Python's own pickler, and weights that need no file: PyTorch is not needed."""

import contextlib
import io
import pickle
import struct
import sys
import types
import zipfile
import zlib
from collections import OrderedDict

import numpy as np

KINDS = {
    "float32": "Float",
    "float64": "Double",
    "float16": "Half",
    "bfloat16": "BFloat16",
    "int64": "Long",
    "bool": "Bool",
}


class Storage:
    """Numbers that tensors lie in; `declared` is their number as the file says."""

    def __init__(self, numbers, key="0", declared=None, kind=None):
        self.numbers, self.key = np.ascontiguousarray(numbers), key
        self.declared = self.numbers.size if declared is None else declared
        self.kind = kind or f"{KINDS[self.numbers.dtype.name]}Storage"


class Tensor:
    """A view of a storage; strides count numbers."""

    def __init__(self, storage, offset, shape, strides):
        self.arguments = (storage, offset, shape, strides, False, OrderedDict())


def state_dict(tensors):
    """Returns arrays as tensors, each in a storage of its own."""
    tensors = {name: np.asarray(value) for name, value in tensors.items()}
    strides = {name: [step // value.itemsize for step in value.strides] for name, value in tensors.items()}
    found = OrderedDict()
    for key, (name, value) in enumerate(tensors.items()):
        found[name] = Tensor(Storage(value.ravel(order="K"), str(key)), 0, value.shape, tuple(strides[name]))
    found._metadata = OrderedDict({"": {"version": 1}})  # as `torch.nn.Module.state_dict` has it
    return found


@contextlib.contextmanager
def _torch():
    """Makes the names of PyTorch's modules that its pickles refer to, for a moment."""
    torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")

    def _rebuild_tensor_v2(*arguments):
        raise AssertionError("nothing of a file may be called")

    _rebuild_tensor_v2.__module__, _rebuild_tensor_v2.__qualname__ = "torch._utils", "_rebuild_tensor_v2"
    utils._rebuild_tensor_v2 = _rebuild_tensor_v2
    for kind in (*KINDS.values(), "QInt8"):
        setattr(torch, f"{kind}Storage", type(f"{kind}Storage", (), {"__module__": "torch"}))
    before = {name: sys.modules.get(name) for name in ("torch", "torch._utils")}
    sys.modules |= {"torch": torch, "torch._utils": utils}
    try:
        yield torch
    finally:
        for name, module in before.items():
            sys.modules.pop(name)
            if module:
                sys.modules[name] = module


def described(value, protocol=2):
    """Returns the pickle of a value with tensors, and its storages by key."""
    stream, storages = io.BytesIO(), {}
    with _torch() as torch:

        class Pickler(pickle.Pickler):
            def persistent_id(self, value):
                if not isinstance(value, Storage):
                    return None
                storages[value.key] = value
                return ("storage", getattr(torch, value.kind), value.key, "cpu", value.declared, None)[: self.length]

            def reducer_override(self, value):
                if isinstance(value, Tensor):
                    return sys.modules["torch._utils"]._rebuild_tensor_v2, value.arguments
                return NotImplemented

        pickler = Pickler(stream, protocol)
        pickler.length = 6 if protocol == 2 else 5  # the last part is that of the older form
        pickler.dump(value)
    return stream.getvalue(), storages


def zip_file(value, protocol=2, compression=zipfile.ZIP_STORED, **changes):
    """Returns the bytes of a file as PyTorch writes it since 1.6; changes replace members, None removes them."""
    description, storages = described(value, protocol)
    members = {"data.pkl": description, "byteorder": b"little"}
    members |= {f"data/{key}": storage.numbers.tobytes() for key, storage in storages.items()}
    members |= {"version": b"3\n"} | {
        name.replace("__", "/").replace("data_pkl", "data.pkl"): content for name, content in changes.items()
    }
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as archive:
        for name, content in members.items():
            if content is not None:
                archive.writestr(f"net/{name}", content)
    return stream.getvalue()


def legacy_file(value, protocol=2, little_endian=True, keys=None, counts=None):
    """Returns the bytes of a file as PyTorch wrote it before 1.6; `keys` and `counts` replace what is right."""
    description, storages = described(value, protocol)
    system = {"protocol_version": 1001, "little_endian": little_endian, "type_sizes": {"short": 2, "int": 4, "long": 4}}
    keys = sorted(storages) if keys is None else keys
    parts = [pickle.dumps(part, protocol) for part in (0x1950A86A20F9469CFC6C, 1001, system)]
    parts += [description, pickle.dumps(keys, protocol)]
    for key in keys:
        numbers = storages[key].numbers if key in list(storages) else np.zeros(1, "f")
        parts += [struct.pack("<q", (counts or {}).get(str(key), numbers.size)), numbers.tobytes()]
    return b"".join(parts)


def draw_image():
    """Returns an image uint8 [64, 96, 3]."""
    return np.random.RandomState(0).randint(0, 256, (64, 96, 3)).astype(np.uint8)


def draw_weights(shapes):
    """Returns arrays by name, none of them what it would be by default, all of a size that occurs."""
    return {name: _draw(name, tuple(shape)) for name, shape in shapes.items()}


def _draw(name, shape):
    rng = np.random.RandomState(zlib.crc32(name.encode()))
    if name.endswith("num_batches_tracked"):
        return np.array(7, np.int64)
    if len(shape) == 4:
        return rng.normal(0, np.sqrt(2 / np.prod(shape[1:])), shape).astype(np.float32)
    if name.endswith("bn3.weight"):  # of what a residual block adds
        return rng.uniform(0.1, 0.3, shape).astype(np.float32)
    if name.endswith("running_var"):  # mostly greater than 1, so that rounding errors do not grow from layer to layer
        return rng.uniform(0.7, 1.7, shape).astype(np.float32)
    if name.endswith("weight"):
        return rng.uniform(0.5, 1.5, shape).astype(np.float32)
    return rng.normal(0, 0.2, shape).astype(np.float32)
