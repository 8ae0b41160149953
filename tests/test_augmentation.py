import dataclasses
import itertools

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from keras_fcn import pipeline
from keras_fcn.augmentation import Augmentation, show
from keras_fcn.datasets.voc import read_voc
from keras_fcn.errors import UserError

EVERYTHING = Augmentation((64, 80), scale=(0.5, 2.0), rotate=20, color_jitter=0.3)


def samples(pairs, augmentation, count, first_sample=0):
    batches = pipeline.training_dataset(pairs, augmentation, 1, seed=5, first_sample=first_sample)
    return [(image[0], label[0]) for image, label in itertools.islice(batches.as_numpy_iterator(), count)]


def is_inside(label):
    """Where all of a pixel's neighbours, two pixels wide, have its id."""
    inside = np.zeros(label.shape, bool)
    windows = np.lib.stride_tricks.sliding_window_view(label, (5, 5))
    inside[2:-2, 2:-2] = (windows == windows[..., :1, :1]).all(axis=(2, 3))
    return inside


def test_labels_go_where_their_photographs_go(toy):
    """The colours of a mask, read as a photograph, must land where its ids land.

    But for outlines, and for shapes so thin that one of the two resizings misses them.
    """
    pairs = read_voc(toy, "train")
    masks = dataclasses.replace(pairs, images=pairs.labels)
    recipe = dataclasses.replace(EVERYTHING, color_jitter=0.0)
    for image, label in samples(masks, recipe, 10):
        inside = is_inside(label) & (label != 255)
        assert inside.mean() > 0.05
        assert (image[inside] == pairs.classes.palette()[label[inside]]).mean() > 0.97
        assert set(np.unique(label)) <= {*range(21), 255}


@pytest.mark.parametrize("workers", [1, 5])
def test_a_sample_depends_on_seed_and_number_only(toy, monkeypatch, workers):
    pairs = read_voc(toy, "train")
    expected = samples(pairs, EVERYTHING, 15)
    monkeypatch.setattr(pipeline, "PARALLEL_READS", workers)
    for start in (0, 4, 13):
        for (image, label), (other, other_label) in zip(
            samples(pairs, EVERYTHING, 15 - start, start), expected[start:]
        ):
            np.testing.assert_array_equal(image, other)
            np.testing.assert_array_equal(label, other_label)


def test_the_plain_recipe_leaves_pixels_as_they_are(toy):
    pairs = read_voc(toy, "train")
    with Image.open(pairs.images[0]) as photo:
        image = np.asarray(photo)
    label = pairs.read_label(pairs.labels[0])
    recipe = Augmentation(label.shape, flip=False)
    same, same_label = recipe(tf.constant(image), tf.constant(label), tf.constant([1, 2]))
    np.testing.assert_array_equal(same, image)
    np.testing.assert_array_equal(same_label, label)


def test_show_draws_the_samples_that_the_recipe_makes(toy):
    pairs = read_voc(toy, "train")
    picture = show(pairs, EVERYTHING, index=3, count=6)
    assert picture.size == (4 * 80, 2 * 64)
    again, other = show(pairs, EVERYTHING, index=3, count=6), show(pairs, EVERYTHING, index=3, count=6, seed=1)
    assert picture.tobytes() == again.tobytes() != other.tobytes()
    assert show(pairs, EVERYTHING, count=1).size == (80, 64)


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        ({"scale": (0.0, 1.0)}, r"scale takes two factors greater than 0, the smaller first. Received: \(0.0, 1.0\)"),
        ({"scale": (2.0, 1.0)}, "the smaller first"),
        ({"rotate": 181.0}, "rotate must be in 0 to 180 degrees. Received: 181.0"),
        ({"color_jitter": 1.0}, "color_jitter must be at least 0 and less than 1. Received: 1.0"),
    ],
)
def test_values_out_of_range_are_refused(wrong, complaint):
    with pytest.raises(UserError, match=complaint):
        Augmentation((32, 32), **wrong)
