"""Crops around rare classes: what is rare, where it is, and what is drawn."""

import itertools
import re

import numpy as np
import pytest
import tensorflow as tf
from layouts import save, voc_colors, write

from keras_fcn.commands import check
from keras_fcn.datasets import inspect_pairs, open_pairs
from keras_fcn.datasets.balance import rare as rare_module
from keras_fcn.datasets.balance.drawn import drawn_shares
from keras_fcn.datasets.balance.rare import POSITIONS, rare_classes, rare_positions, sampled_positions, window_start
from keras_fcn.pipeline.augmentation import Augmentation
from keras_fcn.pipeline.batches import training_dataset
from keras_fcn.pipeline.source import rotated, rotated_position, whole
from keras_fcn.runs.known_files import KnownFiles, remembering


def write_cracks(root, count=6, size=(120, 160)):
    """Images with a crack of three pixels' width in a corner of all but the last."""
    write(root / "classes.txt", "background\ncrack\n")
    for number in range(count):
        ids = np.zeros(size, np.uint8)
        if number < count - 1:
            ids[4:7, 10:40] = 1
        save(root / f"images/{number}.png", np.repeat(100 + 100 * ids[..., None], 3, axis=2))
        save(root / f"masks/{number}.png", ids, voc_colors())
    return open_pairs(root, "all")


def test_rare_is_less_than_half_of_an_even_share():
    assert rare_classes(np.array([[700, 100, 0, 200], [0, 0, 0, 0]])) == (1,)
    assert rare_classes(np.array([[9999, 1]])) == (1,)
    assert (
        rare_classes(np.array([[60, 40]])) == rare_classes(np.array([[5, 0]])) == rare_classes(np.zeros((2, 3))) == ()
    )


def test_positions_are_of_the_class_always_the_same_and_of_each_class_as_many():
    ids = np.zeros((40, 50), np.uint8)
    ids[3:9, 7:30], ids[20, 20], ids[30:, :5] = 2, 3, 255
    positions = np.array(sampled_positions(ids, (1, 2, 3)))
    assert positions.tolist() == np.array(sampled_positions(ids, (1, 2, 3))).tolist()
    of = ids[positions[:, 0], positions[:, 1]]
    assert of.tolist() == [2] * POSITIONS + [3] * POSITIONS
    assert len({*map(tuple, positions[:POSITIONS].tolist())}) == POSITIONS


def test_masks_are_decoded_once(tmp_path, monkeypatch):
    pairs = write_cracks(tmp_path)
    with remembering(KnownFiles("1")):
        first = rare_positions(pairs.repeated(np.array([2, 1, 1, 1, 1, 1])), (1,))
        monkeypatch.setattr(rare_module, "sampled_positions", None)
        again = rare_positions(pairs, (1,))
    counts = [POSITIONS * number for number in range(6)]
    assert again.ranges.tolist() == [*map(list, itertools.pairwise(counts)), [counts[-1]] * 2]
    assert first.ranges.tolist() == [[0, POSITIONS], *again.ranges.tolist()]
    np.testing.assert_array_equal(first.positions, again.positions)


@pytest.mark.parametrize("position", [0, 5, 30, 59, -1])
def test_a_window_holds_its_position(position):
    starts = [window_start(position, 16, 60, number) for number in np.linspace(0, 0.999, 200)]
    assert 0 <= min(starts) <= max(starts) <= 44
    if position < 0:
        assert set(starts) == set(range(45))
    else:
        assert all(start <= position < start + 16 for start in starts)
        assert (min(starts), max(starts)) == (max(0, position - 15), min(44, position))


@pytest.mark.parametrize("options", [{}, {"scale": (0.8, 1.5)}, {"flip": "turns"}])
def test_a_third_of_the_crops_shows_the_crack_wherever_the_stream_starts(tmp_path, options):
    pairs = write_cracks(tmp_path)
    rare = rare_positions(pairs, (1,))
    recipe = Augmentation((24, 32), **options)

    def labels(first, count, of=rare):
        batches = training_dataset(pairs, recipe, 10, seed=4, first_sample=first, rare=of).take(count)
        return np.concatenate([label.numpy() for _, label in batches])

    drawn, evenly = labels(0, 30), labels(0, 30, None)
    shown, without = ((each == 1).any(axis=(1, 2)).mean() for each in (drawn, evenly))
    assert without < 0.2
    assert abs(shown - (5 / 6 / 3 + (1 - 5 / 6 / 3) * without)) < 0.07
    np.testing.assert_array_equal(labels(100, 3), drawn[100:130])


def test_positions_are_turned_with_the_image():
    near = tf.constant([20, 70])
    label = tf.one_hot(20 * 90 + 70, 60 * 90, dtype=tf.uint8)
    label = tf.reshape(label, [60, 90])
    label = label + tf.roll(label, 1, 0) + tf.roll(label, 1, 1) + tf.roll(label, -1, 0) + tf.roll(label, -1, 1)
    for number in range(12):
        seed = tf.constant([number, 2])
        source = rotated(whole(tf.zeros([60, 90, 3], tf.uint8), label), 20, seed)
        _, turned = source.part(tf.constant([0, 0]), source.shape)
        row, column = rotated_position(near, tf.shape(label), 20, seed).numpy()
        assert turned.numpy()[row, column] == 1
    assert (
        rotated_position(tf.constant([-1, -1]), tf.constant([60, 90]), 20, tf.constant([1, 2])).numpy().tolist()
        == [-1] * 2
    )


def test_check_says_what_crops_show(tmp_path, monkeypatch, capsys):
    write_cracks(tmp_path, size=(600, 800))
    pairs = open_pairs(tmp_path, "train")
    monkeypatch.setattr("sys.argv", ["check.py", str(tmp_path)])
    assert check.main() == 0
    line = r"crops of (\d+)x(\d+) drawn evenly and with --balance windows: crack (\S+%), (\S+%) \(of"
    height, width, *said = re.search(line, capsys.readouterr().out).groups()
    shares = drawn_shares(pairs, inspect_pairs(pairs), (int(height), int(width)))["crack"]
    assert said == [f"{shares['evenly']:.2%}", f"{shares['windows']:.2%}"]
    assert 2 * shares["evenly"] < shares["windows"]
    assert drawn_shares(pairs, inspect_pairs(pairs), (600, 800)) == {}


def test_crops_that_show_void_alone_show_nothing_rare(tmp_path):
    write_cracks(tmp_path, size=(600, 800))
    for mask in sorted((tmp_path / "masks").iterdir()):
        ids = np.full((600, 800), 255, np.uint8)
        ids[0, :9], ids[0, 9] = 0, 1
        save(mask, ids, voc_colors())
    pairs = open_pairs(tmp_path, "train")
    shares = drawn_shares(pairs, inspect_pairs(pairs), (8, 8))["crack"]
    assert shares["evenly"] == 0 < shares["windows"]
