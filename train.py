#!/usr/bin/env python3
"""Trains a fully convolutional network on photographs and masks; `python train.py --help` explains the options."""

import sys

from keras_fcn.cli import run
from keras_fcn.environment import start_tensorflow
from keras_fcn.train_options import parse_train_options

NEXT_STEPS = """
Segment photographs:      python predict.py {run} PHOTO_OR_FOLDER... --out masks
Measure on another list:  python evaluate.py {run} --data DIR --split val
Export a SavedModel:      python -m export.saved_model {run} exported
Train on your own folder: python train.py --data DIR     (JPEGImages/, SegmentationClass/, ImageSets/Segmentation/)
Train on VOC2012:         python train.py --data VOCdevkit/VOC2012 --epochs 50     (after unpacking its tar)"""


def main() -> None:
    """Trains and prints the held-out metrics of the best model."""
    options = parse_train_options(sys.argv[1:])
    start_tensorflow()
    from keras_fcn.evaluation import format_metrics
    from keras_fcn.training_run import run_training

    result = run_training(options.settings(), options.run_dir, options.resume)
    print(f"\n{format_metrics(result.read_metrics())}")
    print(f"\nThe best model, its pictures and its history are in {result.root}")
    print(NEXT_STEPS.format(run=result.root))


if __name__ == "__main__":
    run(main)
