"""A training on large images reads windows of them: a step decodes none, and a resumed stream is an undisturbed one."""

import numpy as np
import pytest
from tiny_runs import tiny

from keras_fcn.datasets import inspect_pairs, windows
from keras_fcn.datasets.layouts.voc import read_voc
from keras_fcn.datasets.windows import large_images
from keras_fcn.images.photos import read_image
from keras_fcn.images.windows import read_pixels
from keras_fcn.pipeline import batches
from keras_fcn.pipeline.augmentation import Augmentation
from keras_fcn.training.build import build_training
from keras_fcn.training.inputs.data import TrainingData


@pytest.fixture
def data(toy, tmp_path, monkeypatch):
    """Two images, one of which is large here."""
    monkeypatch.setenv(windows.VARIABLE, str(tmp_path))
    pairs = read_voc(toy, "train").shard(0, 5)
    sizes = inspect_pairs(pairs).sizes
    monkeypatch.setattr(windows, "LARGE", int(sizes.prod(axis=1).max()) - 1)
    large = large_images(pairs, sizes)
    assert 1 <= len(large) <= 2
    return TrainingData(pairs, pairs, (16, 32), large=large)


def taken(dataset, count):
    return [[part.numpy() for part in batch] for batch in dataset.take(count)]


@pytest.mark.parametrize(("augmented", "size"), [({"scale": (0.5, 1.0)}, "64x128"), ({"flip": "turns"}, "64x64")])
def test_its_windows_are_samples_like_any_other(data, tmp_path, augmented, size):
    training = build_training(tiny("data", crop_size=(16, 32), **augmented), data)
    (line,) = [line for line in training.description.splitlines() if line.startswith("Windows")]
    number = len(data.large)
    assert line.startswith(f"Windows  {number} image{'s are' if number > 1 else ' is'} read in ")
    assert f" windows of {size} pixels, decoded once into {tmp_path}/windows" in line


def test_a_step_decodes_no_large_image_and_resumes_exactly(data, monkeypatch):
    cut = windows.cut_large(data.pairs, data.large, (32, 64)).pairs
    assert len(cut) > 2
    read = []
    monkeypatch.setattr(batches, "read_image", lambda path: read.append(path) or read_image(path))
    augmentation = Augmentation((16, 32), flip=False)
    whole = taken(batches.training_dataset(cut, augmentation, 2, seed=3), 6)
    assert not set(read) & set(data.large)
    resumed = taken(batches.training_dataset(cut, augmentation, 2, seed=3, first_sample=8), 2)
    for before, after in zip(whole[4:], resumed, strict=True):
        for one, other in zip(before, after, strict=True):
            np.testing.assert_array_equal(one, other)
    images, labels = (np.concatenate(parts) for parts in zip(*whole))
    wholes = [
        (read_image(image), data.pairs.read_label(label)) for image, label in zip(data.pairs.images, data.pairs.labels)
    ]
    for image, label in zip(images, labels, strict=True):
        assert any(is_crop(image, label, *of) for of in wholes)


def is_crop(image, label, whole, whole_label):
    """Whether pixels and class ids are those of one place of an image."""
    rows, columns = np.nonzero((whole[: -len(image), : -len(image[0])] == image[0, 0]).all(axis=-1))
    places = (np.s_[top : top + len(image), left : left + len(image[0])] for top, left in zip(rows, columns))
    return any((whole[place] == image).all() and (whole_label[place] == label).all() for place in places)


@pytest.mark.parametrize(
    ("augmentation", "reach"),
    [
        (Augmentation((16, 32)), (16, 32)),
        (Augmentation((16, 32), scale=(0.6, 2.0)), (27, 54)),
        (Augmentation((16, 32), flip="turns"), (32, 32)),
        (Augmentation((16, 32), rotate=5.0), None),
        (Augmentation((16, 32), augment=lambda image, label, seed: (image, label)), None),
    ],
)
def test_what_a_crop_is_taken_from_is_read_and_no_more(data, augmentation, reach, monkeypatch):
    cut = windows.cut_large(data.pairs, data.large, (60, 120)).pairs
    read = []
    monkeypatch.setattr(batches, "read_pixels", lambda path, box: read.append(box) or read_pixels(path, box))
    taken(batches.training_dataset(cut, augmentation, 2, seed=0), 4)
    sizes = {(bottom - top, right - left) for top, left, bottom, right in read}
    assert sizes == (set() if reach is None else {reach})
    assert reach is None or len(set(read)) > len(read) / 2
