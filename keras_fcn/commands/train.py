"""Trains a fully convolutional network on photographs and masks; `python train.py --help` explains the options."""

import sys

from keras_fcn.commands.options import TrainOptions, parse_train_options
from keras_fcn.runs.folder import RunFolder
from keras_fcn.system.command_line import command_line
from keras_fcn.system.startup import start_tensorflow
from keras_fcn.training.distributed.cluster import joined_cluster
from keras_fcn.training.ray import train_on_ray

NEXT_STEPS = """
Segment photographs:      {predict} {run} PHOTO_OR_FOLDER... --out masks
Measure on another list:  {evaluate} {run} --data DIR --split val
Export a SavedModel:      python -m export.saved_model {run} exported
Look at your own folder:  python -m keras_fcn.check DIR     (images/ and masks/, or what your annotation tool exported)
Train on your own folder: {train} --data DIR
Train on VOC2012:         {train} --data voc2012 --epochs 50     (downloads 2 GB)"""


def main() -> None:
    """Trains and prints the held-out metrics of the best model."""
    options = parse_train_options(sys.argv[1:])
    result = _train(options)
    if result is None:
        return
    from keras_fcn.evaluation.results import Evaluation
    from keras_fcn.evaluation.tables import format_metrics

    print(f"\n{format_metrics(Evaluation.read(result.metrics))}")
    print(f"\nThe best model, its pictures and its history are in {result.root}")
    commands = {name: command_line(name) for name in ("train", "evaluate", "predict")}
    print(NEXT_STEPS.format(run=result.root, **commands))


def _train(options: TrainOptions) -> RunFolder | None:
    """Returns the run's folder; None in workers beside the chief."""
    settings = options.settings
    if options.ray_workers:
        return train_on_ray(settings, options.ray_workers, options.run_dir, options.resume)
    cluster = joined_cluster(settings.devices.strategy)
    start_tensorflow(look_at_devices=cluster is None)
    from keras_fcn.training.train import run_training

    result = run_training(settings, options.run_dir, options.resume)
    return result if cluster is None or cluster.is_chief else None
