"""Harnesses of files of weights: .npz, .safetensors, .pth in both forms, .params."""

import io
import zipfile

import numpy as np
from changes import of_bytes, of_header_and_data, of_pickle, of_text, of_zip
from harness import Harness, refused_in_a_line, scratch
from numpy_resnet import mxnet_file
from safetensors.numpy import load, save
from torch_files import described, legacy_file, state_dict, zip_file

from keras_fcn.network.weights import files

TENSORS = {"conv.weight": np.arange(12, dtype=np.float32).reshape(2, 3, 2), "bn.bias": np.ones(2, np.float32)}
files_limit = 1 << 24
"""What a harness takes as the largest file, so that one input costs no gigabyte."""


def read(data):
    """Returns the tensors of a file, or None if it is refused."""
    path = scratch("weights") / "weights.bin"
    path.write_bytes(data)
    before, files.LARGEST_FILE = files.LARGEST_FILE, files_limit
    try:
        with refused_in_a_line():
            found = files.read_weight_file(path)
            for name, tensor in found.items():
                assert name.isprintable()
                assert tensor.dtype.kind in "iu" or (tensor.dtype == np.float32 and np.isfinite(tensor).all())
            return found
    finally:
        files.LARGEST_FILE = before
    return None


def _require_same(found, right):
    assert set(found) == set(right)
    for name, tensor in found.items():
        np.testing.assert_array_equal(tensor, np.asarray(right[name]).astype(tensor.dtype))


def check_npz(data):
    if (found := read(data)) is not None and data[:2] == b"PK" and b"data.pkl" not in data:
        with np.load(io.BytesIO(data), allow_pickle=False) as right:
            _require_same(found, dict(right))


def check_safetensors(data):
    if (found := read(data)) is not None and data[8:9] == b"{":
        _require_same(found, load(data))


def check_npy_member(data):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("a.npy", data)
    check_npz(stream.getvalue())


def check_pickle(data):
    """Reads the pickle of an archive whose other members are as they should be."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("net/data.pkl", data)
        for key, tensor in enumerate(TENSORS.values()):
            archive.writestr(f"net/data/{key}", tensor.tobytes())
    read(stream.getvalue())


def _npz():
    found = []
    for write in (np.savez, np.savez_compressed):
        stream = io.BytesIO()
        write(stream, **TENSORS)
        found.append(stream.getvalue())
    return found


def _npy():
    found = []
    for array in (*TENSORS.values(), np.asfortranarray(TENSORS["conv.weight"])):
        stream = io.BytesIO()
        np.save(stream, array)
        found.append(stream.getvalue())
    return found


FINITE = "only tensors of finite float32 or whole numbers come out, or one line"

HARNESSES = {
    "npz": Harness(f"{FINITE}; they are what `numpy.load` reads", _npz, check_npz, of_zip(of_bytes)),
    "npy_in_npz": Harness("as `npz`, of one array in a sound archive", _npy, check_npy_member, of_text),
    "safetensors": Harness(
        f"{FINITE}; they are what safetensors reads", lambda: [save(TENSORS)], check_safetensors, of_header_and_data
    ),
    "pth": Harness(FINITE, lambda: [zip_file(state_dict(TENSORS))], read, of_zip(of_pickle)),
    "pth_pickle": Harness(
        f"{FINITE}, of the pickle in a sound archive",
        lambda: [described(state_dict(TENSORS))[0]],
        check_pickle,
        of_pickle,
    ),
    "pth_legacy": Harness(FINITE, lambda: [legacy_file(state_dict(TENSORS))], read, of_pickle),
    "mxnet_params": Harness(
        FINITE, lambda: [mxnet_file(TENSORS, version) for version in (0xF993FAC8, 0xF993FAC9, 0xF993FACA)], read
    ),
}
