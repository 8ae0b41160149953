"""Trainings that take seconds, and what two of them must have in common."""

import contextlib
import math
import sys
import warnings

import numpy as np
import tensorflow as tf

from keras_fcn.inference.models import load_model
from keras_fcn.runs.config import TrainConfig
from keras_fcn.training.step.step import TrainingStep

NARROW_TRAINING = (sys.executable, "-u", "tests/support/narrow.py", "train.py")
"""Trains the network of these trainings in a process of its own, from the project's folder."""

MEASURED = ("seconds", "images_per_second", "waiting_share")
"""Columns of the history that measure time."""


def silent(_line):
    pass


def tiny(toy, **settings):
    defaults = {"model": "fcn32s", "crop_size": (64, 96), "batch_size": 4, "epochs": 2}
    return TrainConfig(data=str(toy), **{**defaults, **settings})


def exact_history(run):
    """The history without the columns that measure time, None for NaN, which is not equal to itself."""
    return [
        {key: None if math.isnan(value) else value for key, value in row.items() if key not in MEASURED}
        for row in (row.to_json() for row in run.read_history())
    ]


def assert_same_run(run, other):
    assert exact_history(run) == exact_history(other)
    assert run.metrics.read_text() == other.metrics.read_text()
    weights, others = load_model(run.best_model).get_weights(), load_model(other.best_model).get_weights()
    for weight, other_weight in zip(weights, others, strict=True):
        np.testing.assert_array_equal(weight, other_weight)


@contextlib.contextmanager
def eagerly():
    """Spares the trainings within the block their graphs, half of the time of a short one.

    For those whose steps are not in question, and for what a training in a graph is compared with. What must be equal
    to the last bit is trained in the same way: the order of sums differs.
    """
    tf.config.run_functions_eagerly(True)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Even though")  # it does not concern tf.data
            yield
    finally:
        tf.config.run_functions_eagerly(False)


class Interruption:
    """Stands for Ctrl-C before step number `step`, counted from 1 over all epochs."""

    def __init__(self, monkeypatch, step):
        original, self.made = TrainingStep.__call__, 0

        def make_step(*arguments):
            self.made += 1
            if self.made == step:
                raise KeyboardInterrupt
            return original(*arguments)

        monkeypatch.setattr(TrainingStep, "__call__", make_step)
        self.undo = monkeypatch.undo
