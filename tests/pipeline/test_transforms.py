import functools

import numpy as np
import pytest
import tensorflow as tf

from keras_fcn.pipeline.source import PAD_COLOR, rotated, whole
from keras_fcn.pipeline.transforms import pad_to_size, random_color_jitter, random_flip
from keras_fcn.pipeline.transforms import random_crop as crop_of
from keras_fcn.pipeline.transforms import random_scaled_crop as scaled_crop_of


def numbered(height, width):
    """Returns an image whose pixels hold their own positions, and a label equal to its last channel."""
    rows, columns = np.mgrid[:height, :width]
    image = np.stack([rows, columns, (7 * rows + columns) % 200], axis=-1).astype(np.uint8)
    return image, image[..., 2]


def random_crop(image, label, size, seed):
    return crop_of(whole(image, label), size, seed)


def random_scaled_crop(image, label, size, scale, seed):
    return scaled_crop_of(whole(image, label), size, scale, seed)


def random_rotation(image, label, degrees, seed):
    source = rotated(whole(image, label), degrees, seed)
    return source.part(tf.constant([0, 0]), source.shape)


def in_dataset_map(transform, image, label, *arguments):
    """Applies a transform as the pipeline does: inside `Dataset.map`, with dynamic sizes and seeds."""
    settings = tuple(argument for argument in arguments if not tf.is_tensor(argument))
    fed, dataset = _mapped(transform, settings, with_seed=len(settings) < len(arguments))
    fed[:] = [(image, label, *arguments[len(settings) :])]
    return next(iter(dataset))


@functools.cache
def _mapped(transform, settings, with_seed):
    """Returns a list to put a pair into, and a data set that transforms it: one trace for all seeds."""
    fed, specs = [], [tf.TensorSpec([None, None, 3], tf.uint8), tf.TensorSpec([None, None], tf.uint8)]
    specs += [tf.TensorSpec([2], tf.int32)] * with_seed
    dataset = tf.data.Dataset.from_generator(lambda: fed, output_signature=tuple(specs))
    return fed, dataset.map(lambda image, label, *seed: transform(image, label, *settings, *seed))


def eagerly(transform, image, label, *arguments):
    return transform(tf.constant(image), tf.constant(label), *arguments)


@pytest.mark.parametrize("apply", [eagerly, in_dataset_map])
@pytest.mark.parametrize("size", [(20, 30), (13, 17), (1, 1)])
def test_image_and_label_are_cropped_by_the_same_window(apply, size):
    image, label = numbered(20, 30)
    for seed in range(20):
        cropped, cropped_label = (
            part.numpy() for part in apply(random_crop, image, label, size, tf.constant([seed, 0]))
        )
        np.testing.assert_array_equal(cropped[..., 2], cropped_label)
        top, left = cropped[0, 0, :2]
        np.testing.assert_array_equal(cropped, image[top : top + size[0], left : left + size[1]])
        assert cropped.shape == (*size, 3)


def test_every_window_is_reached():
    image, label = numbered(6, 5)
    corners = {
        tuple(random_crop(tf.constant(image), tf.constant(label), (4, 4), tf.constant([seed, 1]))[0][0, 0, :2].numpy())
        for seed in range(80)
    }
    assert corners == {(row, column) for row in range(3) for column in range(2)}


@pytest.mark.parametrize("apply", [eagerly, in_dataset_map])
@pytest.mark.parametrize("size", [(9, 4), (3, 11), (9, 11), (2, 2)])
def test_smaller_images_are_padded_with_void_below_and_on_the_right(apply, size):
    image, label = numbered(5, 7)
    padded, padded_label = (part.numpy() for part in apply(pad_to_size, image, label, size))
    assert padded_label.shape == padded.shape[:2] == (max(5, size[0]), max(7, size[1]))
    np.testing.assert_array_equal(padded[:5, :7], image)
    np.testing.assert_array_equal(padded_label[:5, :7], label)
    outside = np.ones(padded_label.shape, bool)
    outside[:5, :7] = False
    assert (padded_label[outside] == 255).all()
    assert (padded[outside] == PAD_COLOR).all()


@pytest.mark.parametrize("apply", [eagerly, in_dataset_map])
@pytest.mark.parametrize("size", [(12, 9), (5, 40), (25, 33)])
def test_images_smaller_than_the_window_are_cut_where_they_are_larger_and_padded_where_not(apply, size):
    image, label = numbered(20, 30)
    corners = set()
    for seed in range(6):
        window, ids = (part.numpy() for part in apply(random_crop, image, label, size, tf.constant([seed, 5])))
        assert (window.shape, ids.shape) == ((*size, 3), size)
        (top, left), (height, width) = window[0, 0, :2], np.minimum(size, (20, 30))
        corners.add((top, left))
        expected = np.full(size, 255)
        expected[:height, :width] = label[top : top + height, left : left + width]
        np.testing.assert_array_equal(ids, expected)
        np.testing.assert_array_equal(window[:height, :width], image[top : top + height, left : left + width])
        assert (window[height:] == PAD_COLOR).all()
        assert (window[:, width:] == PAD_COLOR).all()
    assert len({top for top, _ in corners}) > 1 or size[0] >= 20
    assert len({left for _, left in corners}) > 1 or size[1] >= 30


@pytest.mark.parametrize("apply", [eagerly, in_dataset_map])
def test_flips_mirror_both_or_none_about_equally_often(apply):
    image, label = numbered(4, 9)
    flips = 0
    for seed in range(60):
        flipped, flipped_label = (part.numpy() for part in apply(random_flip, image, label, tf.constant([seed, 2])))
        is_flipped = flipped[0, 0, 1] == 8
        flips += is_flipped
        np.testing.assert_array_equal(flipped, image[:, ::-1] if is_flipped else image)
        np.testing.assert_array_equal(flipped_label, label[:, ::-1] if is_flipped else label)
    assert 15 < flips < 45


def bilinear(image, rows, columns):
    """Samples an image [H, W, C] at fractional positions, by definition; outside is the padding colour."""
    padded = np.pad(image.astype(float), [(1, 1), (1, 1), (0, 0)])
    padded[[0, -1]] = padded[:, [0, -1]] = PAD_COLOR
    rows, columns = np.clip(rows, -1, image.shape[0]) + 1, np.clip(columns, -1, image.shape[1]) + 1
    top, left = np.minimum(rows.astype(int), padded.shape[0] - 2), np.minimum(columns.astype(int), padded.shape[1] - 2)
    down, right = (rows - top)[..., None], (columns - left)[..., None]
    upper = padded[top, left] * (1 - right) + padded[top, left + 1] * right
    lower = padded[top + 1, left] * (1 - right) + padded[top + 1, left + 1] * right
    return upper * (1 - down) + lower * down


def smooth(height, width):
    """Returns an image whose values change slowly, so that resizing hardly changes them, and a label like a channel."""
    rows, columns = np.mgrid[:height, :width]
    image = np.stack([4 * rows, 4 * columns, 2 * (rows + columns)], axis=-1).astype(np.uint8)
    return image, image[..., 2]


@pytest.mark.parametrize("apply", [eagerly, in_dataset_map])
@pytest.mark.parametrize("scale", [(0.5, 0.5), (2.0, 2.0), (0.6, 1.7)])
def test_scaled_crops_show_image_and_label_alike(apply, scale):
    """In an image whose channels are its coordinates, every pixel's value is its original position."""
    image, label = smooth(48, 60)
    for seed in range(10):
        crop, ids = (
            part.numpy() for part in apply(random_scaled_crop, image, label, (20, 24), scale, tf.constant([seed, 3]))
        )
        assert (crop.shape, ids.shape) == ((20, 24, 3), (20, 24))
        assert set(np.unique(ids)) <= set(np.unique(label))  # no label is a mixture
        step = np.median(np.diff(crop[:, 0, 0].astype(float))) / 4
        assert 1 / scale[1] - 0.15 <= step <= 1 / scale[0] + 0.15
        assert np.abs(crop[..., 2].astype(int) - ids).max() <= 2 * (1 / scale[0]) + 1


def test_factors_lie_in_their_range_evenly_by_logarithm():
    image, label = smooth(60, 60)
    factors = []
    for seed in range(200):
        crop, _ = random_scaled_crop(
            tf.constant(image), tf.constant(label), (16, 16), (0.5, 2.0), tf.constant([seed, 4])
        )
        inside = crop[2:-2, 0, 0].numpy().astype(float)
        factors.append(4 * 11 / (inside[-1] - inside[0]))
    assert 0.45 < min(factors) < 0.55
    assert 1.8 < max(factors) < 2.2
    assert 0.4 < np.mean(np.array(factors) < 1) < 0.6


def test_a_scale_of_one_is_a_crop():
    image, label = numbered(20, 30)
    crop, ids = random_scaled_crop(tf.constant(image), tf.constant(label), (9, 9), (1.0, 1.0), tf.constant([1, 2]))
    top, left = crop[0, 0, :2].numpy()
    np.testing.assert_array_equal(crop, image[top : top + 9, left : left + 9])
    np.testing.assert_array_equal(ids, label[top : top + 9, left : left + 9])


@pytest.mark.parametrize("apply", [eagerly, in_dataset_map])
@pytest.mark.parametrize("size", [(21, 33), (20, 20)])
def test_rotation_is_about_the_centre(apply, size):
    """Against NumPy's sampling at the rotated coordinates; the angle is drawn from the same seed."""
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (*size, 3), np.uint8)
    label = rng.integers(0, 21, size, np.uint8)
    turned, ids = (part.numpy() for part in apply(random_rotation, image, label, 30.0, tf.constant([5, 7])))
    angle = float(tf.random.stateless_uniform([], [5, 7], -1, 1)) * np.pi / 6
    assert abs(angle) > 0.05
    rows, columns = (
        coordinates - (length - 1) / 2 for coordinates, length in zip(np.mgrid[: size[0], : size[1]], size)
    )
    source_columns = np.cos(angle) * columns - np.sin(angle) * rows + (size[1] - 1) / 2
    source_rows = np.sin(angle) * columns + np.cos(angle) * rows + (size[0] - 1) / 2
    assert np.abs(turned - bilinear(image, source_rows, source_columns)).max() <= 1
    nearest = np.pad(label, 1, constant_values=255)[
        np.clip(np.round(source_rows).astype(int), -1, size[0]) + 1,
        np.clip(np.round(source_columns).astype(int), -1, size[1]) + 1,
    ]
    assert (ids == nearest).mean() > 0.99  # but for ties
    assert (ids == 255).any()


@pytest.mark.parametrize("apply", ["eager", "graph"])
def test_jitter_is_brightness_then_contrast_then_saturation(apply):
    image = np.random.default_rng(0).integers(60, 190, (9, 7, 3), np.uint8)
    jitter = tf.function(random_color_jitter) if apply == "graph" else random_color_jitter
    changed = jitter(tf.constant(image), 0.3, tf.constant([7, 8])).numpy()
    brightness, contrast, saturation = tf.random.stateless_uniform([3], [7, 8], 0.7, 1.3).numpy().astype(float)
    expected = image * brightness
    mean = (expected @ [0.299, 0.587, 0.114]).mean()
    expected = (expected - mean) * contrast + mean
    grey = (expected @ [0.299, 0.587, 0.114])[..., None]
    expected = np.clip(grey + (expected - grey) * saturation, 0, 255)
    assert np.abs(changed - expected).max() <= 0.51
    assert (changed != image).any()
