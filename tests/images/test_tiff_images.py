"""TIFF images of every kind, written by tifffile: shown as they are meant, or refused by name."""

import importlib.util
import io
import itertools
import struct
import warnings

import numpy as np
import pytest
import tifffile
from kinds_of_files import PIXELS
from PIL import Image

from keras_fcn.errors import DataError
from keras_fcn.images.photos import inspect_image, read_image

LAYOUTS = [(None, "<", None), (None, ">", None), ("zlib", "<", (16, 16)), ("zlib", ">", None)]
UNSIGNED, OTHERS = ["u1", "u2"], ["u4", "u8", "i1", "i2", "i4", "f2", "f4", "f8"]
FORMS = {  # photometric, samples, planes
    "grey": ("minisblack", 1, None),
    "inverted": ("miniswhite", 1, None),
    "colours": ("rgb", 3, "contig"),
    "planes": ("rgb", 3, "separate"),
    "alpha": ("rgb", 4, "contig"),
    "planes and alpha": ("rgb", 4, "separate"),
    "inks": ("separated", 4, "contig"),
    "two bands": ("minisblack", 2, "contig"),
    "five bands": ("minisblack", 5, "contig"),
}


def shown(form, values):
    """Returns upper bytes [H, W, samples] as RGB."""
    if form in ("grey", "inverted"):
        return np.repeat(values if form == "grey" else 255 - values, 3, axis=2)
    return np.asarray(Image.fromarray(values, "CMYK").convert("RGB")) if form == "inks" else values[..., :3]


def refused(path):
    """Returns the line of both readers about a file."""
    lines = set()
    for read in (read_image, inspect_image):
        with pytest.raises(DataError) as caught:
            read(path)
        lines.add(str(caught.value))
    (line,) = lines
    assert "\n" not in line
    return line


@pytest.mark.parametrize("form", FORMS)
def test_images_are_shown_as_they_are_meant_or_refused(tmp_path, form):
    path = tmp_path / "a.tif"
    photometric, samples, planes = FORMS[form]
    upper = np.concatenate([PIXELS, PIXELS[::-1]], axis=2)[..., :samples]
    found = set()
    cases = [*itertools.product(UNSIGNED, LAYOUTS), *itertools.product(OTHERS, LAYOUTS[::3])]
    for kind, (compression, order, tile) in cases:
        values = upper.astype(np.uint16) * 256 + 77 if kind == "u2" else (upper // 2 if kind == "i1" else upper)
        values = np.moveaxis(values, -1, 0) if planes == "separate" else values[..., 0] if samples == 1 else values
        options = {"planarconfig": planes} if planes else {}
        tifffile.imwrite(
            path, values.astype(kind), photometric=photometric, compression=compression, byteorder=order, tile=tile,
            metadata=None, **options,
        )  # fmt: skip
        if kind in OTHERS or form in ("two bands", "five bands"):
            assert "cannot be decoded (" in refused(path), (kind, order, compression)
            continue
        try:
            pixels = read_image(path)
        except DataError:
            found.add((kind, "refused"))
            assert "it has 0 for white" in (line := refused(path)) or "planes lie" in line or "not read" in line
        else:
            found.add((kind, "read"))
            np.testing.assert_array_equal(pixels, shown(form, upper), err_msg=f"{kind} {order} {compression}")
    both = {(kind, "read") for kind in UNSIGNED}
    one = {("u1", "read"), ("u2", "refused")}
    none = {(kind, "refused") for kind in UNSIGNED}
    expected = {"inverted": one, "two bands": set(), "five bands": set()}
    if importlib.util.find_spec("rasterio") is None:
        expected |= {"planes": one, "planes and alpha": none}
    assert found == expected.get(form, both)


def test_12_bits_are_refused(tmp_path):
    entries = [(256, 8), (257, 1), (258, 12), (259, 1), (262, 1), (273, 8), (277, 1), (278, 1), (279, 12)]
    directory = b"".join(
        np.array([tag, 3], "<u2").tobytes() + np.array([1, value], "<u4").tobytes() for tag, value in entries
    )
    (tmp_path / "a.tif").write_bytes(
        b"II*\0\x14\0\0\0" + bytes(range(12)) + bytes([len(entries), 0]) + directory + bytes(4)
    )
    assert "it has values of 12 bits, which would be read wrongly; save it as a PNG of 16 bits" in refused(
        tmp_path / "a.tif"
    )


def tiff_of(jpeg, compression, sampling):
    """Returns a TIFF whose only strip is a JPEG, as it is."""
    height, width = PIXELS.shape[:2]
    tags = {256: width, 257: height, 258: None, 259: compression, 262: 6, 273: 8, 277: 3, 278: height, 279: len(jpeg)}
    tags |= {513: 8, 514: len(jpeg)} if compression == 6 else {}
    tags |= {530: sampling | sampling << 16}
    start = 8 + len(jpeg)
    entries = [
        struct.pack(
            "<HHII",
            tag,
            3 if tag in (258, 530) else 4,
            {258: 3, 530: 2}.get(tag, 1),
            value or start + 2 + 12 * len(tags) + 4,
        )
        for tag, value in tags.items()
    ]
    directory = struct.pack("<H", len(tags)) + b"".join(entries) + bytes(4) + struct.pack("<3H", 8, 8, 8)
    return b"II*\0" + struct.pack("<I", start) + jpeg + directory


def jpeg_of(**options):
    file = io.BytesIO()
    Image.fromarray(PIXELS).save(file, "JPEG", quality=90, **options)
    return file.getvalue()


@pytest.mark.parametrize("compression", [6, 7])
def test_jpegs_inside_are_read_as_alone(tmp_path, compression):
    alone, inside = tmp_path / "a.jpg", tmp_path / "a.tif"
    for options in ({"subsampling": 0}, {"subsampling": 2}, {"subsampling": 2, "progressive": True}):
        jpeg = jpeg_of(**options)
        alone.write_bytes(jpeg)
        inside.write_bytes(tiff_of(jpeg, compression, 1 + (options["subsampling"] == 2)))
        if compression == 6 and options.get("progressive"):  # TIFF 6.0 knows none
            assert "a.tif: cannot be decoded (" in refused(inside)
        else:  # libtiff enlarges the colours of old files without smoothing
            differences = np.abs(read_image(inside).astype(int) - read_image(alone))
            assert differences.mean() < (5 if compression == 6 and options["subsampling"] else 1e-9)


def test_a_jpeg_of_many_scans_inside_is_refused(tmp_path):
    jpeg = jpeg_of(progressive=True)
    scan = jpeg[jpeg.rindex(b"\xff\xda") : -2]
    (tmp_path / "a.tif").write_bytes(tiff_of(jpeg[:-2] + 200 * scan + jpeg[-2:], 7, 2))
    assert "a.tif: cannot be decoded (" in refused(tmp_path / "a.tif")


def test_one_that_is_cut_off_before_its_size_is_said_to_be(tmp_path):
    Image.fromarray(PIXELS).save(tmp_path / "whole.tif")
    whole = (tmp_path / "whole.tif").read_bytes()
    for content in (whole[:8], whole[:12], b"II*\0\x10\0\0\0CR\x02\0" + bytes(40)):  # the last as a Canon's raw photo
        (tmp_path / "a.tif").write_bytes(content)
        assert "a.tif: cannot be decoded (a TIFF that is cut off or damaged, or a raw" in refused(tmp_path / "a.tif")


@pytest.mark.parametrize("compression", [None, "tiff_lzw", "tiff_deflate"])
@pytest.mark.parametrize("orientation", [1, 6])
def test_large_ones_are_not_refused_by_pillows_limit(tmp_path, monkeypatch, compression, orientation):
    """Pillow warns above its limit and raises above twice as many pixels, for TIFFs when they are decoded, too."""
    pixels = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.tif", compression=compression, tiffinfo={274: orientation})
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read = read_image(tmp_path / "a.tif")
    np.testing.assert_array_equal(read, pixels if orientation == 1 else np.rot90(pixels, -1))


def test_planes_need_rasterio(tmp_path, monkeypatch):
    tifffile.imwrite(tmp_path / "a.tif", np.moveaxis(PIXELS, -1, 0).astype(np.uint16), photometric="rgb")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert "(its 3 planes lie one after another; save it with interleaved pixels, or install Rasterio" in refused(
        tmp_path / "a.tif"
    )
