"""Starts or resumes a run: from settings to a run folder, and in one call for notebooks."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

import keras_fcn
from keras_fcn.datasets import open_pairs
from keras_fcn.errors import UserError, argument
from keras_fcn.inference.models import load_model
from keras_fcn.network.backbones import Backbone
from keras_fcn.network.parts import Parts
from keras_fcn.pipeline.augmentation import Augment
from keras_fcn.runs.config import TrainConfig
from keras_fcn.runs.config_files import read_config
from keras_fcn.runs.folder import RunFolder
from keras_fcn.runs.known_files import remembering
from keras_fcn.runs.names import TrackerName
from keras_fcn.system.startup import report_unused_gpu, require_backend
from keras_fcn.training.build import build_data, build_training
from keras_fcn.training.distributed.agreement import Introduction
from keras_fcn.training.distributed.cluster import joined_cluster
from keras_fcn.training.distributed.devices import build_strategy, require_unused
from keras_fcn.training.distributed.peers import Peers
from keras_fcn.training.distributed.telling import telling_others
from keras_fcn.training.distributed.workers import Workers
from keras_fcn.training.inputs.data import TrainingData
from keras_fcn.training.inputs.watch import WatchedFiles
from keras_fcn.training.losses import Term
from keras_fcn.training.opening import Opening
from keras_fcn.training.opening.length import with_fixed_epochs
from keras_fcn.training.records.tracking import tracked, tracker_of
from keras_fcn.training.step.own import OwnParts
from keras_fcn.training.trainer import Training

Report = Callable[[str], None]


@telling_others()
def run_training(
    config: TrainConfig,
    run_dir: str | Path | None = None,
    resume: str | Path | None = None,
    report: Report = print,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    initial_weights: list | None = None,
    own: OwnParts | None = None,
    tracker: TrackerName | None = None,
    like: RunFolder | None = None,
) -> RunFolder:
    """Trains a network and writes its files to a run folder.

    In a cluster, each worker calls this, and only the chief writes and logs.

    Args:
        config: The settings.
        run_dir: The folder of the run; runs/<time>-<model>-<backbone> if None. An existing run of the same settings is
            resumed.
        resume: The folder of a run to resume, instead of `run_dir`.
        report: Called with each line of the log.
        callbacks: Keras callbacks, called as `fit` calls them.
        initial_weights: The network's weights, in the order of `get_weights`, instead of those of `config`.
        own: Parts of one's own; a run is resumed with the same.
        tracker: The experiment tracker that gets the values; a resumed run's own if None.
        like: A run whose data a new one has to have: what is known of their files is taken from it.

    Returns:
        The run's folder; its metrics.json holds the metrics of best.keras.

    Raises:
        UserError: If the data, the settings or the folder have a fault.
        LostWorkerError: If another worker of the cluster has ended or failed.
        KeyboardInterrupt: After Ctrl-C, when a checkpoint has been written; its text says how to resume.
    """
    started = time.perf_counter()
    require_backend()
    own = own or OwnParts()
    run_dir, resume = (None if path is None else Path(path) for path in (run_dir, resume))
    opening = Opening(config, own, run_dir, resume, like)
    if config.run.minutes and not opening.config.run.minutes:
        report(f"Minutes  {opening.root} keeps its epochs, {opening.config.epochs}, which were fixed when it began")
    config = opening.config
    tracker = tracker_of(RunFolder(opening.root) if opening.root else None, tracker)
    fix = f"restart all of them with the same commands to resume {opening.root}"
    with opening.locked(), _met(config, own, opening.root, fix, report):
        strategy = build_strategy(config.strategy, config.batch_size)
        report_unused_gpu()
        workers = Workers(strategy)
        with workers.explain_loss(fix):
            report = report if workers.is_chief else _ignore
            data = _open_data(config, workers, opening, report)
            keras.utils.set_random_seed(config.seed)
            if config.deterministic:
                tf.config.experimental.enable_op_determinism()
            with remembering(opening.beginning.known):
                if config.run.minutes:

                    def build(config: TrainConfig, data: TrainingData) -> Training:
                        return build_training(config, data, strategy, initial_weights, own)

                    config = opening.config = with_fixed_epochs(config, data, build, strategy, started, report)
                    keras.utils.set_random_seed(config.seed)
                training = build_training(config, data, strategy, initial_weights, own, opening.has_checkpoint)
            report(training.description)
            run = opening.run(training, data, strategy, report)
            finished = f", finished in epoch {int(training.finished_epochs)}" if training.is_finished else ""
            report(f"Run      {run.root}{finished}")
            watch = [WatchedFiles(opening.beginning.known, report)] if workers.is_chief else []
            settings = config.to_dict()
            with tracked(run, tracker if workers.is_chief else None, settings, report) as tracking:
                training.train(run, report, [*callbacks, *watch, *tracking])
    return run


def _met(
    config: TrainConfig, own: OwnParts, folder: Path | None, fix: str, report: Report
) -> contextlib.AbstractContextManager:
    """Meets the other workers, before TensorFlow does anything else, and notices in the block when they are lost.

    Raises:
        UserError: If they cannot meet.
    """
    cluster = joined_cluster(config.strategy)
    if cluster is None:
        return contextlib.nullcontext()
    if folder is None:
        raise UserError(
            f"several workers need {argument('run_dir')}, a folder that all of them see: each resumes from it"
        )
    if config.cache_features:
        raise UserError(f"{argument('cache_features')} is for one process; leave it out, or train without a cluster")
    require_unused()
    report(f"Worker   {cluster.name}, one of {cluster.num_workers}, at {cluster.address}; waiting for all")
    versions = {"keras_fcn": keras_fcn.__version__, "TensorFlow": tf.__version__, "Keras": keras.__version__}
    return Peers(cluster, Introduction.of(cluster, versions, config.to_dict() | own.names), fix, report)


def _ignore(_: str) -> None:
    """Replaces `report` in workers other than the chief."""


def _open_data(config: TrainConfig, workers: Workers, opening: Opening, report: Report) -> TrainingData:
    """Opens the data in each worker, first in the chief, which may have to draw or download it.

    The masks are read as the run to resume reads them.

    Raises:
        UserError: If it has a fault, has changed since the run began, or differs between workers.
    """
    if workers.count > 1 and workers.is_chief:
        open_pairs(config.data, config.split, reading=opening.reading, **config.dataset.listing)
    workers.wait()
    beginning = opening.beginning
    with remembering(beginning.known):
        data = build_data(config, report, opening.reading, beginning.require_classes)
    assert data.fingerprint is not None
    workers.require_alike(
        str(data.fingerprint.classes),
        f"{config.data}: the workers see different class tables there; give all of them the same",
    )
    if workers.count > 1:  # or the text would be made for nothing, of a million images
        alike = f"{config.data}: the workers see different images or masks there; give all of them the same"
        workers.require_alike(str(data.fingerprint), alike)
    beginning.require_same_data(data.fingerprint, report)
    return data


@dataclasses.dataclass(frozen=True)
class TrainedRun:
    """The result of `train`.

    Attributes:
        history: The values of each column of history.csv, epoch by epoch.
        run: The run's folder.
    """

    history: dict[str, list[float]]
    run: RunFolder

    @property
    def model(self) -> keras.Model:
        """The best model, by what the settings watch."""
        return load_model(self.run.best_model)


def train(
    model: str | keras.Model | TrainConfig | None = None,
    data: str | Path | None = None,
    *,
    backbone: str | Backbone | None = None,
    loss: str | Term | Sequence[str | Term] | None = None,
    augment: Augment | None = None,
    run_dir: str | Path | None = None,
    resume: str | Path | None = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    report: Report = print,
    tracker: TrackerName | None = None,
    **settings: Any,
) -> TrainedRun:
    """Trains a network as `train.py` does, in one call.

    Args:
        model: "fcn32s", "fcn16s", "fcn8s", "fcn4s", or a head of another network, as for `build_fcn`; a model of
            `build_fcn`: training starts from its weights, and it has the best model's weights afterwards; or the
            settings as a whole. None is "fcn8s", or that of the run to resume.
        data: A folder of images and masks, "toy", or "voc2012"; that of the settings if None.
        backbone: A name, or a `Backbone` of one's own.
        loss: A name, a function of one's own, or several of these, whose sum is minimized. A function takes labels,
            integers [N, H, W], and logits, float32 [N, H, W, num_classes], and returns the sum over pixels or images
            and their number, both without void, float32 scalars.
        augment: One's own function, called before the augmentation of the settings: from an image uint8 [H, W, 3], its
            label uint8 [H, W] and a seed, integers [2], to an image and a label of any size.
        run_dir: The folder of the run; runs/<time>-<model>-<backbone> if None. An existing run of the same settings is
            resumed.
        resume: The folder of a run to resume, instead of `run_dir`, with its own settings; of these, only `epochs`,
            `data` and `unlabelled` may be given. One with parts of one's own, which config.json names, needs the
            same parts again.
        callbacks: Keras callbacks, called as `fit` calls them.
        report: Called with each line of the log.
        tracker: "mlflow", "wandb" or "trackio", which gets the values of every epoch.
        **settings: The other options of `train.py`, such as `epochs=20`; see `TrainConfig`.

    Raises:
        UserError: If the data, a setting or the folder has a fault.
        ValueError: If `model` is not a model of `build_fcn`, or has other classes than the data.

    Examples:
        >>> trained = keras_fcn.train("fcn16s", "my_data", backbone="resnet18_v2", epochs=20)
        >>> best = max(trained.history["val_mean_iou"])
    """
    losses = (loss,) if isinstance(loss, str) or callable(loss) else tuple(loss or ())
    own_loss = losses if any(map(callable, losses)) else ()
    own = OwnParts(backbone if isinstance(backbone, Backbone) else None, own_loss, augment)
    named = {
        "data": data and str(data),
        "backbone": None if own.backbone else backbone,
        "loss": None if own_loss else losses or None,
    }
    settings |= {name: value for name, value in named.items() if value is not None}
    weights = model.get_weights() if isinstance(model, keras.Model) else None
    config = _config(model, own, settings, resume)
    run = run_training(config, run_dir, resume, report, callbacks, weights, own, tracker)
    rows = [row.to_json() for row in run.read_history()]
    trained = TrainedRun({column: [row[column] for row in rows] for column in rows[0]}, run)
    if isinstance(model, keras.Model):
        model.set_weights(trained.model.get_weights())
    return trained


def _config(
    model: str | keras.Model | TrainConfig | None, own: OwnParts, settings: dict[str, Any], resume: str | Path | None
) -> TrainConfig:
    """Returns the settings, or those of a run, a model or its name, with `settings` in their place."""
    if isinstance(model, TrainConfig):
        return dataclasses.replace(model, **settings)
    of_model: dict[str, Any] = {} if model is None else {"model": model}
    if isinstance(model, keras.Model):
        parts = Parts(model)
        of_model = {"model": parts.network, "input_scale": parts.logits.input_scale, "channels": parts.channels.text}
        of_model |= {} if own.backbone else {"backbone": parts.backbone.name}
    path = None if resume is None else RunFolder(Path(resume)).config
    kept = read_config(path) if path and path.is_file() else TrainConfig()
    return dataclasses.replace(kept, **of_model | settings)
