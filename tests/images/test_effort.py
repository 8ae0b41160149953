"""What tells the work of decoding a file, in Python and in the graph, with low limits on ordinary files."""

import functools
import io
import struct
import zlib

import pytest
import tensorflow as tf
from hypothesis import example, given, settings
from hypothesis import strategies as st
from kinds_of_files import PIXELS
from PIL import Image

from export.formats.graph import effort as graph
from keras_fcn import UserError, read_image
from keras_fcn.images import photos, pillow
from keras_fcn.images.headers import effort

FILE = tf.TensorSpec([], tf.string)


def jpeg(pixels=PIXELS, **options):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", **options)
    return file.getvalue()


def segment(marker, content):
    return struct.pack(">HH", marker, len(content) + 2) + content


def png(*texts):
    """A PNG of one pixel with compressed texts of 4 bytes."""
    file = io.BytesIO()
    Image.new("L", (1, 1)).save(file, "PNG")
    data = file.getvalue()
    chunks = []
    for kind in texts:
        content = kind + b"key\0\0" + zlib.compress(b"text")
        chunks.append(struct.pack(">I", len(content) - 4) + content + struct.pack(">I", zlib.crc32(content)))
    return data[:33] + b"".join(chunks) + data[33:]


@functools.cache
def in_graph(name, most):
    return tf.function(lambda data: getattr(graph, name)(data, most), input_signature=[FILE])


def both(name, data, most):
    """Returns what both say, which must be the same."""
    found = getattr(effort, name)(data, most), bool(in_graph(name, most)(tf.constant(data)))
    assert found[0] == found[1]
    return found[0]


# A film that follows the image, a thumbnail within a segment, and restarts hold the bytes of a scan's beginning.
PROGRESSIVE = jpeg(progressive=True)
HIDDEN = segment(0xFFE5, b"\xff\xda\0\x08" * 30)


@pytest.mark.parametrize(
    ("data", "scans"),
    [
        (jpeg(), 1),
        (jpeg(PIXELS[..., 0]), 1),
        (PROGRESSIVE, 10),  # libjpeg's script for colours
        (jpeg(PIXELS[..., 0], progressive=True), 6),  # and for grey
        (jpeg(restart_marker_blocks=1), 1),
        (PROGRESSIVE + HIDDEN * 9, 10),
        (PROGRESSIVE[:2] + HIDDEN * 9 + PROGRESSIVE[2:], 10),
        (PROGRESSIVE[:2] + b"\xff" * 99 + PROGRESSIVE[2:], 10),
        (PROGRESSIVE[:-2], 10),
        (PROGRESSIVE[:2] + segment(0xFFFE, b"") * 1000 + PROGRESSIVE[2:], None),  # too many segments to tell
    ],
)
def test_scans_are_counted(data, scans):
    for most in (0, 5, 6, 9, 10) if scans else (0,):
        assert both("has_many_scans", data, most) == (scans is None or scans > most)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(
    st.lists(st.sampled_from([b"\xff", b"\xda", b"\xd9", b"\0", b"\xff\xda\0\x02", b"\xff\xd0", b"\xff\xe0\0"])),
    st.integers(0, 3),
)
@example([b"\xff\xda"] * 2, 1)
def test_both_count_alike_in_any_bytes(pieces, most):
    both("has_many_scans", b"\xff\xd8" + b"".join(pieces), most)


def test_compressed_texts_are_counted():
    data = png(b"zTXt", b"iTXt", b"tEXt")
    assert [both("has_many_texts", data, most) for most in (1, 2)] == [True, False]
    assert not both("has_many_texts", png(b"tEXt", b"tEXt"), 0)


def test_a_file_of_many_scans_is_not_decoded(tmp_path, monkeypatch):
    monkeypatch.setattr(pillow, "has_many_scans", lambda data: effort.has_many_scans(data, 9))
    (tmp_path / "a.jpg").write_bytes(PROGRESSIVE)
    expected = r"a\.jpg: cannot be decoded \(it has more than 100 scans, which take too long; save it anew\); replace"
    for read in (read_image, photos.inspect_image):
        with pytest.raises(UserError, match=expected):
            read(tmp_path / "a.jpg")
    (tmp_path / "a.jpg").write_bytes(jpeg())
    assert read_image(tmp_path / "a.jpg").shape == PIXELS.shape
