"""Calibration and curves are those of plain NumPy over all pixels."""

import dataclasses
import json
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import Call
from PIL import Image

from keras_fcn.datasets import open_pairs
from keras_fcn.evaluation.calibration import BINS, Calibrator, fitted_temperature
from keras_fcn.evaluation.evaluate import evaluate
from keras_fcn.evaluation.tables import format_calibration
from keras_fcn.inference.large import WholeImages
from keras_fcn.inference.models import load_model
from keras_fcn.inference.predictor import Predictor
from keras_fcn.network.parts import Parts

NAMES = ("background", "crack", "stain", "nothing")


def softmax(values):
    powers = np.exp(values - values.max(-1, keepdims=True))
    return (powers / powers.sum(-1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="module")
def images():
    """Labels drawn from the softmax of logits of which the model shows three times as much: it is too sure."""
    random = np.random.default_rng(0)
    made = []
    for height, width in ((40, 50), (30, 30), (7, 90)):
        logits = random.normal(0, 1.2, (height, width, 4)) - (0, 0, 0, 30)
        label = (softmax(logits).cumsum(-1) < random.random((height, width, 1))).sum(-1).clip(0, 2).astype(np.uint8)
        label[random.random(label.shape) < 0.1] = 255
        made.append((label, softmax(3 * logits)))
    return made


@pytest.fixture(scope="module")
def found(images):
    calibrator = Calibrator(4, len(images))
    for label, probabilities in images:
        calibrator.add(label, probabilities)
    return calibrator.result()


@pytest.fixture(scope="module")
def pixels(images):
    labels = np.concatenate([label.ravel() for label, _ in images])
    probabilities = np.concatenate([each.reshape(-1, 4) for _, each in images])
    return labels[labels != 255], probabilities[labels != 255]


def ece_of(labels, probabilities):
    confidence = probabilities.max(1).astype(float)
    right = probabilities.argmax(1) == labels
    total = 0.0
    for number in range(BINS):
        inside = (confidence > number / BINS) & (confidence <= (number + 1) / BINS)
        if inside.any():
            total += inside.mean() * abs(right[inside].mean() - confidence[inside].mean())
    return total


def test_the_calibration_error_is_that_of_the_definition(found, pixels):
    assert found.ece == pytest.approx(ece_of(*pixels), abs=1e-9)
    assert found.ece > 0.1


def test_the_temperature_is_found_and_calibrates(found, pixels):
    labels, probabilities = pixels
    assert found.temperature == pytest.approx(3, rel=0.1)
    grid = np.arange(2.5, 3.5, 0.005)
    logs = np.log(np.maximum(probabilities.astype(float), 1e-38))
    losses = [-np.log(softmax(logs / value).astype(float)[np.arange(len(labels)), labels]).mean() for value in grid]
    assert found.temperature == pytest.approx(grid[int(np.argmin(losses))], abs=0.01)
    assert found.tempered_ece < 0.03 < found.ece


def test_precision_and_recall_are_counted_at_each_threshold(found, pixels):
    labels, probabilities = pixels
    for index in range(3):
        for step in (1, 137, 500, 999):
            chosen = np.minimum((probabilities[:, index] * 1000).astype(int), 1000) >= step
            hits = (chosen & (labels == index)).sum()
            assert found.precision[index, step] == pytest.approx(hits / chosen.sum())
            assert found.recall[index, step] == pytest.approx(hits / (labels == index).sum())
    dice = 2 * found.precision * found.recall / (found.precision + found.recall)
    best = np.nan_to_num(dice).argmax(1) / 1000
    np.testing.assert_array_equal(found.thresholds[:3], best[:3])


def test_average_precision_is_the_area_under_the_steps(found, pixels):
    labels, probabilities = pixels
    for index in range(3):
        quantized = np.minimum((probabilities[:, index] * 1000).astype(int), 1000)
        area, before = 0.0, 0.0
        for step in range(1000, -1, -1):
            chosen = quantized >= step
            if chosen.any():
                recall = (chosen & (labels == index)).sum() / (labels == index).sum()
                area += (recall - before) * (labels[chosen] == index).mean()
                before = recall
        assert found.average_precision[index] == pytest.approx(area)


def test_a_class_that_is_not_there_has_no_values(found):
    table = found.to_json(NAMES)
    for key in ("average_precision", "threshold", "dice_at_threshold"):
        assert table[key]["nothing"] is None
        assert 0 <= table[key]["crack"] <= 1


def test_without_pixels_there_is_no_temperature():
    assert fitted_temperature(np.zeros((0, 3), np.float32), np.zeros(0, int)) == 1
    calibrator = Calibrator(2, 1)
    calibrator.add(np.full((2, 2), 255, np.uint8), np.full((2, 2, 2), 0.5, np.float32))
    assert np.isnan(calibrator.result().ece)


def test_large_images_are_counted_in_tiles(toy):
    tiles = []

    def score(images):
        tiles.append(images.shape[1:3])
        return np.full((*images.shape[:3], count), 1 / count, np.float32)

    pairs = open_pairs(toy, "val").shard(0, 100)
    count = pairs.classes.num_classes
    predictor = Predictor(lambda images: None, pairs.classes, score)
    predictor.limits = WholeImages(64, 64 * 64)
    assert evaluate(None, pairs, calibrated=predictor).calibration.ece > 0
    assert len(tiles) > 1
    assert max(map(max, tiles)) <= 64


def test_the_command_shows_draws_and_keeps(trained, tmp_path):
    run = shutil.copytree(trained, tmp_path / "run")
    call = Call("evaluate.py", run, "--keep-temperature", "--out", tmp_path / "out", "--json", tmp_path / "m.json")
    assert call.status in (0, None), call.err
    values = json.loads((tmp_path / "m.json").read_text())["calibration"]
    kept = Parts(load_model(run / "best.keras")).logits.temperature
    assert kept == values["temperature"]
    assert f"best.keras: its temperature was multiplied by {kept:.3f}" in call.out
    assert "Expected calibration error" in call.out
    assert "best threshold" in call.out
    with Image.open(tmp_path / "out/calibration.png") as picture:
        assert picture.width > 1000


def test_what_cannot_be_kept_is_one_line(trained, tmp_path):
    call = Call("evaluate.py", trained, trained / "best.keras", "--keep-temperature")
    assert (call.status, call.err.count("\n")) == (2, 1)
    assert "--keep-temperature is for one model, without flips, scales, tiles" in call.err
    assert Call("evaluate.py", trained, "--keep-temperature", "--flip").status == 2


def test_a_temperature_that_calibrates_no_better_is_not_worth_keeping(found):
    worse = dataclasses.replace(found, bins=found.tempered_bins, tempered_bins=found.bins)
    for calibration, is_told in (
        (found, False),
        (worse, True),
        (dataclasses.replace(found, tempered_bins=found.bins), True),
    ):
        evaluation = SimpleNamespace(
            calibration=calibration, class_names="abcd", metrics=SimpleNamespace(dice=np.zeros(4))
        )
        assert ("not worth keeping" in " ".join(format_calibration(evaluation).split())) == is_told
