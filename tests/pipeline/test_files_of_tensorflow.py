"""Files that Pillow decodes and TensorFlow does not, though their headers say nothing of it."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from keras_fcn.datasets import Pairs, inspect_pairs
from keras_fcn.datasets.pairs import reader
from keras_fcn.errors import UserError
from keras_fcn.images.classes import ClassTable
from keras_fcn.images.masks import read_label, write_label
from keras_fcn.pipeline.batches import evaluation_dataset, explain_failure
from keras_fcn.pipeline.label_png import Kind
from keras_fcn.pipeline.reader import Reader

IDS = np.arange(12, dtype=np.uint8).reshape(3, 4)


@pytest.fixture
def pairs(tmp_path):
    image, label, classes = tmp_path / "a.jpg", tmp_path / "a.png", ClassTable.voc()
    Image.new("RGB", (4, 3)).save(image)
    write_label(label, IDS, classes)
    pairs = Pairs("one", "train", (image,), (label,), classes, reader(read_label, classes))
    return dataclasses.replace(pairs, palette_means_colors=True)


def labels_of(pairs):
    with explain_failure(pairs):
        return [label.numpy()[0] for _, label in evaluation_dataset(pairs)]


@pytest.mark.parametrize("cut", [1, 4, 12, 15])
def test_a_mask_that_is_cut_after_its_pixels_is_read(pairs, cut):
    """As copying that broke off leaves it: nothing but the file's end is missing."""
    data = pairs.labels[0].read_bytes()
    pairs.labels[0].write_bytes(data[:-cut])
    inspect_pairs(pairs).require_sound()
    assert Reader(pairs).kinds == [Kind.OTHER]
    np.testing.assert_array_equal(labels_of(pairs), [IDS])


def test_a_mask_with_its_end_is_decoded_by_tensorflow(pairs):
    assert Reader(pairs).kinds == [Kind.IDS]
    np.testing.assert_array_equal(labels_of(pairs), [IDS])


@pytest.mark.parametrize("which", ["images", "labels"])
def test_a_file_that_tensorflow_alone_refuses_is_named(pairs, which, monkeypatch):
    def refuse(*_, **__):
        raise tf.errors.InvalidArgumentError(None, None, "Invalid data")

    monkeypatch.setattr(tf.io, "decode_jpeg" if which == "images" else "decode_png", refuse)
    (path,) = getattr(pairs, which)
    with pytest.raises(UserError, match=rf"^{path}: .*TensorFlow.*save it anew"), explain_failure(pairs):
        raise tf.errors.InvalidArgumentError(None, None, "Invalid data")


def test_what_no_file_explains_stays_what_it_was(pairs):
    with pytest.raises(tf.errors.InvalidArgumentError, match="of the program"), explain_failure(pairs):
        raise tf.errors.InvalidArgumentError(None, None, "a fault of the program")
