"""A training on large images reads parts of them: its samples are the very ones that small files would give."""

import numpy as np
import pytest
from tiny_runs import tiny

from keras_fcn.datasets import inspect_pairs, windows
from keras_fcn.datasets.balance.rare import rare_positions
from keras_fcn.datasets.layouts.voc import read_voc
from keras_fcn.datasets.windows import large_images
from keras_fcn.images.windows import read_together
from keras_fcn.pipeline import batches, reader
from keras_fcn.pipeline.augmentation import Augmentation
from keras_fcn.training.build import build_training
from keras_fcn.training.inputs.data import TrainingData


@pytest.fixture
def data(toy, tmp_path, monkeypatch):
    """Two images, one of which is large here."""
    monkeypatch.setenv("KERAS_FCN_CACHE", str(tmp_path))
    pairs = read_voc(toy, "train").shard(0, 5)
    sizes = inspect_pairs(pairs).sizes
    monkeypatch.setattr(windows, "LARGE", int(sizes.prod(axis=1).max()) - 1)
    large = large_images(pairs, sizes)
    assert 1 <= len(large) <= 2
    return TrainingData(pairs, pairs, (16, 32), large=large)


def taken(dataset, count):
    return [[part.numpy() for part in batch] for batch in dataset.take(count)]


@pytest.mark.parametrize(
    ("augmented", "area"), [({"scale": (0.5, 1.0)}, 32 * 64), ({"flip": "turns", "crops_per_image": 3}, 32 * 32)]
)
def test_its_windows_are_samples_like_any_other(data, tmp_path, augmented, area):
    training = build_training(tiny("data", crop_size=(16, 32), **augmented), data)
    (line,) = [line for line in training.description.splitlines() if line.startswith("Windows")]
    crops = sum(height * width // area for height, width in data.large.values())
    assert f" read by windows, {crops:,} crops of " in line
    assert f" an epoch; decoded once into {tmp_path}/windows" in line
    of_each = augmented.get("crops_per_image", 1)
    assert len(training.stream._pairs) == crops + of_each * (len(data.pairs) - len(data.large))
    assert (" of 16x32 pixels, 3 of each image an epoch, on " in training.description) == (of_each == 3)


CRACK = 1


@pytest.mark.parametrize(
    ("options", "is_balanced"),
    [
        ({"crop_size": (140, 20)}, False),  # higher than some
        ({"scale": (0.6, 2.0), "flip": "turns"}, True),
        ({"rotate": 180.0, "scale": (0.4, 1.5)}, True),
    ],
)
def test_samples_are_those_of_small_files(data, options, is_balanced):
    """So crops lie as often anywhere, void is where it would be, and a stream resumes from any sample."""
    cut = windows.cut_large(data.pairs, data.large, (40, 40)).pairs
    counts = [cut.labels.count(label) for label in dict.fromkeys(cut.labels)]
    assert max(counts) > 3
    assert not {*cut.images} & {*data.large}
    files = data.pairs.repeated(np.array(counts))
    augmentation = Augmentation(**{"crop_size": (16, 32), **options})
    rare = rare_positions(files, (CRACK,)) if is_balanced else None

    def drawn(pairs, first, count):
        return taken(batches.training_dataset(pairs, augmentation, 4, 3, first, rare=rare), count)

    expected = drawn(files, 0, 6)[2:]
    for own, theirs in zip(drawn(cut, 8, 4), expected, strict=True):
        for one, other in zip(own, theirs, strict=True):
            assert (one != other).mean() <= (1e-3 if "rotate" in options else 0)  # coordinates are rounded


def test_what_a_sample_shows_is_read_and_no_more(data, monkeypatch):
    cut = windows.cut_large(data.pairs, data.large, (60, 120)).pairs
    read = []
    monkeypatch.setattr(reader, "read_together", lambda paths, box: read.append(box) or read_together(paths, box))

    def sides(**options):
        read.clear()
        taken(batches.training_dataset(cut, Augmentation((16, 32), **options), 2, seed=0), 6)
        return np.array([(bottom - top, right - left) for top, left, bottom, right in read])

    assert {*map(tuple, sides(flip="turns").tolist())} == {(16, 32), (32, 16)}
    assert (sides(scale=(0.5, 2.0)) <= (32, 64)).all()
    assert (sides(rotate=90.0) <= 5 + np.hypot(16, 32)).all()
    assert {*map(tuple, sides(augment=lambda image, label, seed: (image, label)).tolist())} == {(32, 64)}
