import numpy as np
import pytest
import tensorflow as tf

from keras_fcn.transforms import PAD_COLOR, pad_to_size, random_crop, random_flip


def numbered(height, width):
    """An image whose every pixel is its own position, and a label that repeats the image's last channel."""
    rows, columns = np.mgrid[:height, :width]
    image = np.stack([rows, columns, (7 * rows + columns) % 200], axis=-1).astype(np.uint8)
    return image, image[..., 2]


def in_dataset_map(transform, image, label, *arguments):
    """Applies a transform as the pipeline does: inside `Dataset.map`, with sizes that are not known beforehand."""
    signature = (tf.TensorSpec([None, None, 3], tf.uint8), tf.TensorSpec([None, None], tf.uint8))
    dataset = tf.data.Dataset.from_generator(lambda: [(image, label)], output_signature=signature)
    return next(iter(dataset.map(lambda *pair: transform(*pair, *arguments))))


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
