"""Trains as train.py does, by the narrow network, and keeps the weights that each worker ends with in KEPT_WEIGHTS.

`python tests/support/narrow.py tests/support/kept_weights.py OPTIONS` does so in a process. VERSION is the version that
the package then says it has.
"""

import os

import numpy as np

import keras_fcn
from keras_fcn.commands.console import train
from keras_fcn.system.startup import start_tensorflow


def main() -> None:
    keras_fcn.__version__ = os.environ.get("VERSION", keras_fcn.__version__)
    start_tensorflow(list_devices=False)
    from keras_fcn.training.trainer import Training

    finish = Training.train

    def train_and_keep(training, *arguments):
        finish(training, *arguments)
        if path := os.environ.get("KEPT_WEIGHTS"):
            np.savez(path, *(np.asarray(weight) for weight in training.model.weights))

    Training.train = train_and_keep
    train()


main()
