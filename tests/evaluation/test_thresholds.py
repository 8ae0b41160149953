"""Thresholds chosen on validation images are those of a search by NumPy, and are kept where they help."""

import json
import shutil

import numpy as np
import pytest
from conftest import Call

from keras_fcn.evaluation.calibration import TENTHS, Calibrator
from keras_fcn.evaluation.metrics import confusion_matrix
from keras_fcn.evaluation.results import Evaluation
from keras_fcn.evaluation.thresholds import choose_thresholds
from keras_fcn.images.classes import ClassTable
from keras_fcn.inference.models import load_model
from keras_fcn.inference.predictor import Predictor
from keras_fcn.network.parts import Parts

CLASSES = ClassTable.named(["background", "crack", "noise", "speck"])


@pytest.fixture(scope="module")
def images():
    """Twelve images: cracks get 0.3 to 0.6, what is none 0 to 0.45; noise is told at random; one image has a speck."""
    random, made = np.random.default_rng(0), []
    for number in range(12):
        label = (random.random((60, 50)) < 0.15).astype(np.uint8)
        label[random.random(label.shape) < 0.1] = 2
        if number == 5:
            label[:2, :2] = 3
        crack = np.where(label == 1, random.uniform(0.3, 0.6, label.shape), random.uniform(0, 0.45, label.shape))
        noise = random.uniform(0, 0.3, label.shape)
        probabilities = np.stack([1 - crack - noise - 0.01, crack, noise, np.full(label.shape, 0.01)], -1)
        label[random.random(label.shape) < 0.05] = 255
        made.append((label, probabilities.astype(np.float32)))
    return made


@pytest.fixture(scope="module")
def evaluation(images):
    calibrator, matrix = Calibrator(4, len(images)), np.zeros((4, 4), np.int64)
    for label, probabilities in images:
        calibrator.add(label, probabilities)
        matrix += confusion_matrix(label, probabilities.argmax(-1), 4)
    return Evaluation(CLASSES.names, len(images), matrix, {}, None, calibrator.result())


def counts(images, index, least):
    """True positives, and predicted and true pixels, of a class where its probability is at least a threshold."""
    found = np.zeros(3)
    for label, probabilities in images:
        chosen, truth = probabilities[..., index][label != 255] >= least, label[label != 255] == index
        found += (chosen & truth).sum(), chosen.sum(), truth.sum()
    return found


def best_of(images, index):
    dices = [2 * hits / (chosen + truth) for hits, chosen, truth in (counts(images, index, k / 1000) for k in GRID)]
    return GRID[int(np.argmax(dices))] / 1000, max(dices)


GRID = range(420, 480)


def test_the_best_threshold_is_that_of_a_search(images, evaluation):
    best, dice = best_of(images, 1)
    found = evaluation.calibration
    assert found.thresholds[1] == pytest.approx(best, abs=0.0011)  # of rounding
    assert found.best_dice[1] == pytest.approx(dice, abs=1e-3)
    assert found.shown.tolist()[3] == [1, int(sum((label == 3).sum() for label, _ in images))]


def test_the_uncertainty_is_that_of_a_search_without_each_tenth(images, evaluation):
    chosen, hits = [], np.zeros(3)
    for tenth in range(TENTHS):
        chosen.append(best_of([image for number, image in enumerate(images) if number % TENTHS != tenth], 1)[0])
        hits += counts(images[tenth::TENTHS], 1, chosen[-1])
    low, high = evaluation.calibration.spread[1]
    assert (low, high) == (pytest.approx(min(chosen), abs=0.0011), pytest.approx(max(chosen), abs=0.0011))
    assert evaluation.calibration.checked_dice[1] == pytest.approx(2 * hits[0] / (hits[1] + hits[2]), abs=2e-3)
    assert np.isnan(evaluation.calibration.spread[3]).all()


def test_what_helps_is_kept_and_what_is_rare_is_not(images, evaluation):
    found = choose_thresholds(evaluation, CLASSES)
    threshold = evaluation.calibration.thresholds[1]
    assert found.thresholds["crack"] == threshold
    assert "background" not in found.thresholds
    assert "speck" not in found.thresholds
    crack, *others = found.lines
    low, high = evaluation.calibration.spread[1]
    assert crack.startswith(f"crack={threshold:g} ({low:g}-{high:g}), Dice ")
    assert crack.endswith(f"{evaluation.calibration.shown[1, 1]:,} pixels in 12 images")
    pixels = evaluation.calibration.shown[3, 1]
    why = "fewer than 5 images and 1,000 pixels would decide by chance"
    assert others[-1] == f"none for speck ({pixels} pixels in 1 image): {why}"


def test_the_command_keeps_replaces_and_removes(trained, tmp_path):
    run = shutil.copytree(trained, tmp_path / "run")
    classes = Predictor(run).classes
    name = classes.names[3]
    call = Call("evaluate.py", run, "--threshold", f"{name}=0.04", "--keep-thresholds", "--json", tmp_path / "a.json")
    assert call.status in (0, None), call.err
    assert f"best.keras: keeps the thresholds {name}=0.04; export it again" in call.out
    assert Parts(load_model(run / "best.keras")).logits.thresholds == {name: 0.04}

    call = Call("evaluate.py", run, "--json", tmp_path / "b.json")
    assert f"its own thresholds decide: {name}=0.04; --threshold none is without" in call.err
    first, second = (json.loads((tmp_path / f"{letter}.json").read_text()) for letter in "ab")
    assert first["confusion_matrix"] == second["confusion_matrix"]

    call = Call("evaluate.py", run, "--keep-thresholds")  # three images are too few for any
    assert "best.keras: has no thresholds" in call.out
    assert "would decide by chance" in call.out
    assert f"its own thresholds ({name}=0.04) are replaced by none" in call.err
    assert Parts(load_model(run / "best.keras")).logits.thresholds == {}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["--keep-thresholds", "--flip"],
            "--keep-thresholds is for one model, without flips, scales, tiles and --temp",
        ),
        (["--keep-thresholds", "--keep-temperature"], "--keep-temperature and --keep-thresholds exclude each other: "),
        (["--keep-thresholds", "--submission", "a.tgz"], "--submission and --keep-thresholds exclude each other: "),
        (["--threshold", "background=0.5"], "--threshold names background, which is what pixels are where no other "),
        (["--threshold", "cat=0.5", "cat=0.6"], "each class once, and values above 0 and up to 1, or none. Received: "),
    ],
)
def test_what_cannot_be_is_one_line(trained, words, message):
    call = Call("evaluate.py", trained, *words)
    assert (call.status, call.err.count("\n")) == (2, 1), call.err
    assert message in call.err
