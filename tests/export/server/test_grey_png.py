"""Grey PNG files of masks, against Pillow and TensorFlow."""

import io

import numpy as np
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from export.server.model.files.grey_png import encode_grey


@settings(deadline=None, max_examples=50, derandomize=True)
@given(arrays(np.uint8, st.tuples(st.integers(1, 40), st.integers(1, 40))))
def test_pillow_and_tensorflow_read_the_ids(ids):
    png = encode_grey(ids)
    Image.open(io.BytesIO(png)).verify()
    image = Image.open(io.BytesIO(png))
    assert (image.format, image.mode) == ("PNG", "L")
    np.testing.assert_array_equal(np.asarray(image), ids)
    np.testing.assert_array_equal(tf.io.decode_png(png)[..., 0], ids)


def test_rows_that_are_not_contiguous_are_written_as_they_are_seen():
    ids = np.arange(24, dtype=np.uint8).reshape(4, 6).T[::2]
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(encode_grey(ids)))), ids)


def test_a_mask_takes_no_more_bytes_than_by_a_library():
    rows, columns = np.mgrid[:320, :480]
    ids = np.where((rows - 160) ** 2 + (columns - 200) ** 2 < 90**2, 8, 0).astype(np.uint8)
    library = io.BytesIO()
    Image.fromarray(ids).save(library, "PNG")
    assert len(encode_grey(ids)) <= len(library.getvalue())
