"""How sure a network is: pixels that become void, pictures of it, and images that would teach it most."""

import csv
import dataclasses
import json

import numpy as np
import pytest
import tensorflow as tf
from conftest import Call
from PIL import Image
from test_photos import VOC, expected_ids, make_photos, tasks_of

from keras_fcn.commands.predict import PredictOptions, run_prediction
from keras_fcn.inference.decision import Decision
from keras_fcn.inference.options import InferenceOptions
from keras_fcn.inference.predictor import Predictor
from keras_fcn.prediction.outputs import Prediction, encode_to_label
from keras_fcn.prediction.photos import predict_all
from keras_fcn.prediction.to_label import clustered, describe_unsureness, mean_entropy, ranked, spread


def by_red(images):
    """Probabilities of 21 classes: that of the red of a pixel gets 0.5 to 1, as its green says."""
    images = tf.convert_to_tensor(images)
    sure = 0.5 + 0.5 * tf.cast(images[..., 1:2], tf.float32) / 255
    one = tf.one_hot(tf.minimum(tf.cast(images[..., 0], tf.int32) // 13 + 1, 20), 21)
    return one * sure + (1 - one) * (1 - sure) / 20


def predictor():
    return Predictor(lambda images: tf.cast(tf.argmax(by_red(images), -1), tf.uint8), VOC, by_red)


def green(path):
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))[..., 1]


@pytest.mark.parametrize("tile", [None, (32, 32)])
def test_less_sure_pixels_become_void(tmp_path, tile):
    photos = make_photos(tmp_path / "in", 1, [(40, 50)])
    sure = predictor().using(InferenceOptions(tile=tile, overlap=0 if tile else None), Decision(0.7))
    for outputs in (["masks"], ["masks", "confidence"]):
        assert predict_all(sure, tasks_of(photos, tmp_path / outputs[-1], *outputs)) == {}
        with Image.open(tmp_path / outputs[-1] / "masks/0000.png") as mask:
            ids = np.asarray(mask)
        is_sure = 0.5 + 0.5 * green(photos / "0000.png") / 255 >= 0.7
        assert 0.5 < is_sure.mean() < 0.7
        np.testing.assert_array_equal(ids, np.where(is_sure, expected_ids(photos / "0000.png"), 255))


def test_confidence_is_the_highest_probability_as_grey(tmp_path):
    photos = make_photos(tmp_path / "in", 2)
    assert predict_all(predictor(), tasks_of(photos, tmp_path / "out", "confidence")) == {}
    with Image.open(tmp_path / "out/confidence/0001.png") as image:
        assert image.mode == "L"
        expected = 255 * (0.5 + 0.5 * green(photos / "0001.png") / 255)
        assert np.abs(np.asarray(image) - expected).max() <= 0.501


def test_entropy_is_a_fraction_of_the_highest():
    probabilities = np.random.default_rng(0).dirichlet(np.ones(5), (6, 7)).astype(np.float32)
    wide = probabilities.astype(float)
    expected = -(wide * np.log(wide)).sum(-1).mean() / np.log(5)
    assert mean_entropy(probabilities) == pytest.approx(expected, rel=1e-5)
    assert mean_entropy(np.full((2, 2, 4), 0.25, np.float32)) == pytest.approx(1)
    assert mean_entropy(np.eye(3, dtype=np.float32)[None]) == 0
    assert mean_entropy(np.ones((2, 2, 1), np.float32)) == 0


def greedy(entropies, clusters):
    """Takes one image after the other: what the sorting in `spread` stands for."""
    left, found = set(range(len(entropies))), []
    while left:
        taken = [clusters[index] for index in found]
        best = max(left, key=lambda index: (entropies[index] / (1 + taken.count(clusters[index])), -index))
        left.remove(best)
        found.append(best)
    return found


def test_images_of_a_cluster_make_way_for_others():
    random = np.random.default_rng(0)
    entropies, clusters = random.random(40), random.integers(0, 4, 40)
    assert spread(entropies, clusters) == greedy(entropies, clusters)
    assert spread(np.array([0.9, 0.8, 0.5]), np.array([0, 0, 1])) == [0, 2, 1]  # 0.9, 0.5, 0.8 / 2
    assert spread(np.array([]), np.array([], int)) == []


def table_of(files):
    left_out = []
    text = b"".join(ranked(files, left_out)).decode()
    return list(csv.DictReader(text.splitlines())), left_out


def scene(number, kind, unsure):
    image = np.full((8, 8, 3), 40 + 10 * kind, np.uint8)
    image[:, : kind + 1] = 200
    probabilities = np.full((8, 8, 3), unsure / 3, np.float32)
    probabilities[..., kind % 3] += 1 - unsure
    return json.dumps(describe_unsureness(f"a, {number}.jpg", image, probabilities)).encode()


def test_the_first_are_unsure_and_not_all_of_a_kind():
    alike = [scene(number, 0, 0.9) for number in range(60)]
    others = [scene(60 + number, 1 + number % 4, 0.5 - number / 1000) for number in range(40)]
    words = {**json.loads(scene(0, 1, 0.5)), "features": ["a"] * len(json.loads(scene(0, 1, 0.5))["features"])}
    damaged = scene(0, 1, 0.5)[:-3], json.dumps(words).encode()
    rows, left_out = table_of([*alike, *others, b"[]", *damaged, b"{}"])
    assert len(left_out) == 4
    assert len(rows) == 100
    first = [int(row["image"][3:-4]) for row in rows[:12]]
    assert first[0] < 60  # the least sure
    assert {1 + (number - 60) % 4 for number in first if number >= 60} == {1, 2, 3, 4}
    assert len({row["cluster"] for row in rows}) >= 5
    assert float(rows[0]["entropy"]) >= float(rows[-1]["entropy"])


def test_frames_of_videos_are_not_listed():
    image, unsure = np.zeros((4, 4, 3), np.uint8), np.full((4, 4, 21), 1 / 21, np.float32)
    frame = Prediction("clip.mp4/000007", image, image[..., 0], VOC, VOC, unsure, location="in/clip.mp4")
    photo = dataclasses.replace(frame, name="a.jpg", location="in/a.jpg")
    rows, left_out = table_of([encode_to_label(frame), encode_to_label(photo)])
    assert ([row["image"] for row in rows], left_out) == (["in/a.jpg"], [])


def test_clusters_hold_what_is_alike():
    centres = np.array([[0, 0], [5, 0], [0, 5], [9, 9]])
    random = np.random.default_rng(0)
    kinds = random.integers(0, 4, 16)
    found = clustered(centres[kinds] + random.random((16, 2)), random.random(16))
    assert len(set(zip(kinds.tolist(), found.tolist()))) == 4
    assert clustered(np.zeros((30, 2)), np.ones(30)).tolist() == [0] * 30
    assert clustered(np.zeros((0, 2)), np.zeros(0)).tolist() == []


def test_the_command_ranks_by_flips_and_scales(tmp_path, monkeypatch, capsys):
    photos = make_photos(tmp_path / "in", 9, [(9, 7), (12, 5)])
    monkeypatch.setattr(Predictor, "open", lambda _path, options, decision: predictor().using(options, decision))
    chosen, original = [], Predictor.using

    def using(self, options, decision):
        chosen.append(options)
        return original(self, options, decision)

    monkeypatch.setattr(Predictor, "using", using)
    model = tmp_path / "model.keras"
    model.touch()
    options = PredictOptions(model, (str(photos),), str(tmp_path / "out"), ("masks", "to_label"))
    assert run_prediction(options).done == 9
    assert chosen == [InferenceOptions(flip=True, scales=(0.75, 1.0, 1.25))]
    note = "note: to_label ranks by the mean of flips and scales: all is predicted with --flip --scales 0.75 1 1.25\n"
    assert note in capsys.readouterr().err
    rows = list(csv.DictReader((tmp_path / "out/to_label.csv").open()))
    assert sorted(row["image"] for row in rows) == sorted(str(path) for path in photos.iterdir())
    own = InferenceOptions(flip=True)
    run_prediction(PredictOptions(model, (str(photos),), str(tmp_path / "own"), ("to_label",), inference=own))
    assert chosen[-1] == own
    assert "note:" not in capsys.readouterr().err


@pytest.mark.parametrize("value", ["-0.1", "1.5", "nan"])
def test_a_wrong_bound_is_one_line(value, tmp_path):
    call = Call("predict.py", "model", tmp_path, "--out", tmp_path / "out", "--unsure", value)
    line = f"error: --unsure must be in 0 to 1. Received: {float(value)}; see predict.py --help\n"
    assert (call.status, call.err) == (2, line)
