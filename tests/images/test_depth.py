"""Images of 16 and 32 bits, and TIFF files: read with all their values in order, or refused."""

import struct

import numpy as np
import pytest
from kinds_of_files import PIXELS, png
from PIL import Image

from keras_fcn import Predictor
from keras_fcn.errors import UserError
from keras_fcn.images.classes import ClassTable
from keras_fcn.images.photos import as_image, image_size, inspect_image, read_image
from keras_fcn.images.values.depth import dark_ones, describe_dark


def tiff(path, values, sample_format=1, planes_apart=False, xmp=b""):
    """Writes uncompressed values [H, W, C] as a TIFF file, by hand."""
    height, width, samples = values.shape
    pixels = (np.moveaxis(values, -1, 0) if planes_apart else values).tobytes()
    pieces = samples if planes_apart else 1
    start = 8 + len(pixels)
    tail = b""

    def numbers(*shorts):
        """Returns an entry's value: two short numbers, or the place of more."""
        nonlocal tail
        packed = struct.pack(f"<{len(shorts)}H", *shorts)
        if len(packed) <= 4:
            return packed.ljust(4, b"\0")
        tail += packed
        return struct.pack("<I", start + len(tail) - len(packed))

    def longs(*values):
        nonlocal tail
        if len(values) == 1:
            return struct.pack("<I", *values)
        tail += struct.pack(f"<{len(values)}I", *values)
        return struct.pack("<I", start + len(tail) - 4 * len(values))

    size = len(pixels) // pieces
    entries = [
        (256, 3, 1, numbers(width)), (257, 3, 1, numbers(height)),
        (258, 3, samples, numbers(*[8 * values.itemsize] * samples)), (259, 3, 1, numbers(1)),
        (262, 3, 1, numbers(2 if samples >= 3 else 1)), (273, 4, pieces, longs(*(8 + size * n for n in range(pieces)))),
        (277, 3, 1, numbers(samples)), (278, 3, 1, numbers(height)), (279, 4, pieces, longs(*[size] * pieces)),
        (284, 3, 1, numbers(2 if planes_apart else 1)), (339, 3, samples, numbers(*[sample_format] * samples)),
    ]  # fmt: skip
    if xmp:
        tail += xmp
        entries.append((700, 1, len(xmp), struct.pack("<I", start + len(tail) - len(xmp))))
    directory = b"".join(struct.pack("<HHI", *entry[:3]) + entry[3] for entry in sorted(entries))
    header = b"II*\0" + struct.pack("<I", start + len(tail))
    path.write_bytes(header + pixels + tail + struct.pack("<H", len(entries)) + directory + bytes(4))
    return path


@pytest.mark.parametrize("planes_apart", [False, True])
def test_tiffs_of_8_bits_are_read(tmp_path, planes_apart):
    path = tiff(tmp_path / "a.tif", PIXELS, planes_apart=planes_apart)
    np.testing.assert_array_equal(read_image(path), PIXELS)


def test_the_upper_8_of_16_bits_are_read(tmp_path):
    deep = PIXELS.astype(np.uint16) * 256 + 77
    for path in (tiff(tmp_path / "colour.tif", deep), tiff(tmp_path / "grey.tif", deep[..., :1])):
        expected = PIXELS if path.stem == "colour" else np.repeat(PIXELS[..., :1], 3, axis=2)
        np.testing.assert_array_equal(read_image(path), expected)


def test_no_orientation_in_xmp_turns_a_tiff(tmp_path):
    path = tiff(tmp_path / "a.tif", PIXELS, xmp=b'<x:xmpmeta tiff:Orientation="6"/>')
    assert image_size(path) == PIXELS.shape[:2]
    np.testing.assert_array_equal(read_image(path), PIXELS)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(PIXELS).save(tmp_path / "turned.tif", exif=exif)
    assert image_size(tmp_path / "turned.tif") == PIXELS.shape[1::-1]
    np.testing.assert_array_equal(read_image(tmp_path / "turned.tif"), np.rot90(PIXELS, -1))


def test_exif_alone_turns_a_webp(tmp_path):
    exif, xmp = Image.Exif(), b'<x:xmpmeta tiff:Orientation="8"/>'
    exif[0x0112] = 6
    Image.fromarray(PIXELS).save(tmp_path / "exif.webp", lossless=True, exif=exif, xmp=xmp)
    Image.fromarray(PIXELS).save(tmp_path / "xmp.webp", lossless=True, xmp=xmp)
    np.testing.assert_array_equal(read_image(tmp_path / "exif.webp"), np.rot90(PIXELS, -1))
    np.testing.assert_array_equal(read_image(tmp_path / "xmp.webp"), PIXELS)


@pytest.mark.parametrize(
    ("kind", "sample_format", "planes_apart", "message"),
    [
        ("f4", 3, False, "floating-point values, whose range nothing tells"),
        ("u4", 1, False, "integers of 32 bits or with a sign"),
        ("i4", 2, False, "integers of 32 bits or with a sign"),
        ("i2", 2, False, "integers of 32 bits or with a sign"),
        ("i1", 2, False, "its values have a sign"),
        ("f4", 3, True, "a TIFF of bands or values that are not read"),
    ],
)
def test_what_pillow_would_misread_is_refused(tmp_path, kind, sample_format, planes_apart, message):
    values = (PIXELS // 2).astype(kind)
    path = tiff(tmp_path / "a.tif", values if planes_apart else values[..., :1], sample_format, planes_apart)
    for read in (read_image, inspect_image):
        with pytest.raises(UserError, match=f"a.tif: cannot be decoded .*{message}"):
            read(path)


def test_images_in_memory_are_refused_likewise():
    for mode in ("F", "I"):
        with pytest.raises(UserError, match=r"the image: cannot be decoded .*scale them to 8 bits"):
            as_image(Image.fromarray(PIXELS[..., 0]).convert(mode))


def test_images_of_12_bits_in_16_are_remarked_with_their_brightest_value(tmp_path):
    grey = np.full((4, 5), 800, np.uint16)
    grey[1, 2] = 3499
    Image.fromarray(grey).save(tmp_path / "grey.png")
    rows = [b"\0" + row.tobytes() for row in np.repeat(grey[..., None], 3, axis=2).astype(">u2").reshape(4, -1)]
    (tmp_path / "colour.png").write_bytes(png(16, 2, rows, (4, 5)))
    Image.fromarray(grey).save(tmp_path / "grey.tif")
    Image.fromarray(np.full((4, 5), 3, np.uint8)).save(tmp_path / "8 bits.png")
    found = {path.name: inspect_image(path).brightest for path in sorted(tmp_path.iterdir())}
    assert found == {"8 bits.png": None, "colour.png": 3583, "grey.png": 3499, "grey.tif": 3499}
    line = describe_dark({name: value for name, value in found.items() if value})
    assert line == (
        "colour.png and 2 more are nearly black: no value of 16 bits is above 3,583 of 65,535, which is read as 13 of "
        "255; multiply by 16 if these are values of 12 bits"
    )
    assert dark_ones({"bright.png": 60_000, "dim.png": 0}) == {"dim.png": 0}
    assert "dim.png: is nearly black: no value of 16 bits is above 0 of" in describe_dark({"dim.png": 0})


def test_the_predictor_warns_of_an_image_that_is_nearly_black(tmp_path):
    Image.fromarray(np.full((4, 5), 3000, np.uint16)).save(tmp_path / "dark.png")
    predictor = Predictor(lambda images: images[..., 0], ClassTable.voc())
    with pytest.warns(UserWarning, match=r"dark.png: is nearly black: .* 3,071 of 65,535"):
        assert (predictor(tmp_path / "dark.png") == 11).all()
