"""Epochs that are fixed from minutes: by hand-worked times, and a run that does not differ from one of these epochs."""

import dataclasses
import json
import re
import time

import pytest
import tensorflow as tf
from tiny_runs import assert_same_run, silent, tiny

from keras_fcn.errors import UserError
from keras_fcn.training.distributed.workers import Workers
from keras_fcn.training.inputs.feature_cache import FeatureCache
from keras_fcn.training.opening import Opening, length
from keras_fcn.training.opening.length import Pace, with_fixed_epochs
from keras_fcn.training.step.own import OwnParts
from keras_fcn.training.train import run_training

#           10 steps of 2 s, a checkpoint every 6 s, each 0.5 s, and 4 s at the end: 20 + 3 * 0.5 + 4 = 25.5 s
PACE = Pace(10, 0, step=2.0, frozen_step=0.5, filling=0.0, saving=0.5, ending=4.0, checkpoint_minutes=0.1)


@pytest.mark.parametrize(
    ("changes", "seconds", "epochs"),
    [
        ({}, 25.4, 0),
        ({}, 25.5, 1),
        ({}, 256.0, 10),
        ({}, -5.0, 0),
        ({"checkpoint_minutes": 0.0}, 28.9, 0),  # a checkpoint after every step: 20 + 5 + 4
        ({"checkpoint_minutes": 0.0}, 29.0, 1),
        # 3 epochs of 5 + 4 s while the backbone is frozen, after 7 s for its features; then those of 25.5 s
        ({"frozen_epochs": 3, "filling": 7.0}, 15.9, 0),
        ({"frozen_epochs": 3, "filling": 7.0}, 16.0, 1),
        ({"frozen_epochs": 3, "filling": 7.0}, 59.4, 3),
        ({"frozen_epochs": 3, "filling": 7.0}, 59.5, 4),
        ({"frozen_epochs": 3, "filling": 7.0}, 85.0, 5),
    ],
)
def test_as_many_epochs_are_chosen_as_fit(changes, seconds, epochs):
    pace = dataclasses.replace(PACE, **changes)
    assert pace.epochs_within(seconds) == epochs
    assert pace.total(epochs) <= max(seconds, pace.filling) < pace.total(epochs + 1)


@pytest.fixture
def quick(monkeypatch):
    """Few steps are measured, and one epoch fits, on any machine."""
    monkeypatch.setattr(length, "MOST_STEPS", 1)
    monkeypatch.setattr(Pace, "epochs_within", lambda self, seconds: 1)


def with_minutes(config, minutes=60.0):
    return dataclasses.replace(config, run=dataclasses.replace(config.run, minutes=minutes))


@pytest.mark.usefixtures("quick", "no_pictures")
def test_a_run_of_minutes_is_that_of_its_epochs(toy, plain, tmp_path):
    lines = []
    run = run_training(with_minutes(tiny(toy, epochs=8)), tmp_path / "run", report=lines.append)
    assert_same_run(run, plain)
    assert json.loads(run.config.read_text()) == json.loads(plain.config.read_text())
    assert lines[2].startswith("Minutes  measuring some steps and a validation, to see how many epochs fit into 60")
    assert " a step, " in lines[3]
    assert " after each epoch for validation and files: 1 epoch fits into 60; expected end " in lines[3]


@pytest.mark.usefixtures("no_pictures", "eager")
def test_features_are_measured_of_few_crops_however_many_an_epoch_has(toy, tmp_path, monkeypatch):
    """Then whole steps are, of images. An epoch has three crops of each of 10 images, or 8 steps of 4."""
    paces, filled, fill = [], [], FeatureCache.fill
    for name, count in {"WARM_STEPS": 2, "LEAST_STEPS": 1, "MOST_STEPS": 1, "CACHED_STEPS": 3}.items():
        monkeypatch.setattr(length, name, count)
    monkeypatch.setattr(Pace, "epochs_within", lambda self, seconds: paces.append(self) or 0)
    monkeypatch.setattr(length._Trial, "ending", lambda *_: (1.0, 1.0))

    def counted(cache, features_of, batches, check):
        filled.append(int(batches.cardinality()))
        fill(cache, features_of, batches, check)

    monkeypatch.setattr(FeatureCache, "fill", counted)
    config = tiny(toy, cache_features=1.0, freeze_backbone=1, crops_per_image=3, balance="windows")
    with pytest.raises(UserError, match=r"not one epoch of 8 steps fits: .* for features first, .* while the backbone"):
        run_training(with_minutes(config), tmp_path / "run", report=silent)
    assert filled == [3, 3]  # once to trace, once to measure
    assert paces[0].filling > 0


@pytest.mark.parametrize("how", ["resume", "run_dir"])
def test_a_run_to_resume_keeps_its_epochs(toy, plain, how):
    """The data are looked for after that, and are not there."""
    config, lines = with_minutes(tiny(toy if how == "run_dir" else "nowhere", epochs=8)), []
    assert Opening(config, OwnParts(), **{"run_dir": None, "resume": None, how: plain.root}).config.epochs == 1
    if how == "resume":
        with pytest.raises(UserError, match="nowhere: no such folder"):
            run_training(config, resume=plain.root, report=lines.append)
        assert lines == [f"Minutes  {plain.root} keeps its epochs, 1, which were fixed when it began"]


def test_minutes_without_an_epoch_are_one_line(monkeypatch, toy):
    monkeypatch.setattr(length, "_measure", lambda *_: (PACE, 12.0))
    with pytest.raises(UserError) as caught:
        with_fixed_epochs(with_minutes(tiny(toy), 0.5), None, None, tf.distribute.get_strategy(), 0.0, silent)
    assert re.match(
        r"minutes=0.5: not one epoch of 10 steps fits: 2 s a step, 4 s after each epoch for validation and files; "
        r"give \d+ or more, or epochs=1$",
        str(caught.value),
    )


def test_all_workers_take_the_epochs_that_the_chief_chooses(monkeypatch, toy):
    monkeypatch.setattr(length, "_measure", lambda *_: (PACE, 12.0))
    monkeypatch.setattr(Workers, "gather", lambda self, value: [7, value])
    started = time.perf_counter()
    config = with_fixed_epochs(with_minutes(tiny(toy)), None, None, tf.distribute.get_strategy(), started, silent)
    assert (config.epochs, config.minutes) == (7, None)
