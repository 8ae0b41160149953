"""Starting a run, or going on with one: from settings to a run folder, and in one call for notebooks."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from keras_fcn.config import TrainConfig
from keras_fcn.errors import UserError
from keras_fcn.fcn import FCN_STRIDES, class_table
from keras_fcn.inference import load_model
from keras_fcn.run_folder import RunFolder
from keras_fcn.train_options import read_config
from keras_fcn.training import Training
from keras_fcn.training_data import open_training_data

Report = Callable[[str], None]


def run_training(
    config: TrainConfig,
    run_dir: str | Path | None = None,
    resume: str | Path | None = None,
    report: Report = print,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    initial_weights: list | None = None,
) -> RunFolder:
    """Trains a network and keeps everything about it in a run folder.

    Args:
        config: The settings.
        run_dir: The folder of the run; runs/<time>-<model>-<backbone> if None. A run of the same settings that is there
            already is gone on with.
        resume: The folder of a run to go on with, instead of `run_dir`.
        report: Is told, line by line, what happens.
        callbacks: Keras callbacks, called as `fit` calls them.
        initial_weights: The network's weights, in the order of `get_weights`, instead of those of `config`.

    Returns:
        The run's folder; its metrics.json holds the figures of best.keras.

    Raises:
        UserError: If the data, the settings or the folder are not fit to train on.
        KeyboardInterrupt: After Ctrl-C, when a checkpoint has been written; its text says how to go on.
    """
    run_dir, resume = (None if path is None else Path(path) for path in (run_dir, resume))
    if run_dir is not None and run_dir.exists():
        resume = _same_run(run_dir, config)
    data = open_training_data(config, report)
    keras.utils.set_random_seed(config.seed)
    if config.deterministic:
        tf.config.experimental.enable_op_determinism()
    training = Training(config, data)
    if initial_weights is not None:
        training.start_from(initial_weights)
    report(training.describe())
    if resume is None:
        run = RunFolder.create(run_dir, config)
        run.write_images(data.pairs.images, data.held_out.images)
    else:
        run = RunFolder(resume)
        training.restore(run, report)
    finished = f", finished in epoch {int(training.finished_epochs)}" if training.is_finished else ""
    report(f"Run      {run.root}{finished}")
    training.run(run, report, callbacks)
    return run


def _same_run(run_dir: Path, config: TrainConfig) -> Path:
    """Returns the folder if it holds a run of these settings.

    Raises:
        UserError: If it holds anything else: no run writes over another.
    """
    kept = RunFolder(run_dir).config
    if not kept.is_file():
        raise UserError(f"{run_dir}: exists already and is no run; choose another --run-dir")
    before = read_config(kept).to_dict()
    differing = [name for name, value in config.to_dict().items() if value != before[name]]
    if differing:
        options = ", ".join(f"--{name.replace('_', '-')}" for name in differing)
        raise UserError(
            f"{run_dir}: exists already, with another {options}; choose another --run-dir, or go on with "
            f"--resume {run_dir}"
        )
    return run_dir


@dataclasses.dataclass(frozen=True)
class TrainedRun:
    """What `train` returns.

    Attributes:
        history: Per column of history.csv its values, epoch by epoch.
        run: The run's folder.
    """

    history: dict[str, list[float]]
    run: RunFolder

    @property
    def model(self) -> keras.Model:
        """The model with the best mean IoU on the held-out images."""
        return load_model(self.run.best_model)


def train(
    model: str | keras.Model = "fcn8s",
    data: str | Path = "toy",
    *,
    run_dir: str | Path | None = None,
    resume: str | Path | None = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    report: Report = print,
    **settings,
) -> TrainedRun:
    """Trains a network as `train.py` does, in one call.

    Args:
        model: "fcn32s", "fcn16s", "fcn8s", or a model of `build_fcn`: training starts from its weights, and it has the
            best model's weights afterwards.
        data: A folder of photographs and masks, "toy", or "voc2012".
        run_dir: The folder of the run; runs/<time>-<model>-<backbone> if None. A run of the same settings that is there
            already is gone on with.
        resume: The folder of a run to go on with, instead of `run_dir`.
        callbacks: Keras callbacks, called as `fit` calls them.
        report: Is told, line by line, what happens.
        **settings: The other options of `train.py`, such as `epochs=20`; see `TrainConfig`.

    Raises:
        UserError: If the data, a setting or the folder is not fit to train on.
        ValueError: If `model` is a model of somebody else, or has other classes than the data.

    Example:
        >>> trained = keras_fcn.train("fcn16s", "my_data", backbone="resnet18_v2", epochs=20)
        >>> trained.history["val_mean_iou"][-1]
    """
    name: Any = model
    weights = None
    if isinstance(model, keras.Model):
        class_table(model)  # raises if it is not one of ours
        name, _, backbone = model.name.partition("_")
        if name not in FCN_STRIDES:
            raise ValueError(f"a model of build_fcn is named after its network and backbone. Received: {model.name!r}")
        settings, weights = {**settings, "backbone": backbone}, model.get_weights()
    config = TrainConfig(model=name, data=str(data), **settings)
    run = run_training(config, run_dir, resume, report, callbacks, weights)
    rows = run.read_history()
    trained = TrainedRun({column: [row[column] for row in rows] for column in rows[0]}, run)
    if isinstance(model, keras.Model):
        model.set_weights(trained.model.get_weights())
    return trained
