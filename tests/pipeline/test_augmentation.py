import collections
import itertools
from typing import get_args

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from keras_fcn.datasets.layouts.voc import read_voc
from keras_fcn.errors import UserError
from keras_fcn.images.classes import ClassTable
from keras_fcn.pipeline import batches as pipeline
from keras_fcn.pipeline.augmentation import Augmentation
from keras_fcn.pipeline.source import PAD_COLOR
from keras_fcn.prediction.notebook import show
from keras_fcn.runs.names import Flip

REPEATABLE = settings(deadline=None, derandomize=True, database=None)
EVERYTHING = Augmentation((64, 80), scale=(0.5, 2.0), rotate=20, color_jitter=0.3)


def samples(pairs, augmentation, count, first_sample=0):
    batches = pipeline.training_dataset(pairs, augmentation, 1, seed=5, first_sample=first_sample)
    return [(image[0], label[0]) for image, label in itertools.islice(batches.as_numpy_iterator(), count)]


def is_inside(label):
    """Returns whether all neighbours within five pixels, as far as resampling may mix them, have a pixel's id."""
    inside = np.zeros(label.shape, bool)
    windows = np.lib.stride_tricks.sliding_window_view(label, (11, 11))
    inside[5:-5, 5:-5] = (windows == windows[..., :1, :1]).all(axis=(2, 3))
    return inside


recipes = st.builds(
    Augmentation,
    crop_size=st.tuples(st.integers(12, 90), st.integers(12, 90)),
    scale=st.tuples(st.floats(0.5, 2), st.floats(0.5, 2)).map(lambda pair: (min(pair), max(pair))),
    flip=st.sampled_from(get_args(Flip)),
    rotate=st.one_of(st.just(0.0), st.floats(1, 180)),
    color_jitter=st.just(0.0),
)


@settings(REPEATABLE, max_examples=60)
@given(recipes, st.integers(0, 2**31 - 1), st.integers(1, 7), st.integers(1, 7))
def test_labels_are_transformed_like_their_images(recipe, seed, rows, columns):
    """The colours of a mask, given as the image, end up where its ids do, except for mixtures at outlines."""
    classes = ClassTable.voc()
    cells = np.random.default_rng(seed).integers(0, 21, (rows, columns), np.uint8)
    ids = np.kron(cells, np.ones((16, 16), np.uint8))
    image, label = recipe(tf.constant(classes.to_rgb(ids)), tf.constant(ids), tf.constant([seed, 1]))
    image, label = image.numpy(), label.numpy()
    assert (image.shape, label.shape) == ((*recipe.crop_size, 3), recipe.crop_size)
    assert set(np.unique(label)) <= {*np.unique(ids), 255}
    inside = is_inside(label)
    colors = classes.palette()
    colors[255] = PAD_COLOR
    np.testing.assert_array_equal(image[inside], colors[label[inside]])


@settings(REPEATABLE, max_examples=8)
@given(st.integers(1, 6), st.integers(0, 35), st.integers(1, 5))
def test_a_sample_depends_on_seed_and_number_only(toy, expected_samples, workers, start, batch_size):
    images, labels = expected_samples
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pipeline, "PARALLEL_READS", workers)
        batches = pipeline.training_dataset(
            read_voc(toy, "train"), EVERYTHING, batch_size, seed=5, first_sample=start
        ).take((len(images) - start) // batch_size)
    for number, (image, label) in enumerate(batches.as_numpy_iterator()):
        first = start + number * batch_size
        np.testing.assert_array_equal(image, images[first : first + batch_size])
        np.testing.assert_array_equal(label, labels[first : first + batch_size])


@pytest.fixture(scope="module")
def expected_samples(toy):
    """Returns the first 40 samples, images and labels: four epochs."""
    images, labels = zip(*samples(read_voc(toy, "train"), EVERYTHING, 40))
    assert len({label.tobytes() for label in labels}) > 30
    return np.stack(images), np.stack(labels)


def test_the_plain_recipe_leaves_pixels_as_they_are(toy):
    pairs = read_voc(toy, "train")
    with Image.open(pairs.images[0]) as opened:
        image = np.asarray(opened)
    label = pairs.read_label(pairs.labels[0])
    recipe = Augmentation(label.shape, flip=False)
    same, same_label = recipe(tf.constant(image), tf.constant(label), tf.constant([1, 2]))
    np.testing.assert_array_equal(same, image)
    np.testing.assert_array_equal(same_label, label)


@pytest.mark.parametrize(
    ("flip", "positions"), [("none", 1), ("horizontal", 2), ("vertical", 2), ("both", 4), ("turns", 8)]
)
def test_each_position_is_as_frequent(flip, positions):
    """Of the eight of a square, told by its corners; the image and its label stay together."""
    ids = np.arange(16, dtype=np.uint8).reshape(4, 4)
    image, recipe = tf.constant(np.repeat(ids[..., None], 3, axis=2)), tf.function(Augmentation((4, 4), flip=flip))
    counts = collections.Counter[bytes]()
    for seed in range(400):
        pixels, label = (part.numpy() for part in recipe(image, tf.constant(ids), tf.constant([seed, 5])))
        np.testing.assert_array_equal(pixels[..., 0], label)
        counts[label.tobytes()] += 1
    turned = [np.rot90(each, number) for each in (ids, ids.T) for number in range(4)]
    mirrored = {"none": [ids], "horizontal": [ids, ids[:, ::-1]], "vertical": [ids, ids[::-1]]}
    mirrored |= {"both": [ids, ids[:, ::-1], ids[::-1], ids[::-1, ::-1]], "turns": turned}
    assert set(counts) == {each.tobytes() for each in mirrored[flip]}
    assert len(counts) == positions
    assert min(counts.values()) > 0.6 * 400 / positions


def test_crops_that_are_turned_keep_their_size():
    ids = np.arange(240, dtype=np.uint8).reshape(12, 20)
    recipe = Augmentation((6, 12), flip="turns")
    found = {recipe(tf.constant(np.stack([ids] * 3, -1)), tf.constant(ids), tf.constant([seed, 1]))[1].numpy().tobytes()
             for seed in range(20)}  # fmt: skip
    steps = {tuple(np.diff(np.frombuffer(each, np.uint8).reshape(6, 12).astype(int))[0, :2]) for each in found}
    assert steps == {(1, 1), (-1, -1), (20, 20), (-20, -20)}


def test_flips_of_earlier_versions_are_the_same_samples():
    assert (Augmentation((4, 4), flip=True).flip, Augmentation((4, 4), flip=False).flip) == ("horizontal", "none")
    for seed in range(8):
        pair = tf.constant([seed, 3])
        one, several = tf.random.stateless_uniform([], pair), tf.random.stateless_uniform([1], pair)
        assert one == several[0]


def test_show_draws_the_samples_that_the_recipe_makes(toy):
    pairs = read_voc(toy, "train")
    picture = show(pairs, EVERYTHING, index=3, count=6)
    assert picture.size == (4 * 80, 2 * 64)
    again, other = show(pairs, EVERYTHING, index=3, count=6), show(pairs, EVERYTHING, index=3, count=6, seed=1)
    assert picture.tobytes() == again.tobytes() != other.tobytes()
    assert show(pairs, EVERYTHING, count=1).size == (80, 64)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"scale": (0.0, 1.0)}, r"scale takes two factors greater than 0, the smaller first. Received: 0.0 1.0"),
        ({"scale": (2.0, 1.0)}, "the smaller first"),
        ({"rotate": 181.0}, "rotate must be in 0 to 180 degrees. Received: 181.0"),
        ({"color_jitter": 1.0}, "color_jitter must be at least 0 and less than 1. Received: 1.0"),
    ],
)
def test_values_out_of_range_are_refused(wrong, message):
    with pytest.raises(UserError, match=message):
        Augmentation((32, 32), **wrong)


def test_ones_own_function_comes_first_and_gets_a_seed_of_its_own():
    image = tf.constant(np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8))
    label = tf.constant(np.random.default_rng(1).integers(0, 21, (40, 50), np.uint8))
    seeds = []

    def invert(image, label, seed):
        seeds.append(seed.numpy().tolist())
        return 255 - image, label

    recipe = Augmentation((32, 32), augment=invert)
    for number in (1, 1, 2):
        sample, ids = recipe(image, label, tf.constant([3, number]))
        assert (sample.shape, ids.shape) == ((32, 32, 3), (32, 32))
        assert {*map(tuple, sample.numpy().reshape(-1, 3))} <= {*map(tuple, 255 - image.numpy().reshape(-1, 3))}
    assert seeds[0] == seeds[1] != seeds[2]
    wrong = Augmentation((32, 32), augment=lambda image, label, seed: (tf.cast(image, tf.float32), label))
    with pytest.raises(UserError, match=r"augment must return image and label as uint8. Received: float32 and uint8"):
        wrong(image, label, tf.constant([3, 1]))
