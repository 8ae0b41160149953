"""Harnesses of image files: what tells their size, and masks that are decoded in two ways."""

import io
from unittest import mock

import numpy as np
from changes import of_bytes, of_png
from harness import Harness, refused_in_a_line, scratch
from headers import require_agreement
from kinds_of_files import write_photo
from PIL import Image

from export.server.model.files.decoding import decode
from export.server.model.files.header import BadImageError
from keras_fcn.images import pillow
from keras_fcn.images.bands.npy import read_npy
from keras_fcn.images.classes import ClassTable
from keras_fcn.images.masks import encode_label, read_value_label
from keras_fcn.images.photos import is_plain_jpeg, read_image

CLASSES = ClassTable.numbered(5)


def _few_pixels():
    """Lowers the limit of pixels, so that what one file may take shows in the memory of the process."""
    return mock.patch.object(pillow, "MOST_PIXELS", 1 << 22)


def check_header(data):
    found = require_agreement(data)
    if found is not None:
        try:
            pixels = decode(data)
        except BadImageError:
            return
        assert pixels.shape == (*found, 3), f"said {found}, has {pixels.shape}"


def _photos():
    names = ("plain.jpg", "progressive.jpg", "turned 6.jpg", "turned 8 big-endian.jpg", "palette.png", "turned 5.png")
    return [write_photo(scratch("photos"), name).read_bytes() for name in names]


def _stored_ids(values):
    """Returns the class id of values of 16 bits, as the graph of a training looks them up."""
    from keras_fcn.datasets.labels.reading import reader, stored_values

    return stored_values(reader(read_value_label, CLASSES, _IDS)).ids[values]


_IDS = (*range(5), *[254] * 250, 255)


def check_mask(data):
    """Compares TensorFlow's way to read a mask with Pillow's, where a training takes it."""
    import tensorflow as tf

    from keras_fcn.pipeline.label_png import Kind, decode_greys, decode_indices, kind_of

    path = scratch("masks") / "mask.png"
    path.write_bytes(data)
    with _few_pixels(), refused_in_a_line():
        kind = kind_of(path, CLASSES, by_color=True, by_value=True, by_index=True)
        right = read_value_label(path, CLASSES, _IDS)
        assert right.dtype == np.uint8
        assert set(np.unique(right)) <= {*range(5), 255}
        if kind is Kind.OTHER:
            return
        try:
            if kind in (Kind.IDS, Kind.INDICES):
                values = decode_indices(tf.constant(data))
            else:
                values = decode_greys(tf.constant(data), tf.uint16 if kind is Kind.GREYS_16 else tf.uint8)
        except tf.errors.InvalidArgumentError:  # a training would say so: tests/pipeline/test_files_of_tensorflow.py
            return
        np.testing.assert_array_equal(_stored_ids(values.numpy()), right)


def _masks():
    ids = np.array([[0, 1, 2, 3], [4, 255, 0, 1], [1, 1, 2, 2]], np.uint8)
    found = [encode_label(ids, CLASSES)]
    for pixels in (ids, ids.astype(np.uint16), ids > 0):
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "PNG")
        found.append(file.getvalue())
    return found


def check_photo(data):
    """Compares TensorFlow's way to read a JPEG with Pillow's, where a training takes it."""
    import tensorflow as tf

    from keras_fcn.pipeline.reader import _decode_jpeg

    path = scratch("photos") / "photo.jpg"
    path.write_bytes(data)
    with _few_pixels(), refused_in_a_line():
        right = read_image(path)
        if not is_plain_jpeg(path):
            return
        try:
            found = _decode_jpeg(tf.constant(data)).numpy()
        except tf.errors.InvalidArgumentError:
            return
        np.testing.assert_array_equal(found, right)


def _jpegs():
    names = ("plain.jpg", "progressive.jpg", "grey.jpg", "full chroma.jpeg")
    return [write_photo(scratch("photos"), name).read_bytes() for name in names]


def check_npy(data):
    path = scratch("npy") / "mask.npy"
    path.write_bytes(data)
    with _few_pixels(), refused_in_a_line():
        values = read_npy(path, any_depth=True)
        np.testing.assert_array_equal(np.atleast_3d(values), np.atleast_3d(np.load(path, allow_pickle=False)))


def _arrays():
    found = []
    for array in (
        np.zeros((3, 4), np.uint8),
        np.asfortranarray(np.ones((3, 4, 3), np.int32)),
        np.ones((2, 2), np.float16),
    ):
        file = io.BytesIO()
        np.save(file, array)
        found.append(file.getvalue())
    return found


def check_label(data):
    """Reads a mask by whatever program its first bytes call for."""
    path = scratch("labels") / "mask.tif"
    path.write_bytes(data)
    with _few_pixels(), refused_in_a_line():
        ids = read_value_label(path, CLASSES, _IDS)
        assert ids.dtype == np.uint8
        assert ids.ndim == 2


def _tiffs():
    found = []
    for pixels, options in (
        (np.ones((3, 4), np.uint8), {}),
        (np.ones((3, 4), np.uint16), {}),
        (np.ones((3, 4, 3), np.uint8), {"compression": "tiff_lzw"}),
        (np.ones((3, 4), np.int32), {"big_tiff": True}),
    ):
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "TIFF", **options)
        found.append(file.getvalue())
    return found


HARNESSES = {
    "image_header": Harness(
        "Python's header and the graph's tell the same size or the same fault; an image that is then decoded has it",
        _photos,
        check_header,
        lambda data, rng: (of_png if data.startswith(b"\x89PNG") else of_bytes)(data, rng),
    ),
    "palette_png": Harness(
        "TensorFlow decodes a mask that Pillow decodes to the same class ids, or refuses it", _masks, check_mask, of_png
    ),
    "jpeg": Harness(
        "TensorFlow decodes a JPEG that Pillow decodes to the same pixels, or refuses it", _jpegs, check_photo
    ),
    "tiff_mask": Harness("a mask is read to ids, or refused", _tiffs, check_label),
    "npy": Harness("an array is what NumPy reads, or refused", _arrays, check_npy),
}
