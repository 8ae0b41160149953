"""Each transform to the pixel: what is drawn from its seed is drawn here as well, the rest is NumPy's."""

import itertools
import math

import numpy as np
import pytest
import tensorflow as tf

from keras_fcn.pipeline.source import whole
from keras_fcn.pipeline.transforms import (
    pad_to_size,
    random_color_jitter,
    random_crop,
    random_flip,
    random_scaled_crop,
    random_turn,
)

PADDING = {1: [115], 3: [124, 116, 104], 4: [115] * 4}  # ImageNet's mean, or the mean of that
RNG = np.random.default_rng(0)


def pair(height, width, channels=3):
    image = RNG.integers(0, 256, (height, width, channels), np.uint8)
    return image, RNG.integers(0, 200, (height, width), np.uint8)


def drawn(seed, shape=(), low=0.0, high=1.0):
    return tf.random.stateless_uniform(shape, seed, low, high).numpy()


def window(length, size, near, number):
    """Returns the first row, or column, of a window: one of those that hold `near`, all as frequent."""
    size = min(size, length)
    starts = [start for start in range(length - size + 1) if near < 0 or start <= near < start + size]
    return starts[int(np.float32(number) * np.float32(len(starts)))], size


def cropped(image, label, size, near, seed):
    """Returns the window of a size, padded below and on the right."""
    (top, height), (left, width) = map(window, label.shape, size, near, drawn(seed, (2,)))
    pixels = np.empty((*size, image.shape[2]), np.uint8)
    pixels[:], ids = PADDING[image.shape[2]], np.full(size, 255, np.uint8)
    pixels[:height, :width] = image[top : top + height, left : left + width]
    ids[:height, :width] = label[top : top + height, left : left + width]
    return pixels, ids


def require(found, expected):
    for part, of in zip(found, expected, strict=True):
        assert part.dtype == tf.uint8
        np.testing.assert_array_equal(part, of)


@pytest.mark.parametrize(("size", "channels"), [((4, 3), 3), ((9, 3), 1), ((4, 12), 4), ((9, 12), 3), ((7, 10), 1)])
def test_crops_hold_a_position(size, channels):
    image, label = pair(7, 10, channels)
    for seed, near in itertools.product(range(2), (None, (-1, -1), (0, 0), (6, 9), (3, 4), (0, 5), (5, 1))):
        given = None if near is None else tf.constant(near)
        found = random_crop(whole(image, label), size, tf.constant([seed, 1]), given)
        require(found, cropped(image, label, size, near or (-1, -1), [seed, 1]))


def test_crops_of_a_graph_have_a_known_size():
    """Whatever the image's."""
    image, label = pair(9, 9)
    seed = tf.constant([1, 2])

    specs = [tf.TensorSpec([None, None, 3], tf.uint8), tf.TensorSpec([None, None], tf.uint8)]

    @tf.function(input_signature=specs, autograph=False)
    def crops(image, label):
        source = whole(image, label)
        turned = random_turn(lambda size: (image[: size[0], : size[1]], label[: size[0], : size[1]]), (4, 6), seed)
        return random_crop(source, (4, 5), seed), turned

    shapes = crops.get_concrete_function().output_shapes
    assert [shape.as_list() for each in shapes for shape in each] == [[4, 5, 3], [4, 5], [4, 6, 3], [4, 6]]
    require(crops(image, label)[0], cropped(image, label, (4, 5), (-1, -1), [1, 2]))


@pytest.mark.parametrize(("size", "channels"), [((5, 7), 3), ((5, 6), 1), ((4, 9), 3), ((8, 3), 4), ((8, 9), 1)])
def test_padding(size, channels):
    image, label = pair(5, 7, channels)
    found = pad_to_size(tf.constant(image), tf.constant(label), size)
    height, width = max(5, size[0]), max(7, size[1])
    pixels = np.empty((height, width, channels), np.uint8)
    pixels[:], ids = PADDING[channels], np.full((height, width), 255, np.uint8)
    pixels[:5, :7], ids[:5, :7] = image, label
    require(found, (pixels, ids))


def resized(pixels, size):
    """Returns pixels [H, W, C] between which is interpolated linearly, centres of pixels being at halves."""
    for axis, (length, wanted) in enumerate(zip(pixels.shape, size)):
        positions = np.clip((np.arange(wanted) + 0.5) * length / wanted - 0.5, 0, length - 1)
        first = np.minimum(positions.astype(int), max(length - 2, 0))
        rest = np.expand_dims(positions - first, [1 - axis, 2])
        after = np.take(pixels, np.minimum(first + 1, length - 1), axis)
        pixels = np.take(pixels, first, axis) * (1 - rest) + after * rest
    return pixels


def nearest(ids, size):
    rows, columns = (((np.arange(n) + 0.5) * length / n).astype(int) for n, length in zip(size, ids.shape))
    return ids[rows[:, None], columns]


@pytest.mark.parametrize("scale", [(0.5, 2.0), (1.0, 1.0), (0.7, 0.7), (8.0, 9.0)])
@pytest.mark.parametrize(("channels", "near"), [(3, None), (1, (14, 3))])
def test_scaled_crops_are_resized_windows(scale, channels, near):
    image, label = pair(15, 18, channels)
    size = (4, 6)
    for seed in range(4):
        of_scale, of_crop = tf.random.split([seed, 3], 2).numpy()
        factor = math.exp(drawn(of_scale, (), math.log(scale[0]), math.log(scale[1]) + 1e-9))
        taken = tuple(max(round(length / factor), 1) for length in size)
        pixels, ids = cropped(image, label, taken, near or (-1, -1), of_crop)
        given = None if near is None else tf.constant(near)
        found, labels = random_scaled_crop(whole(image, label), size, scale, tf.constant([seed, 3]), given)
        assert (found.dtype, labels.dtype) == (tf.uint8, tf.uint8)
        assert np.abs(found.numpy() - resized(pixels.astype(float), size)).max() < 0.501
        np.testing.assert_array_equal(labels, nearest(ids, size))


@pytest.mark.parametrize(("channels", "luma"), [(3, [0.299, 0.587, 0.114]), (1, None), (4, None)])
@pytest.mark.parametrize("strength", [0.0, 0.4, 0.9])
def test_jitter_of_any_channels(channels, luma, strength):
    image, _ = pair(6, 5, channels)
    image[0, :2] = [[0] * channels, [255] * channels]
    brightness, contrast, saturation = drawn([4, 2], (3,), 1 - strength, 1 + strength).astype(float)
    pixels = image * brightness
    mean = (pixels @ luma).mean() if luma else pixels.mean()
    pixels = (pixels - mean) * contrast + mean
    if luma:
        grey = (pixels @ luma)[..., None]
        pixels = (pixels - grey) * saturation + grey
    found = random_color_jitter(tf.constant(image), strength, tf.constant([4, 2]))
    assert found.dtype == tf.uint8
    assert np.abs(found.numpy() - np.clip(pixels, 0, 255)).max() < 0.501
    if not strength:
        np.testing.assert_array_equal(found, image)


@pytest.mark.parametrize("axes", [None, (1,), (0,), (0, 1)])
def test_flips_along_some_axes(axes):
    image, label = pair(4, 5)
    for seed in range(8):
        expected = image, label
        for axis, number in zip(axes or (1,), drawn([seed, 6], (len(axes or (1,)),)), strict=True):
            expected = [np.flip(part, axis) if number < 0.5 else part for part in expected]
        given = () if axes is None else (axes,)
        require(random_flip(tf.constant(image), tf.constant(label), tf.constant([seed, 6]), *given), expected)


def test_turns_are_transposed_crops_of_the_transposed_size():
    image, label = pair(9, 9)
    turned = 0
    for seed in range(8):
        is_turned = drawn(tf.random.experimental.stateless_fold_in(tf.constant([seed, 7]), 1)) < 0.5
        turned += is_turned
        expected = (image[:5, :3].swapaxes(0, 1), label[:5, :3].T) if is_turned else (image[:3, :5], label[:3, :5])
        crop = lambda size: (tf.constant(image[: size[0], : size[1]]), tf.constant(label[: size[0], : size[1]]))  # noqa: E731
        require(random_turn(crop, (3, 5), tf.constant([seed, 7])), expected)
    assert 0 < turned < 8
