"""A training on large images reads windows of them: a step decodes none, and a resumed stream is an undisturbed one."""

import numpy as np
import pytest
from tiny_runs import tiny

from keras_fcn.datasets import inspect_pairs, windows
from keras_fcn.datasets.layouts.voc import read_voc
from keras_fcn.datasets.windows import large_images
from keras_fcn.images.photos import read_image
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


def test_its_windows_are_samples_like_any_other(data, tmp_path):
    training = build_training(tiny("data", crop_size=(16, 32), scale=(0.5, 1.0)), data)
    (line,) = [line for line in training.description.splitlines() if line.startswith("Windows")]
    number = len(data.large)
    assert line.startswith(f"Windows  {number} image{'s are' if number > 1 else ' is'} read in ")
    assert f" windows of 64x128 pixels, decoded once into {tmp_path}/windows" in line


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
    images = [read_image(image) for image in data.large]
    views = [np.lib.stride_tricks.sliding_window_view(image[..., 0], (16, 32)) for image in images]
    rest = [image for image in data.pairs.images if image not in data.large]
    views += [np.lib.stride_tricks.sliding_window_view(read_image(image)[..., 0], (16, 32)) for image in rest]
    crop = whole[0][0][0, ..., 0]
    assert any((view[..., 0, 0] == crop[0, 0]).any() and (view == crop).all(axis=(2, 3)).any() for view in views)
