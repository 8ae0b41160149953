"""What the network in training sees of images without labels: other colours, and boxes of labelled crops."""

import numpy as np
import pytest
import tensorflow as tf

from keras_fcn.images.classes import VOID_LABEL
from keras_fcn.pipeline.unlabelled import GREY, MIXED, mixed, strong_view, with_unlabelled


def a_pair(rng, shape=(24, 32)):
    return rng.integers(0, 256, (*shape, 3), np.uint8), rng.integers(0, 5, shape, np.uint8)


def test_a_box_of_the_labelled_crop_is_pasted_with_its_label():
    rng = np.random.default_rng(0)
    (image, padding), (donor, donor_label) = a_pair(rng), a_pair(rng)
    padding = np.where(np.arange(32) < 28, 0, VOID_LABEL).astype(np.uint8) + np.zeros_like(padding)
    donor_label[:3] = VOID_LABEL
    areas, shapes = [], []
    for seed in range(200):
        strong, labels, asked = (part.numpy() for part in mixed(image, padding, donor, donor_label, [7, seed]))
        pasted = (strong == donor).all(-1) & (strong != image).any(-1) | (labels != VOID_LABEL)
        if not pasted.any():
            assert np.array_equal(strong, image)
            assert np.array_equal(asked, padding == 0)
            assert (labels == VOID_LABEL).all()
            continue
        rows, columns = (np.flatnonzero(pasted.any(axis)) for axis in (1, 0))
        box = np.zeros_like(pasted)
        box[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] = True
        assert np.array_equal(strong, np.where(box[..., None], donor, image))
        assert np.array_equal(labels, np.where(box, donor_label, VOID_LABEL))
        assert np.array_equal(asked, ~box & (padding == 0))
        areas.append(box.mean())
        shapes.append((len(rows) / 24) / (len(columns) / 32))
    assert abs(len(areas) / 200 - MIXED) < 0.1
    assert min(areas) > 0.07
    assert max(areas) < 0.44
    assert min(areas) < 0.15 < 0.35 < max(areas)
    assert 0.4 < min(shapes) < 0.7 < 1.4 < max(shapes) < 2.5


def test_some_images_lose_their_colours_and_none_keeps_them():
    image, _ = a_pair(np.random.default_rng(1))
    views = [strong_view(image, [3, seed]).numpy() for seed in range(100)]
    grey = [(view == view[..., :1]).all() for view in views]
    assert abs(np.mean(grey) - GREY) < 0.12
    assert not any(np.array_equal(view, image) for view in views)
    assert np.array_equal(views[0], strong_view(image, [3, 0]))


def batches(size, value, first=0, every=1):
    """Batches whose sample i is filled with a function of i."""

    def made(sample):
        return tf.fill([8, 8, 3], tf.cast(sample + value, tf.uint8)), tf.fill([8, 8], tf.cast(sample % 7, tf.uint8))

    return tf.data.Dataset.range(first, 1000, every).map(made).batch(size, drop_remainder=True)


def samples_of(stream, count):
    """The parts of the first samples of a stream."""
    found = []
    for images, labels, alone in stream:
        found += zip(images.numpy(), labels.numpy(), *(part.numpy() for part in alone))
        if len(found) >= count:
            return found[:count]
    raise AssertionError("the stream ended")


@pytest.mark.parametrize(("first", "every", "size"), [(6, 1, 2), (1, 2, 3), (0, 1, 1)])
def test_a_sample_does_not_depend_on_where_the_stream_starts_or_who_takes_it(first, every, size):
    whole = samples_of(with_unlabelled(batches(4, 0), batches(4, 100), 4, 5, 0), 16)
    part = samples_of(
        with_unlabelled(batches(size, 0, first, every), batches(size, 100, first, every), size, 5, first, every), 4
    )
    for sample, other in zip(part, whole[first::every]):
        for mine, same in zip(sample, other, strict=True):
            np.testing.assert_array_equal(mine, same)
