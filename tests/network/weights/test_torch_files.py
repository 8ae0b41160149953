"""Files of `torch.save` are read without PyTorch, and what they hold besides tensors is named, never run."""

import collections
import fractions
import io
import pickle
import struct
import tracemalloc
import zipfile

import ml_dtypes
import numpy as np
import pytest
from torch_files import Storage, Tensor, described, legacy_file, state_dict, zip_file

from keras_fcn.errors import UserError
from keras_fcn.network.weights import files, pickles
from keras_fcn.network.weights.files import read_weight_file

WRITERS = {"zip": zip_file, "legacy": legacy_file}
NUMBERS = np.arange(24, dtype=np.float32)
TENSORS = state_dict({"conv.weight": NUMBERS.reshape(2, 3, 4), "bn.bias": np.ones(2, np.float32)})


def read(tmp_path, content):
    path = tmp_path / "weights.bin"
    path.write_bytes(content)
    return read_weight_file(path)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)
def test_every_protocol_of_pickles_is_read(tmp_path, write, protocol):
    found = read(tmp_path, write(TENSORS, protocol))
    assert list(found) == ["conv.weight", "bn.bias"]
    np.testing.assert_array_equal(found["conv.weight"], NUMBERS.reshape(2, 3, 4))


@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)
def test_tensors_are_views_of_storages_that_they_share(tmp_path, write):
    """A kernel HWIO that lies in the file as it was, with strides of OIHW; a part of it; a scalar; none at all."""
    kernel = NUMBERS.reshape(2, 3, 1, 4)
    shared = Storage(NUMBERS)
    tensors = {
        "kernel": Tensor(shared, 0, (4, 1, 2, 3), (1, 4, 12, 4)),
        "part": Tensor(shared, 5, (3,), (2,)),
        "scalar": Tensor(shared, 23, (), ()),
        "empty": Tensor(Storage(NUMBERS[:0], "1"), 0, (0, 3), (3, 1)),
        "repeated": Tensor(shared, 2, (2, 2), (0, 1)),
    }
    found = read(tmp_path, write(tensors))
    np.testing.assert_array_equal(found["kernel"], kernel.transpose(3, 2, 0, 1))
    np.testing.assert_array_equal(found["part"], [5, 7, 9])
    assert (found["scalar"].shape, float(found["scalar"])) == ((), 23)
    assert found["empty"].shape == (0, 3)
    np.testing.assert_array_equal(found["repeated"], [[2, 3], [2, 3]])


@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)
def test_halves_become_float32_and_counts_stay_integers(tmp_path, write):
    values = {
        "half": np.array([1.5, -2], np.float16),
        "bfloat16": np.array([1.5, -2], ml_dtypes.bfloat16),
        "double": np.array([1.5, -2]),
    }
    found = read(tmp_path, write(state_dict({**values, "count": np.array(7, np.int64)})))
    for name in values:
        assert found[name].dtype == np.float32
        np.testing.assert_array_equal(found[name], [1.5, -2])
    assert (found["count"].dtype, int(found["count"])) == (np.int64, 7)


@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)
def test_the_only_state_dict_of_a_checkpoint_is_taken(tmp_path, write):
    checkpoint = {"epoch": 3, "optimizer": {"state": {}, "param_groups": [{"lr": 0.1, "params": [0]}]}, "args": None}
    assert list(read(tmp_path, write({"model": TENSORS, **checkpoint}))) == list(TENSORS)
    with pytest.raises(UserError, match=r"must hold one state dict, .*\. Received: 'model', 'model_ema'$"):
        read(tmp_path, write({"model": TENSORS, "model_ema": TENSORS, **checkpoint}))
    with pytest.raises(UserError, match=r"must hold one state dict, .*\. Received: none$"):
        read(tmp_path, write(checkpoint))


def test_members_may_be_compressed_and_lack_checksums(tmp_path):
    np.testing.assert_array_equal(
        read(tmp_path, zip_file(TENSORS, compression=zipfile.ZIP_DEFLATED))["bn.bias"], [1, 1]
    )
    content = bytearray(zip_file(TENSORS))
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        sums = [struct.pack("<I", member.CRC) for member in archive.infolist()]
    for checksum in sums:
        content = content.replace(checksum, bytes(4))
    np.testing.assert_array_equal(read(tmp_path, bytes(content))["bn.bias"], [1, 1])


class Called:
    """An object whose pickle calls a function when it is loaded."""

    def __init__(self, function, *arguments):
        self.function, self.arguments = function, arguments

    def __reduce__(self):
        return self.function, self.arguments


RAN = []
HARMLESS = {
    "a method": (Called(RAN.append, 1), r"(__builtin__|builtins)\.getattr"),
    "a function": (Called(fractions.Fraction, 1, 2), r"fractions\.Fraction"),
    "a type": (collections.Counter, r"collections\.Counter"),
    "an array": (np.ones(2), r"numpy\.[a-z_.]+"),
    "quantized": (Tensor(Storage(NUMBERS, kind="QInt8Storage"), 0, (1,), (1,)), r"torch\.QInt8Storage"),
}


@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)
@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize(("value", "name"), HARMLESS.values(), ids=HARMLESS)
def test_anything_else_is_named_and_not_run(tmp_path, write, protocol, value, name):
    only = rf"weights.bin: holds {name}, but only tensors, storages and ordered dicts are read, as others may run code"
    with pytest.raises(
        UserError, match=rf"{only}: save the state dict alone, torch.save\(model.state_dict\(\), FILE\)$"
    ):
        read(tmp_path, write({"model": TENSORS, "extra": value}, protocol))
    assert RAN == []


def short(**storage):
    return {"a": Tensor(Storage(NUMBERS, **storage), 0, (24,), (1,))}


def tensor(offset=0, shape=(24,), strides=(1,)):
    return {"a": Tensor(Storage(NUMBERS), offset, shape, strides)}


PICKLE = b"\x80\x02"
KEY_OF_TUPLES = {((),): 1}
EITHER = {
    "a list": ([TENSORS], "holds a list, not a state dict"),
    "one tensor": (TENSORS["bn.bias"], "holds a tensor without a name, not a state dict"),
    "a number": ({"a": TENSORS["bn.bias"], "b": 2.5}, "holds 'b', which is a float, no tensor"),
    "a number as name": ({0: TENSORS["bn.bias"], "a\nb": 1}, r"holds 'a\\nb', which is a int, no tensor"),
    "a tuple as name": (KEY_OF_TUPLES, "its pickle has a dict with a tuple as a key"),
    "a set": ({"a": frozenset()}, r"its pickle has the instruction FROZENSET, which is not read"),
    "too long": (tensor(shape=(25,)), "'a' reaches beyond its storage of 24 numbers"),
    "too late": (tensor(offset=20, shape=(2, 3), strides=(3, 1)), "'a' reaches beyond its storage of 24 numbers"),
    "quadrillions": (tensor(shape=(10**14,), strides=(0,)), "holds 372529.0 GiB; a file of weights for a backbone has"),
    "more than an address": (tensor(shape=(10**19,)), "its pickle is damaged before byte"),
    "before the start": (tensor(offset=-1), "its pickle is damaged before byte"),
    "a million times": (
        tensor(shape=(1 << 20,), strides=(0,)),
        "its tensors have 4.0 MiB, more than 40 times the file",
    ),
    "backwards": (tensor(strides=(-1,)), "its pickle is damaged before byte"),
    "no strides": (tensor(strides=()), "its pickle is damaged before byte"),
    "a true offset": (tensor(offset=True), "its pickle is damaged before byte"),
    "nine dimensions": (tensor(shape=(1,) * 9, strides=(1,) * 9), "holds a tensor of 9 dimensions; weights have 8"),
    "no storage": ({"a": Tensor("0", 0, (1,), (1,))}, "its pickle is damaged before byte"),
    "a storage alone": ({"a": Storage(NUMBERS)}, "must hold one state dict"),
    "a lying size": (short(declared=23), r"of 96 bytes instead of 92|of 24 numbers instead of 23"),
    "a huge size": (
        short(declared=2**40),
        r"of 96 bytes instead of 4398046511104|of 24 numbers instead of 1099511627776",
    ),
    "not a number": (state_dict({"a": np.array([np.nan])}), "a holds NaN, infinity"),
    "no text": (state_dict({"a\nb": NUMBERS}), r"holds a tensor whose name is not text: 'a\\nb'"),
    "bool": (state_dict({"a": np.ones(2, bool)}), "a is of bool; weights are float16, bfloat16, float32"),
}


@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)
@pytest.mark.parametrize(("value", "message"), EITHER.values(), ids=EITHER)
def test_what_is_no_state_dict_is_one_line(tmp_path, write, value, message):
    with pytest.raises(UserError, match=message) as caught:
        read(tmp_path, write(value, 4 if "FROZENSET" in message else 2))
    assert str(caught.value).startswith(f"{tmp_path / 'weights.bin'}: ")
    assert "\n" not in str(caught.value)


LEGACY, ZIP = legacy_file(TENSORS), zip_file(TENSORS)
NESTED = b")q\x00" + b"h\x00h\x00\x86q\x00" * 60 + b"h\x00"  # a tuple of two tuples of two ...
BOMB = PICKLE + b"N" + b"r" + struct.pack("<I", 2**31 - 1) + b"."
WRONG = {
    "another magic number": (LEGACY.replace(b"\x6c\xfc", b"\x6c\xfd", 1), "is a pickle, but not of torch.save"),
    "big-endian": (legacy_file(TENSORS, little_endian=False), "was written by a machine of big-endian order"),
    "big-endian zip": (zip_file(TENSORS, byteorder=b"big"), "was written by a machine of big-endian order"),
    "a storage that is not listed": (
        legacy_file(TENSORS, keys=["0"]),
        "'bn.bias' lies in the storage '1', which is no",
    ),
    "a storage too many": (
        legacy_file(TENSORS, keys=["0", "1", "2"]),
        "lists the storage '2', which no tensor lies in",
    ),
    "a storage twice": (
        legacy_file(TENSORS, keys=["0", "0"]),
        "lists the storage '0', which no tensor lies in, or twic",
    ),
    "keys that are none": (legacy_file(TENSORS, keys=[["0"]]), "lists the storage list, which no tensor lies in"),
    "a lying count": (legacy_file(TENSORS, counts={"1": 2**62}), f"a storage '1' of {2**62} numbers instead of 2"),
    "cut": (LEGACY[:-3], "ends within the storage '1'"),
    "cut in a pickle": (LEGACY[:200], "its pickle is damaged before byte 200"),
    "and more": (LEGACY + b"more", "is followed by 4 other bytes"),
    "two kinds": (
        legacy_file({"a": Tensor(Storage(NUMBERS), 0, (1,), (1,)), "b": Tensor(Storage(NUMBERS[:3]), 0, (1,), (1,))}),
        "declares the storage '0' twice, unlike",
    ),
    "cut zip": (ZIP[:-30], "is a damaged .npz, .pth or .keras file"),
    "a missing member": (zip_file(TENSORS, data__1=None), "'bn.bias' lies in the storage 'net/data/1', which is not"),
    "a short member": (zip_file(TENSORS, data__1=b"1234"), "'net/data/1' of 4 bytes instead of 8"),
    "changed bytes": (ZIP.replace(NUMBERS.tobytes(), bytes(96)), "'net/data/0' does not have the bytes that were writ"),
    "two descriptions": (zip_file(TENSORS, b__data_pkl=b""), "holds .net/data.pkl. and .net/b/data.pkl."),
    "an empty description": (zip_file(TENSORS, data_pkl=b""), "its pickle is damaged before byte 0"),
    "no end": (zip_file(TENSORS, data_pkl=PICKLE + b"N"), "its pickle is damaged before byte 3"),
    "an empty stack": (zip_file(TENSORS, data_pkl=PICKLE + b"."), "its pickle is damaged before byte 3"),
    "a memo that is not there": (zip_file(TENSORS, data_pkl=PICKLE + b"h\x00."), "its pickle is damaged before byte 4"),
    "a string of exabytes": (
        zip_file(TENSORS, data_pkl=PICKLE + b"\x8d" + struct.pack("<Q", 2**62) + b"a."),
        "its pickle is damaged before byte",
    ),
    "a key without a value": (zip_file(TENSORS, data_pkl=PICKLE + b"}(K\x01u."), "its pickle is damaged before byte 7"),
    "pairs of three": (
        zip_file(TENSORS, data_pkl=PICKLE + b"ccollections\nOrderedDict\n](](K\x01K\x02K\x03ee\x85R."),
        "its pickle is damaged before byte",
    ),
    "a call of a number": (zip_file(TENSORS, data_pkl=PICKLE + b"K\x01)R."), "its pickle is damaged before byte 6"),
    "a module": (
        zip_file(TENSORS, data_pkl=PICKLE + b"(X\x06\x00\x00\x00moduleNNNtQ."),
        "holds a 'module', which is no storage",
    ),
    "a name of endless text": (zip_file(TENSORS, data_pkl=PICKLE + NESTED + b"\x93."), "its pickle is damaged before"),
    "a storage of endless text": (
        zip_file(TENSORS, data_pkl=PICKLE + NESTED[:-2] + b"(h\x00NNNNtQ."),
        "holds a tuple, which is no storage",
    ),
    "another pickle": (
        pickle.dumps(np.ones(2), 2),
        "weights.bin: is a pickle, but not of torch.save; download or save it again, or give another$",
    ),
    "a memo of gigabytes": (zip_file(TENSORS, data_pkl=BOMB), "holds a NoneType, not a state dict"),
}


@pytest.mark.parametrize(("content", "message"), WRONG.values(), ids=WRONG)
def test_a_wrong_file_is_one_line_and_takes_no_memory(tmp_path, content, message):
    tracemalloc.start()
    try:
        with pytest.raises(UserError, match=message) as caught:
            read(tmp_path, content)
        assert tracemalloc.get_traced_memory()[1] < 50e6
    finally:
        tracemalloc.stop()
    assert str(caught.value).startswith(f"{tmp_path / 'weights.bin'}: ")
    assert "\n" not in str(caught.value)


def test_pickles_are_of_limited_length(tmp_path, monkeypatch):
    monkeypatch.setattr(pickles, "LARGEST", 2048)
    long = LEGACY[: LEGACY.index(b"c")] + b"N" * 5000
    with pytest.raises(UserError, match=r"weights.bin: its pickle has more than 2 KiB"):
        read(tmp_path, long)
    long = zip_file(TENSORS, compression=zipfile.ZIP_DEFLATED, data_pkl=PICKLE + b"N" * 5000)
    with pytest.raises(UserError, match=r"weights.bin: its data.pkl has more than 2 KiB"):
        read(tmp_path, long)


def test_one_list_is_not_the_argument_of_many_calls(tmp_path):
    """A list of 100,000 numbers and 100,000 calls would take hours; ordered dicts of Python 2 had lists of pairs."""
    pairs = b"ccollections\nOrderedDict\nq\x00h\x00](](X\x01\x00\x00\x00aK\x01ee\x85R"
    with pytest.raises(UserError, match=r"holds 'a', which is a int|must hold one state dict"):
        read(tmp_path, zip_file(TENSORS, data_pkl=PICKLE + pairs + b"."))
    pair = b"](X\x01\x00\x00\x00aK\x01eq\x02"
    long = b"ccollections\nOrderedDict\nq\x00" + pair + b"](" + b"h\x02" * 100_000 + b"eq\x01"
    with pytest.raises(UserError, match="its pickle calls functions with more values than it has bytes"):
        read(tmp_path, zip_file(TENSORS, data_pkl=PICKLE + long + b"h\x00h\x01\x85R" * 100_000 + b"."))


def test_large_storages_are_not_read_before_their_tensors(tmp_path):
    """A tensor of 1,000 numbers in a storage of 5 million takes no memory for the others."""
    numbers = np.zeros(5_000_000, np.float32)
    for write in WRITERS.values():
        (tmp_path / "weights.bin").write_bytes(write({"a": Tensor(Storage(numbers), 7, (1000,), (1,))}))
        tracemalloc.start()
        try:
            read_weight_file(tmp_path / "weights.bin")
            assert tracemalloc.get_traced_memory()[1] < 4e6
        finally:
            tracemalloc.stop()


def test_a_file_that_cannot_be_opened_is_left_to_others(tmp_path):
    assert not files.holds_tensors(tmp_path)  # nor can a folder


def test_members_that_unpack_to_gigabytes_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "LARGEST_FILE", 100_000)
    bomb = zip_file(state_dict({"a": np.zeros(100_000, np.float32)}), compression=zipfile.ZIP_DEFLATED)
    assert len(bomb) < 3000
    with pytest.raises(UserError, match="GiB; a file of weights for a backbone has 1 GiB at most"):
        read(tmp_path, bomb)


def test_the_pickles_are_those_that_python_reads():
    """Of what this file writes, Python's own unpickler, with the same names, finds the same."""
    description, storages = described({"a": Tensor(Storage(NUMBERS), 3, (2,), (5,)), "n": [1, (2.5, None, True)]})

    class Unpickler(pickle.Unpickler):
        def find_class(self, module, name):
            return {"OrderedDict": collections.OrderedDict}.get(name, lambda *arguments: (name, arguments[1:4]))

        def persistent_load(self, identity):
            return identity[2]

    found = Unpickler(io.BytesIO(description)).load()
    assert found == {"a": ("_rebuild_tensor_v2", (3, (2,), (5,))), "n": [1, (2.5, None, True)]}
    assert list(storages) == ["0"]
