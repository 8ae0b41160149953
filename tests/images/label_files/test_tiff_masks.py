"""TIFF masks of every kind, written by tifffile: read to the very ids, or refused by name."""

import itertools
import re

import numpy as np
import pytest
import tifffile
from PIL import Image

from keras_fcn.errors import DataError
from keras_fcn.images.classes import ClassTable
from keras_fcn.images.label_files.opening import label_header
from keras_fcn.images.masks import read_label, read_value_label
from keras_fcn.system import packages

IDS = np.random.default_rng(0).integers(0, 100, (5, 16)).astype(np.uint8)
CLASSES = ClassTable.named([f"class{index}" for index in range(100)])
VALUES = (*range(100), *[254] * 155, 255)

TYPES = ["u1", "u2", "u4", "i1", "i2", "i8", "f2", "f4", "f8"]
FORMS = {  # photometric, samples, planes
    "grey": ("minisblack", 1, None),
    "inverted": ("miniswhite", 1, None),
    "palette": ("palette", 1, None),
    "three equal bands": ("rgb", 3, "contig"),
    "three equal planes": ("rgb", 3, "separate"),
    "four bands": ("rgb", 4, "contig"),
    "two bands": ("minisblack", 2, "contig"),
    "five bands": ("minisblack", 5, "contig"),
    "inks": ("separated", 4, "contig"),
}
REFUSED = {
    "inverted": "has 0 for white",
    "four bands": "has 4 bands",
    "two bands": "has 2 bands",
    "five bands": "has 5 bands",
    "inks": "has 4 bands",
}


def read(path):
    return read_value_label(path, CLASSES, VALUES)


def write(path, kind, form, **options):
    photometric, samples, planes = FORMS[form]
    values = IDS.astype(kind)
    if samples > 1:
        values = np.stack([values] * samples, axis=-1 if planes == "contig" else 0)
        options["planarconfig"] = planes
        options["extrasamples"] = [0] * (
            samples - (3 if photometric == "rgb" else 4 if photometric == "separated" else 1)
        )
    if photometric == "palette":
        options["colormap"] = np.random.default_rng(1).integers(0, 65535, (3, 1 << 8 * values.itemsize)).astype("u2")
    tifffile.imwrite(path, values, photometric=photometric, metadata=None, **options)
    np.testing.assert_array_equal(tifffile.imread(path), values)


@pytest.mark.parametrize("form", FORMS)
def test_values_are_read_as_they_are_stored_or_refused(tmp_path, form):
    path, found = tmp_path / "a.tif", set()
    kinds = ["u1", "u2"] if form == "palette" else TYPES
    layouts = [(None, "<", False), (None, ">", False), ("zlib", "<", True), ("zlib", ">", False)]
    for kind, (compression, order, big) in itertools.product(kinds, layouts):
        write(path, kind, form, compression=compression, byteorder=order, bigtiff=big, tile=(16, 16) if big else None)
        try:
            np.testing.assert_array_equal(read(path), IDS, err_msg=f"{kind} {order} {compression}")
            assert label_header(path).is_wide == (kind not in ("u1", "i1")) or "three" in form
            found.add("exact")
        except DataError as error:
            found.add(re.sub(r".*a\.tif: |; .*|,.*", "", str(error)))
    expected = {"exact", "has a palette of 16 bits"} if form == "palette" else {"exact"}
    if form in REFUSED:
        (line,) = found
        assert line.startswith(REFUSED[form])
    else:
        assert found == expected


def test_bits_of_which_programs_mean_different_things(tmp_path):
    path, black = tmp_path / "a.tif", IDS > 50
    for photometric, values in (("minisblack", black), ("miniswhite", ~black)):  # 1 bit: as it is displayed
        tifffile.imwrite(path, values, photometric=photometric)
        np.testing.assert_array_equal(read(path), black)
    for bits in (2, 4):
        entries = [(256, 8), (257, 1), (258, bits), (259, 1), (262, 1), (273, 8), (277, 1), (278, 1), (279, bits)]
        directory = b"".join(np.array([tag, 3], "<u2").tobytes() + np.array([1, value], "<u4").tobytes()
                             for tag, value in entries)  # fmt: skip
        path.write_bytes(b"II*\0\x10\0\0\0" + bytes(8) + bytes([len(entries), 0]) + directory + bytes(4))
        with pytest.raises(DataError, match=f"a.tif: is grey in {bits} bits, where ids and shades look alike"):
            read(path)


def test_colors_of_16_bits_are_those_of_8(tmp_path):
    path, colors = tmp_path / "a.tif", CLASSES.to_rgb(IDS)
    tifffile.imwrite(path, colors.astype(np.uint16) * 257, photometric="rgb")
    np.testing.assert_array_equal(read_label(path, CLASSES), IDS)
    tifffile.imwrite(path, colors.astype(np.uint16) * 256, photometric="rgb")
    with pytest.raises(DataError, match="colours of uint16 that are none of 8 bits"):
        read_label(path, CLASSES)


def test_compressions_that_change_values_are_refused(tmp_path):
    for pixels in (IDS, CLASSES.to_rgb(IDS)):
        Image.fromarray(pixels).save(tmp_path / "a.tif", compression="jpeg")
        with pytest.raises(DataError, match="is compressed as JPEG or another that changes values; export it with LZW"):
            read(tmp_path / "a.tif")


def test_damaged_files_are_one_line(tmp_path):
    path = tmp_path / "a.tif"
    for kind in ("u1", "i8"):
        write(path, kind, "grey", compression="zlib")
        content = path.read_bytes()
        for size in range(3, len(content), 41):
            path.write_bytes(content[:size])
            with pytest.raises(DataError, match=r"a\.tif: cannot be decoded \(.*\); replace") as caught:
                read(path)
            assert "\n" not in str(caught.value)


def test_without_rasterio_a_line_says_what_to_install(tmp_path, monkeypatch):
    write(tmp_path / "a.tif", "i8", "grey")
    monkeypatch.setattr(packages.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(
        DataError, match=r"a.tif: has values that Pillow does not read: needs rasterio, which is not installed: pip"
    ):
        read(tmp_path / "a.tif")
