"""Weight files of four formats are read exactly, and damaged ones are refused in one line."""

import io
import json
import pickle
import struct
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy_resnet import mxnet_file
from safetensors.numpy import save
from torch_files import legacy_file, state_dict, zip_file

from keras_fcn.errors import UserError
from keras_fcn.network.weights.files import holds_tensors, read_weight_file

RNG = np.random.default_rng(0)
TENSORS = {
    "conv.weight": RNG.normal(size=(4, 3, 2, 5)).astype(np.float32),
    "bn.bias": RNG.normal(size=7).astype(np.float32),
}


def npz(tensors, save=np.savez):
    stream = io.BytesIO()
    save(stream, **tensors)
    return stream.getvalue()


def zipped(members):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return stream.getvalue()


def npy(header, data=b""):
    text = repr(header).encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + data


def safetensors(header, data=b""):
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def read(tmp_path, content):
    path = tmp_path / "weights.bin"  # a suffix that says nothing
    path.write_bytes(content)
    return read_weight_file(path)


WRITERS = {
    "npz": npz,
    "compressed npz": lambda tensors: npz(tensors, np.savez_compressed),
    "npz in Fortran's order": lambda tensors: npz({name: np.asfortranarray(value) for name, value in tensors.items()}),
    "safetensors": save,
    "mxnet 1": lambda tensors: mxnet_file(tensors, 0xF993FAC8),
    "mxnet 2": mxnet_file,
    "mxnet 3": lambda tensors: mxnet_file(tensors, 0xF993FACA),
    "mxnet with prefix": lambda tensors: mxnet_file(tensors, prefix="aux:"),
    "torch": lambda tensors: zip_file(state_dict(tensors)),
    "torch before 1.6": lambda tensors: legacy_file(state_dict(tensors)),
}


@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)
def test_tensors_are_read_as_they_were_written(tmp_path, write):
    found = read(tmp_path, write(TENSORS))
    assert list(found) == list(TENSORS) or set(found) == set(TENSORS)
    for name, expected in TENSORS.items():
        np.testing.assert_array_equal(found[name], expected)
        assert found[name].dtype == np.float32


def test_safetensors_are_read_whatever_the_length_of_their_header(tmp_path):
    """That is their first byte; one in 32 begins like a pickle."""
    begins = set()
    for length in range(0, 256, 8):
        content = save({"a" * (length % 200 + 1): np.ones(2, np.float32)}, {"b": "c" * length})
        begins.add(content[0])
        assert list(read(tmp_path, content)) == ["a" * (length % 200 + 1)]
        assert holds_tensors(tmp_path / "weights.bin")
    assert 0x80 in begins


@pytest.mark.parametrize("dtype", ["float16", "float64"])
def test_other_floats_become_float32(tmp_path, dtype):
    values = {"a": np.array([[1.5, -2.0]], dtype)}
    kind = {"float16": 2, "float64": 1}[dtype]
    for content in (npz(values), save(values), mxnet_file(values, kind=kind)):
        found = read(tmp_path, content)["a"]
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found, [[1.5, -2.0]])


def test_bfloat16_becomes_float32(tmp_path):
    bits = struct.pack("<HH", 0x3FC0, 0xC000)  # the upper halves of 1.5 and -2.0 in float32
    found = read(tmp_path, safetensors({"a": {"dtype": "BF16", "shape": [2], "data_offsets": [0, 4]}}, bits))["a"]
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, [1.5, -2.0])


def test_a_count_stays_an_integer(tmp_path):
    values = {"num_batches_tracked": np.array(7, np.int64)}
    for content in (npz(values), save(values), mxnet_file(values, 0xF993FACA, kind=6)):
        found = read(tmp_path, content)["num_batches_tracked"]
        assert (found.shape, found.dtype, int(found)) == ((), np.int64, 7)


FLOATS = {"descr": "<f4", "fortran_order": False, "shape": (10**15,)}
HUGE = {"a": {"dtype": "F32", "shape": [10**15], "data_offsets": [0, 4 * 10**15]}}
MXNET = mxnet_file({"a": np.ones(3, "f")})
WRONG = {
    "nothing": (b"", "is not an .npz of arrays, .*, a .pth of PyTorch or a Gluon .params file; download or"),
    "an image": (b"\x89PNG\r\n\x1a\n" + bytes(50), "is not an .npz"),
    "pickle": (pickle.dumps({"a": 1}), "is a pickle, but not of torch.save"),
    "other zip": (zipped({"config.json": b"{}"}), r"is a zip file of other data than arrays \('config.json'\)"),
    "objects": (npz({"a": np.array([{}], object)}), "a is of pickled objects"),
    "strings": (npz({"a": np.array(["x"])}), "a is of <U1; weights are float16, bfloat16, float32 or float64"),
    "complex": (npz({"a": np.ones(2, complex)}), "a is of complex128"),
    "nan": (npz({"a": np.array([1, np.nan])}), "a holds NaN, infinity, or values beyond float32"),
    "infinity": (save({"a": np.array([1, np.inf], np.float32)}), "a holds NaN, infinity"),
    "too large for float32": (mxnet_file({"a": np.array([1e300])}, kind=1), "a holds NaN, infinity"),
    "no arrays": (zipped({}), "is not an .npz"),
    "huge npy": (zipped({"a.npy": npy(FLOATS)}), "a declares the shape 1000000000000000 of float32, but has other"),
    "no npy": (zipped({"a.npy": b"\x93NUMPY\x01\x00"}), "a has a damaged array header"),
    "not literal": (zipped({"a.npy": npy("__import__('os')")}), "a has a damaged array header"),
    "cut npz": (
        npz(TENSORS)[:-30],
        r"is a damaged .npz, .pth or .keras file \(.*\); download or save it again, or give another$",
    ),
    "cut safetensors": (save(TENSORS)[:-3], "is a damaged .safetensors file"),
    "huge safetensors": (safetensors(HUGE), "is a damaged .safetensors file"),
    "lying header length": (struct.pack("<Q", 2**60) + b"{}", "is a damaged .safetensors file"),
    "float8": (
        safetensors({"a": {"dtype": "F8_E4M3", "shape": [1], "data_offsets": [0, 1]}}, b"\0"),
        "a is of F8_E4M3; weights are F16, BF16, F32 or F64",
    ),
    "line break": (save({"a\nb": np.ones(1, "f")}), r"holds a tensor whose name is not text: 'a\\nb'"),
    "twice": (mxnet_file({"arg:a": np.ones(1, "f"), "aux:a": np.ones(1, "f")}), "holds a twice"),
    "cut params": (MXNET[:60], "is a .params file that ends too early"),
    "params and more": (MXNET + b"more", "is a .params file followed by 4 other bytes"),
    "billions of arrays": (struct.pack("<QQQ", 0x112, 0, 2**60), "is a .params file that ends too early"),
    "another version": (
        struct.pack("<QQQI", 0x112, 0, 1, 4) + bytes(40),
        "array 0 is of an unknown version",
    ),
    "sparse": (MXNET[:28] + struct.pack("<i", 1) + MXNET[32:], "array 0 is sparse"),
    "dimensions": (MXNET[:32] + struct.pack("<I", 2**31) + MXNET[36:], "array 0 is empty or has more than 8 dim"),
    "negative": (MXNET[:36] + struct.pack("<q", -3) + MXNET[44:], "array 0 has the shape -3 and the type 0, which is"),
    "huge params": (MXNET[:36] + struct.pack("<q", 2**62) + MXNET[44:], "is a .params file that ends too early"),
    "type": (MXNET[:52] + struct.pack("<i", 12) + MXNET[56:], "array 0 has the shape 3 and the type 12"),
    "no names": (MXNET[:68] + struct.pack("<Q", 0), "is a .params file without a name for each array"),
}


@pytest.mark.parametrize(("content", "message"), WRONG.values(), ids=WRONG)
def test_a_wrong_file_is_one_line_that_names_it(tmp_path, content, message):
    with pytest.raises(UserError, match=message) as caught:
        read(tmp_path, content)
    assert str(caught.value).startswith(f"{tmp_path / 'weights.bin'}: ")
    assert "\n" not in str(caught.value)


def test_files_that_cannot_be_read_are_named(tmp_path):
    with pytest.raises(UserError, match=r"nothing: cannot be read \(No such file or directory\)"):
        read_weight_file(tmp_path / "nothing")
    with pytest.raises(UserError, match=r"cannot be read \(Is a directory\)"):
        read_weight_file(tmp_path)


def test_a_zip_bomb_is_refused_before_it_is_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr("keras_fcn.network.weights.files.LARGEST_FILE", 10_000)
    bomb = npz({"a": np.zeros(10_000, np.float32)}, np.savez_compressed)
    assert len(bomb) < 1000
    with pytest.raises(UserError, match="GiB; a file of weights for a backbone has 1 GiB at most"):
        read(tmp_path, bomb)
    with pytest.raises(UserError, match="GiB; a file of weights for a backbone has 1 GiB at most"):
        read(tmp_path, save({"a": np.zeros(10_000, np.float32)}))


def test_an_archive_unpacks_to_ten_times_its_size_at_most(tmp_path):
    bomb = npz({"a": np.zeros(1 << 19, np.float32)}, np.savez_compressed)  # 2 MiB in two thousand bytes
    with pytest.raises(UserError, match=r"unpacks to 2.0 MiB, more than 10 times its 0.0 MiB; save it unpacked"):
        read(tmp_path, bomb)


@pytest.mark.parametrize(
    "write",
    [npz, save, mxnet_file, WRITERS["torch"], WRITERS["torch before 1.6"]],
    ids=["npz", "safetensors", "mxnet", "torch", "torch before 1.6"],
)
@settings(max_examples=150, deadline=None, derandomize=True)
@given(data=st.data())
def test_damage_is_a_user_error_or_does_not_show(tmp_path_factory, write, data):
    """With any bytes changed or cut off, the result is finite tensors, or an error of one line that names the file."""
    content = bytearray(write(TENSORS))
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    content = content[: data.draw(st.integers(len(content) // 2, len(content)))]
    found, message = {}, "weights.bin: "
    try:
        found = read(tmp_path_factory.getbasetemp(), bytes(content))
    except UserError as error:
        message = str(error)
    assert "weights.bin: " in message
    assert "\n" not in message
    assert all(np.isfinite(tensor).all() for tensor in found.values())
