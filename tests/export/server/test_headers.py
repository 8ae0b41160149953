"""Headers read without TensorFlow, against the graph of exports."""

import struct

import pytest
from headers import require_agreement
from hypothesis import given, settings
from hypothesis import strategies as st
from kinds_of_files import PHOTOS, write_photo


@pytest.mark.parametrize("name", PHOTOS)
def test_images_of_all_kinds(tmp_path, name):
    require_agreement(write_photo(tmp_path, name).read_bytes())


@pytest.mark.parametrize("data", [b"", b"words", b"GIF89a", b"....ftypavif", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"])
def test_what_is_no_image(data):
    require_agreement(data)


segments = st.tuples(
    st.one_of(st.sampled_from([0xFFE0, 0xFFE1, 0xFFDB, 0xFFC4, 0xFFFE, 0xFFFF, 0xFFD8]), st.integers(0xFF00, 0xFFFF)),
    st.integers(-1, 12),
    st.one_of(st.binary(max_size=12), st.just(b"Exif\0\0MM\0*")),
).map(lambda parts: struct.pack(">HH", parts[0], 2 + len(parts[2]) + min(parts[1], 0)) + parts[2])
frames = st.tuples(st.sampled_from([0xFFC0, 0xFFC2, 0xFFCF, 0xFFC8]), st.integers(0, 120), st.integers(0, 120)).map(
    lambda parts: struct.pack(">HHBHH", parts[0], 17, 8, parts[1], parts[2]) + bytes(8)
)
jpegs = st.tuples(st.lists(segments, max_size=4), frames).map(lambda parts: b"\xff\xd8" + b"".join(parts[0]) + parts[1])
pngs = st.tuples(st.sampled_from([b"IHDR", b"CgBI"]), st.integers(-2, 120), st.integers(-2, 120)).map(
    lambda parts: b"\x89PNG\r\n\x1a\n\0\0\0\r" + parts[0] + struct.pack(">ii", parts[1], parts[2]) + bytes(9)
)
chunks = st.tuples(st.sampled_from([b"tEXt", b"eXIf", b"IDAT"]), st.binary(max_size=12), st.integers(-2, 1)).map(
    lambda parts: struct.pack(">i", len(parts[1]) + min(parts[2], 0)) + parts[0] + parts[1] + bytes(4)
)
pngs = st.tuples(pngs, st.lists(chunks, max_size=4)).map(lambda parts: parts[0] + b"".join(parts[1]))


@settings(max_examples=400, deadline=None, derandomize=True)
@given(st.one_of(jpegs, pngs), st.integers(0, 60), st.booleans())
def test_no_bytes_are_read_otherwise(data, end, is_cut):
    require_agreement(data[:end] if is_cut else data)


def test_a_file_of_endless_segments_has_no_size():
    frame = struct.pack(">HHBHH", 0xFFC0, 17, 8, 5, 7) + bytes(8)
    for count in (5, 5000):
        require_agreement(b"\xff\xd8\xff\xfe\x00\x02" + count * b"\xff\xfe\x00\x02" + frame)
