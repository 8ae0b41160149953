"""Masks in every kind of file are read to the very ids, or refused in one line."""

import io
import pickle
import re
import struct

import numpy as np
import pytest
from kinds_of_files import png
from PIL import Image

from keras_fcn.errors import DataError
from keras_fcn.images.classes import ClassTable
from keras_fcn.images.label_files.content import label_content
from keras_fcn.images.label_files.division import class_part
from keras_fcn.images.label_files.opening import label_header
from keras_fcn.images.masks import read_label, read_value_label

CLASSES = ClassTable.named([f"class{index}" for index in range(120)])
VALUES = (*range(120), *[254] * 135, 255)
IDS = np.random.default_rng(0).integers(0, 120, (6, 9)).astype(np.uint8)


def read(path):
    return read_value_label(path, CLASSES, VALUES)


def refused(path):
    """Returns the line about a file that neither reader of values nor of colours takes."""
    lines = set()
    for reader in (read, lambda path: read_label(path, CLASSES), label_content):
        with pytest.raises(DataError) as caught:
            reader(path)
        lines.add(str(caught.value))
    assert len(lines) == 1
    (line,) = lines
    assert "\n" not in line
    assert line.startswith(f"{path}: ")
    return line.removeprefix(f"{path}: ")


# NumPy's arrays

NUMBERS = ["u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8", "f2", "f4", "f8", ">u2", ">i4", ">f8"]


@pytest.mark.parametrize("kind", NUMBERS)
def test_arrays_of_all_numbers(tmp_path, kind):
    path = tmp_path / "a.npy"
    for array in (IDS, IDS[..., None], np.asfortranarray(IDS), np.repeat(IDS[..., None], 3, axis=2)):
        np.save(path, array.astype(kind))
        ids = read(path)
        assert ids.dtype == np.uint8
        np.testing.assert_array_equal(ids, IDS)
    assert label_header(path).is_wide == (np.dtype(kind).itemsize > 1)


def test_arrays_of_booleans_and_colors(tmp_path):
    np.save(tmp_path / "a.npy", IDS > 60)
    np.testing.assert_array_equal(read(tmp_path / "a.npy"), IDS > 60)
    for kind in ("u1", "i8"):
        np.save(tmp_path / "a.npy", CLASSES.to_rgb(IDS).astype(kind))
        np.testing.assert_array_equal(read_label(tmp_path / "a.npy", CLASSES), IDS)


class Program:
    """A pickle of it would write a file."""

    def __reduce__(self):
        return (open, ("unpickled", "w"))


def npy(array, **options):
    """Returns the bytes of an array's file."""
    file = io.BytesIO()
    np.save(file, array, **options)
    return file.getvalue()


def header(text):
    """Returns the bytes of a file with this header and a hundred bytes."""
    text = text.ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode() + bytes(100)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (npy(np.array([Program()], object), allow_pickle=True), "holds Python objects, which may run programs"),
        (npy(np.array([[Program()] * 3] * 3, object), allow_pickle=True), "holds Python objects"),
        (pickle.dumps(IDS), "cannot identify image file"),
        (npy(IDS)[:-1], r"cut off: uint8 \[6, 9\] takes more bytes"),
        (npy(IDS)[:60], "cannot be decoded"),
        (npy(IDS)[:7], "cannot be decoded"),
        (npy(IDS).replace(b"}", b"("), "cannot be decoded .its header is damaged.; replace the file"),
        (npy(IDS[None]), r"shape is \[1, 6, 9\]; save an array \[height, width\]"),
        (npy(np.zeros((3, 6, 9, 1))), r"shape is \[3, 6, 9, 1\]"),
        (npy(np.zeros((6, 9, 5), np.uint8)), r"shape is \[6, 9, 5\]"),
        (npy(IDS[0]), r"shape is \[9\]"),
        (npy(IDS[:0]), r"shape is \[0, 9\]"),
        (npy(IDS.astype(complex)), "holds complex128; save an array of whole numbers"),
        (npy(IDS.astype("U3")), "holds <U3"),
        (npy(np.zeros((6, 9), [("id", "u1")])), r"holds \[\('id'"),
        (npy(IDS + 0.5), "holds the value .*5 .* whole numbers from 0 to 254"),
        (npy(np.where(IDS > 9, IDS, np.nan)), r"holds the value nan \(\d+ pixels\); class ids are whole"),
        (npy(np.where(IDS > 9, IDS, -np.inf)), r"holds the value -inf"),
        (npy(np.where(IDS > 9, IDS, np.int16(-1))), r"holds the value -1 \(10 pixels\); .* 255 is void"),
        (npy(np.full((6, 9), 1 << 40)), r"holds the value 1099511627776 \(54 pixels\)"),
        (npy(CLASSES.to_rgb(IDS) * np.float32(1.01)), "has colours of float32"),
        (header("{'descr': '|u1', 'fortran_order': False, 'shape': (40000, 40000)}"), "claims 1600000000 pixels"),
        (header("{'descr': '|u1', 'fortran_order': False, 'shape': (-1, 5)}"), r"shape is \[-1, 5\]"),
        (header("{'descr': '|u1', 'fortran_order': False, 'shape': (5, True, 'a')}"), "cannot be decoded"),
        (header("print(1)"), "its header is damaged"),
        (header("{'descr': '|u1'}"), "cannot be decoded"),
        (b"\x93NUMPY\x03\x00" + bytes(200), "version 3.0 of the format"),
    ],
)
def test_arrays_that_are_no_masks(tmp_path, monkeypatch, content, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.npy").write_bytes(content)
    assert re.search(message, refused(tmp_path / "a.npy"))
    assert not (tmp_path / "unpickled").exists()


# Pictures


def bmp(ids, bits):
    """Returns a BMP of grey palette indices, compressed by no program: rows from below, padded to 4 bytes, by hand."""
    colors, width = 1 << bits, len(ids[0])
    padded = np.zeros((len(ids), -(-width * bits // 32) * 32 // bits), np.uint8)
    padded[:, :width] = ids
    groups = padded.reshape(len(ids), -1, 8 // bits)
    rows = (groups << np.arange(8 - bits, -1, -bits, dtype=np.uint8)).sum(axis=2, dtype=np.uint8)[::-1].tobytes()
    palette = b"".join(struct.pack("BBBB", 9, 255 - index, index, 0) for index in range(colors))
    start = 14 + 40 + len(palette)
    info = struct.pack("<IiiHHIIiiII", 40, width, len(ids), 1, bits, 0, len(rows), 0, 0, colors, 0)
    return b"BM" + struct.pack("<IHHI", start + len(rows), 0, 0, start) + info + palette + rows


@pytest.mark.parametrize("bits", [1, 4, 8])
def test_indices_of_bmps(tmp_path, bits):
    ids = IDS & np.uint8((1 << bits) - 1)
    (tmp_path / "a.bmp").write_bytes(bmp(ids, bits))
    np.testing.assert_array_equal(read(tmp_path / "a.bmp"), ids)
    assert len(label_header(tmp_path / "a.bmp").palette) == 3 << bits


@pytest.mark.parametrize("suffix", [".bmp", ".gif", ".tif", ".png"])
def test_greys_palettes_and_colors(tmp_path, suffix):
    path, ids = tmp_path / f"a{suffix}", np.where(IDS < 60, IDS, 255).astype(np.uint8)
    grey, palette = Image.fromarray(ids), Image.fromarray(ids)
    palette.putpalette(CLASSES.palette().tobytes())
    for image in (grey, grey.convert("RGB")):
        image.save(path)
        np.testing.assert_array_equal(read(path), ids)
        assert set(label_content(path).values) == set(ids.ravel().tolist())
    for image in (palette, palette.convert("RGB")):
        image.save(path)
        np.testing.assert_array_equal(read_label(path, CLASSES), ids)


def test_indices_of_gifs_are_no_ids(tmp_path):
    """Pillow, like other programs, leaves unused colours out, and numbers the others anew."""
    image = Image.fromarray(np.array([[0, 5, 9]], np.uint8))
    image.putpalette(CLASSES.palette().tobytes())
    image.save(tmp_path / "a.gif")
    with Image.open(tmp_path / "a.gif") as written:
        assert np.asarray(written).tolist() == [[0, 1, 2]]
    assert label_header(tmp_path / "a.gif").palette is None
    assert read_label(tmp_path / "a.gif", CLASSES).tolist() == [[0, 5, 9]]
    with pytest.raises(DataError, match=r"a.gif: has pixels of mode RGB, but values are expected"):
        read(tmp_path / "a.gif")


def test_equal_channels_are_colors_where_they_have_a_class_and_ids_else(tmp_path):
    voc, greys = ClassTable.voc(), np.array([[0, 1, 20, 255]], np.uint8)
    Image.fromarray(np.repeat(greys[..., None], 3, axis=2)).save(tmp_path / "ids.png")
    Image.fromarray(np.full((2, 2, 3), 128, np.uint8)).save(tmp_path / "cars.png")
    np.testing.assert_array_equal(read_label(tmp_path / "ids.png", voc), greys)
    assert (read_label(tmp_path / "cars.png", voc) == voc.names.index("car")).all()


@pytest.mark.parametrize("suffix", [".png", ".tif", ".npy"])
def test_white_of_16_bits_is_255(tmp_path, suffix):
    path, values = tmp_path / f"a{suffix}", np.array([[0, 65535], [65535, 7]], np.uint16)
    np.save(path, values) if suffix == ".npy" else Image.fromarray(values).save(path)
    np.testing.assert_array_equal(read(path), [[0, 255], [255, 7]])


@pytest.mark.parametrize(
    ("name", "form"), [("a.png", "JPEG"), ("a.tif", "WEBP"), ("a.bmp", "AVIF"), ("a.gif", "JPEG2000")]
)
def test_formats_that_change_values_are_refused(tmp_path, name, form):
    Image.fromarray(np.repeat(IDS[..., None], 3, axis=2)).save(tmp_path / name, format=form)
    assert "whose values are not exact; export it as a PNG" in refused(tmp_path / name)


def test_colors_of_16_bits_are_refused(tmp_path):
    """Pillow keeps their upper bytes, so ids would become 0."""
    rows = [b"\0" + row.tobytes() for row in np.repeat(IDS[..., None], 3, axis=2).astype(">u2").reshape(6, -1)]
    (tmp_path / "a.png").write_bytes(png(16, 2, rows, (6, 9)))
    assert "in 16 bits; export grey, or colours of 8 bits" in refused(tmp_path / "a.png")


@pytest.mark.parametrize("suffix", [".bmp", ".gif", ".tif", ".png"])
def test_files_that_are_cut_off(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    Image.fromarray(np.random.default_rng(0).integers(0, 99, (60, 60)).astype(np.uint8)).save(path)
    content = path.read_bytes()
    for size in (0, 3, 9, 30, len(content) // 2):
        path.write_bytes(content[:size])
        assert "cannot be decoded" in refused(path)


# Values that number objects, too


@pytest.mark.parametrize(
    ("divisor", "values", "classes"),
    [
        (1, [0, 7, 255], [0, 7, 255]),
        (256, [0, 255, 256, 7 * 256, 26 * 256 + 3], [0, 255, 1, 7, 26]),
        (1000, [0, 7, 255, 1000, 24_000, 26_003], [0, 7, 255, 1, 24, 26]),
    ],
)
def test_classes_are_values_divided(tmp_path, divisor, values, classes):
    assert class_part(np.array(values), divisor).tolist() == classes
    for suffix in (".png", ".tif", ".npy"):
        path, array = tmp_path / f"a{suffix}", np.array([values], np.uint16)
        np.save(path, array) if suffix == ".npy" else Image.fromarray(array).save(path)
        assert label_header(path).is_wide
        assert read_value_label(path, CLASSES, VALUES, divisor).tolist() == [classes]


def test_values_that_do_not_number_objects_are_refused_where_others_do(tmp_path):
    for divisor, value in ((256, 7), (1000, 300)):
        np.save(tmp_path / "a.npy", np.array([[0, 24_000, value]]))
        with pytest.raises(DataError, match=f"a.npy: .*holds the value {value}"):
            read_value_label(tmp_path / "a.npy", CLASSES, VALUES, divisor)
