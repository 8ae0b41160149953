#!/usr/bin/env python3
"""Measures a trained network on whole images; `python evaluate.py --help` explains the options."""

import dataclasses
import sys
from pathlib import Path
from typing import Annotated

import tyro

from keras_fcn.cli import parse_options, run
from keras_fcn.environment import start_tensorflow


@dataclasses.dataclass(frozen=True)
class EvaluateOptions:
    """Measures a trained network on whole images: pixel accuracy, mean accuracy, mean IoU, frequency-weighted IoU
    and the IoU of each class, from one confusion matrix.
    """

    model: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="RUN_OR_MODEL")]
    """A run folder, a .keras file or a SavedModel."""

    data: str
    """A folder of photographs and masks; `toy`, the embedded data set; or `voc2012`, downloaded at first use."""

    layout: Annotated[str, tyro.conf.arg(metavar="NAME")] = "auto"
    """How the folder is arranged, such as `cvat`: README.md lists the layouts; `auto` recognizes it."""

    split: str = "val"
    """The split to measure on."""

    json: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    """Where to write the figures, too; an existing file is replaced."""


def main() -> None:
    """Measures, prints a table and writes the JSON that was asked for."""
    options = parse_options(EvaluateOptions, sys.argv[1:])
    start_tensorflow()
    from keras_fcn.datasets import inspect_pairs, open_pairs
    from keras_fcn.evaluation import evaluate, format_metrics, require_same_classes
    from keras_fcn.files import write_json
    from keras_fcn.inference import Predictor
    from keras_fcn.run_folder import RunFolder

    pairs = open_pairs(options.data, options.split, options.layout)
    predictor = Predictor.open(options.model)
    require_same_classes(predictor.classes, pairs.classes)
    inspect_pairs(pairs).require_sound()
    trained = RunFolder(options.model).trained_on(pairs.images)
    if trained:
        print(f"{trained} of the {len(pairs)} images were trained on, so the figures flatter", file=sys.stderr)
    figures = evaluate(predictor.segment, pairs)
    print(format_metrics(figures))
    if options.json is not None:
        write_json(options.json, figures)


if __name__ == "__main__":
    run(main)
