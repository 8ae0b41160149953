"""The console scripts `keras-fcn-train`, `keras-fcn-evaluate`, ...: pyproject.toml names these functions.

Each imports its command only when it is called, so that none waits for what another needs.
"""

from __future__ import annotations

from keras_fcn.system.command_line import run_command


def train() -> None:
    """Trains a network: `train.py`."""
    from keras_fcn.commands.train import main

    run_command(main)


def evaluate() -> None:
    """Measures networks: `evaluate.py`."""
    from keras_fcn.commands.evaluate import main

    run_command(main)


def predict() -> None:
    """Segments photographs and videos: `predict.py`."""
    from keras_fcn.commands.predict import main

    run_command(main)


def check() -> None:
    """Looks at a data set: `python -m keras_fcn.check`."""
    from keras_fcn.commands.check import main

    run_command(main)


def summary() -> None:
    """Counts what a network costs: `python -m keras_fcn.summary`."""
    from keras_fcn.commands.summary import main

    run_command(main)
