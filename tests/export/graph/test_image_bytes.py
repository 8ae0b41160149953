"""Image files decoded and rejected inside the graph, with a "network" that makes ids from colours."""

import io
import struct
import zlib

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from kinds_of_files import PHOTOS, PIXELS, interlaced_png, shown, write_photo
from PIL import Image, PngImagePlugin

from export.formats.file_limits import FileLimits
from export.formats.graph.image_bytes import IMAGE_BYTES, segment_files
from export.formats.graph.image_header import read_header
from keras_fcn import read_image
from keras_fcn.images.headers.orientation import exif_orientation

MAX_PIXELS = 10_000
LIMIT = f"the limit is {MAX_PIXELS} pixels (--max-pixels of the export)"
LIMITS = FileLimits(MAX_PIXELS, max_scans=10, max_texts=1)


def mixed(images):
    """Class ids 0 to 250 that depend on all three channels."""
    weighted = tf.cast(images, tf.int32) * [1, 3, 7]
    return tf.cast(tf.reduce_sum(weighted, axis=-1) % 251, tf.uint8)


@tf.function(input_signature=[IMAGE_BYTES])
def segment(image_bytes):
    return segment_files(image_bytes, mixed, 251, LIMITS)


@tf.function(input_signature=[tf.TensorSpec([], tf.string)])
def header(data):
    return read_header(data, LIMITS)


def mask(files):
    return [np.asarray(Image.open(io.BytesIO(png))) for png in segment(tf.constant(files))["mask_png_bytes"].numpy()]


def error_of(*files):
    with pytest.raises(tf.errors.InvalidArgumentError) as caught:
        segment(tf.constant(files))
    return str(caught.value)


def photo(tmp_path, name="plain.jpg"):
    return write_photo(tmp_path, name).read_bytes()


def png_that_claims(height, width):
    content = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + content + struct.pack(">I", zlib.crc32(content))


def jpeg_that_claims(height, width, tmp_path):
    data = bytearray(photo(tmp_path))
    frame = data.index(b"\xff\xc0")
    data[frame + 5 : frame + 9] = struct.pack(">HH", height, width)
    return bytes(data)


def test_every_kind_of_image_is_decoded_as_viewers_show_it(tmp_path):
    """All in one call."""
    paths = [write_photo(tmp_path, name) for name in PHOTOS]
    for path, ids in zip(paths, mask([path.read_bytes() for path in paths])):
        np.testing.assert_array_equal(ids, mixed(shown(path)), err_msg=path.name)


def test_operations_one_by_one_do_what_the_graph_does(tmp_path):
    """Outside of a graph, where every line of Python is seen; scans are counted where there may be too many."""
    files = tf.constant([photo(tmp_path, name) for name in ("turned 6.jpg", "turned 5.png")])
    strict = LIMITS._replace(max_scans=0)
    alone, graph = (function(files) for function in (lambda data: segment_files(data, mixed, 251, LIMITS), segment))
    for name in graph:
        np.testing.assert_array_equal(alone[name], graph[name])
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"image_bytes\[0\] takes too long to decode: .* 0 scans"):
        segment_files(files[:1], mixed, 251, strict)


def test_interlaced_and_one_pixel_images():
    pixels = np.random.default_rng(0).integers(0, 256, (13, 10, 3), np.uint8)
    first, second = mask([interlaced_png(pixels), interlaced_png(pixels[:1, :1])])
    np.testing.assert_array_equal(first, mixed(pixels))
    np.testing.assert_array_equal(second, mixed(pixels[:1, :1]))


def test_orientation_in_either_byte_order_and_behind_other_segments(tmp_path):
    """By hand: a comment, then a big-endian and a little-endian directory of two entries; the second one counts."""
    data = photo(tmp_path)
    comment = b"\xff\xfe\x00\x06what"
    for order, magic in ((">", b"MM\0*"), ("<", b"II*\0")):
        entries = [(0x0100, 3, 1, 7, 0), (0x0112, 3, 1, 6, 0)]
        directory = struct.pack(f"{order}H", 2) + b"".join(struct.pack(f"{order}HHIHH", *entry) for entry in entries)
        content = b"Exif\0\0" + magic + struct.pack(f"{order}I", 8) + directory + bytes(4)
        exif = b"\xff\xe1" + struct.pack(">H", len(content) + 2) + content
        turned = data[:2] + comment + b"\xff" + exif + data[2:]  # a marker may be preceded by any number of 0xFF
        (tmp_path / "turned.jpg").write_bytes(turned)
        ids = mask([turned])[0]
        np.testing.assert_array_equal(ids, mixed(read_image(tmp_path / "turned.jpg")))
        assert ids.shape == (83, 61)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    st.sampled_from([b"II*\0\x08\0\0\0", b"MM\0*\0\0\0\x08", b"II*\0\xff\xff\xff\xff", b"words and"]),
    st.lists(st.tuples(st.sampled_from([0x0100, 0x0112]), st.sampled_from([3, 4]), st.integers(0, 9)), max_size=3),
    st.sampled_from("<>"),
    st.integers(0, 60),
)
def test_exif_data_of_any_kind_turn_files_in_the_graph_as_elsewhere(start, entries, order, end):
    packed = b"".join(struct.pack(f"{order}HHIHH", tag, kind, 1, value, 0) for tag, kind, value in entries)
    exif = (start + struct.pack(f"{order}H", len(entries)) + packed)[:end]
    segment = b"\xff\xe1" + struct.pack(">H", len(exif) + 8) + b"Exif\0\0" + exif
    jpeg = b"\xff\xd8" + segment + b"\xff\xc0\0\x11\x08\0\x05\0\x07" + bytes(20)
    chunk = struct.pack(">I", len(exif)) + b"eXIf" + exif + bytes(4)
    png = png_that_claims(5, 7) + chunk + bytes(4) + b"IDAT"
    assert [int(header(data).orientation) for data in (jpeg, png)] == [exif_orientation(exif)] * 2


def test_no_files_give_no_masks():
    output = segment(tf.constant([], tf.string))
    assert (output["mask_png_bytes"].shape, output["class_shares"].shape) == ((0,), (0, 251))


def test_fractions_are_those_of_the_pixels(tmp_path):
    path = write_photo(tmp_path, "plain.jpg")
    ids = mixed(read_image(path)).numpy()
    fractions = segment(tf.constant([path.read_bytes()]))["class_shares"][0]
    np.testing.assert_allclose(fractions, np.bincount(ids.ravel(), minlength=251) / ids.size, rtol=1e-6)


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"", "is empty; send the bytes of a JPEG or PNG file"),
        (b"GIF89a\x01\x00\x01\x00\x00\x00\x00", "is a GIF; send a JPEG or PNG"),
        (b"RIFF\x20\0\0\0WEBPVP8 ", "is a WebP; send a JPEG or PNG"),
        (b"MM\0*" + bytes(60), "is a TIFF; send a JPEG or PNG"),
        (b"\0\0\0\x18ftypheic" + bytes(60), "is a HEIC; send a JPEG or PNG"),
        (b"\0\0\0\x1cftypavif" + bytes(60), "is an AVIF; send a JPEG or PNG"),
        (b"BM" + bytes(60), "is a BMP; send a JPEG or PNG"),
        (b"\x93NUMPY\1\0", "is a NumPy array; send a JPEG or PNG"),
        (b"ftypheic" + bytes(60), "is neither a JPEG nor a PNG"),
        (b"\xff\xd8\xff", "is damaged: its header does not say how large the image is"),
        (b"\x89PNG\r\n\x1a\n", "is damaged: its header does not say how large the image is"),
        (png_that_claims(0, 7), "is damaged: its header does not say how large the image is"),
        (png_that_claims(2**32 - 1, 7), "is damaged: its header does not say how large the image is"),
        (
            png_that_claims(60_000, 60_000),
            f"claims 60000 x 60000 pixels; {LIMIT}",
        ),
        (
            png_that_claims(2**31 - 1, 2**31 - 1),
            f"claims 2147483647 x 2147483647 pixels; {LIMIT}",
        ),
        (png_that_claims(101, 100), f"claims 101 x 100 pixels; {LIMIT}"),
    ],
)
def test_the_fault_of_a_file_is_named(data, what):
    assert f"[image_bytes[0] {what}]" in error_of(data)


def test_a_file_that_takes_long_is_rejected_by_its_structure(tmp_path):
    texts = PngImagePlugin.PngInfo()
    for key in ("one", "two"):
        texts.add_text(key, "text", zip=True)
    Image.fromarray(PIXELS).save(tmp_path / "texts.png", pnginfo=texts)
    jpeg = write_photo(tmp_path, "progressive.jpg").read_bytes()
    assert mask([jpeg])[0].shape == PIXELS.shape[:2]  # it has as many scans as there may be
    again = jpeg[:-2] + jpeg[jpeg.rindex(b"\xff\xda") :]  # its last scan comes twice
    for data, what, most in (((tmp_path / "texts.png").read_bytes(), "texts", 1), (again, "scans", 10)):
        limit = f"it has more than {most} {what}; the limit is {most} {what} (--max-{what} of the export)"
        assert f"[image_bytes[0] takes too long to decode: {limit}]" in error_of(data)


def test_a_jpeg_that_claims_too_much_is_rejected(tmp_path):
    assert "[image_bytes[0] claims 60000 x 50000 pixels;" in error_of(jpeg_that_claims(60_000, 50_000, tmp_path))
    assert "[image_bytes[0] is damaged:" in error_of(jpeg_that_claims(0, 50, tmp_path))


def test_all_bad_files_of_a_batch_are_named_and_none_is_decoded(tmp_path):
    good = photo(tmp_path)
    message = error_of(good, b"", good, png_that_claims(60_000, 60_000))
    assert "[image_bytes[1] is empty; send the bytes of a JPEG or PNG file; image_bytes[3] claims 60000 x" in message


@pytest.mark.parametrize("name", ["plain.jpg", "rgba.PNG"])
def test_a_file_without_its_end_fails(tmp_path, name):
    data = photo(tmp_path, name)
    assert "image_bytes[" not in error_of(data[: 3 * len(data) // 4])  # the decoder's own words, without the index


def test_a_file_of_endless_segments_is_given_up():
    assert "is damaged" in error_of(b"\xff\xd8" + b"\xff\xfe\x00\x02" * 5000)


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from([b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe1\x00\x20Exif\0\0II*\0"]),
    st.binary(max_size=80),
)
def test_no_bytes_break_the_reading_of_a_header(start, rest):
    """Whatever they are, the header is read to a fault or to sizes within the limit."""
    found = header(start + rest)
    height, width = int(found.height), int(found.width)
    assert found.fault.numpy() or (height > 0 and width > 0 and height * width <= MAX_PIXELS)
    assert 1 <= int(found.orientation) <= 8
