"""The console scripts `keras-fcn-train`, `keras-fcn-evaluate`, ...: pyproject.toml names these functions.

Each imports its command only when it is called, so that none waits for the imports of another.
"""

from __future__ import annotations

from keras_fcn.system.command_line import run_command


def train() -> None:
    """Trains a network: `train.py`."""
    from keras_fcn.commands.train import main

    run_command(main)


def evaluate() -> None:
    """Evaluates networks: `evaluate.py`."""
    from keras_fcn.commands.evaluate import main

    run_command(main)


def predict() -> None:
    """Segments images and videos: `predict.py`."""
    from keras_fcn.commands.predict import main

    run_command(main)


def check() -> None:
    """Checks a data set: `python -m keras_fcn.check`."""
    from keras_fcn.commands.check import main

    run_command(main)


def convert() -> None:
    """Writes a data set as VOC's folders or COCO's JSON: `python -m keras_fcn.convert`."""
    from keras_fcn.commands.convert import main

    run_command(main)


def summary() -> None:
    """Counts the parameters and operations of a network: `python -m keras_fcn.summary`."""
    from keras_fcn.commands.summary import main

    run_command(main)
