#!/usr/bin/env python3
"""Segments photographs with a trained network; `python predict.py --help` explains the options."""

import dataclasses
import sys
from pathlib import Path
from typing import Annotated

import tyro

from keras_fcn.cli import USER_ERROR, parse_options, run
from keras_fcn.environment import start_tensorflow
from keras_fcn.errors import UserError

SOME_FAILED = 1


@dataclasses.dataclass(frozen=True)
class PredictOptions:
    """Segments photographs: for each, a palette PNG of its own size and an overlay with a legend."""

    model: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="RUN_OR_MODEL")]
    """A run folder, a .keras file or a SavedModel."""

    paths: Annotated[tyro.conf.Positional[tuple[Path, ...]], tyro.conf.arg(metavar="PATH...")]
    """Photographs, and folders of photographs."""

    out: Annotated[Path, tyro.conf.arg(metavar="DIR")]
    """The folder to write to: DIR/masks and DIR/overlays."""

    def __post_init__(self) -> None:
        if not self.paths:
            raise UserError("predict.py needs photographs or folders of photographs after the model")


def main() -> int:
    """Predicts every photograph that can be decoded, names the others, and returns the exit status."""
    options = parse_options(PredictOptions, sys.argv[1:])
    start_tensorflow()
    from keras.utils import Progbar

    from keras_fcn.inference import Predictor
    from keras_fcn.prediction import plan

    tasks = plan(options.paths, options.out)
    predictor = Predictor.open(options.model)
    bar = Progbar(len(tasks), unit_name="photo", verbose=1 if sys.stdout.isatty() else 0)
    failures = []
    for task in tasks:
        try:
            task.run(predictor)
        except UserError as error:
            failures.append(error)
        bar.add(1)
    for failure in failures:
        print(f"error: {failure}", file=sys.stderr)
    if len(failures) == len(tasks):
        return USER_ERROR
    print(f"{len(tasks) - len(failures)} of {len(tasks)} segmented: masks/ and overlays/ in {options.out}")
    return SOME_FAILED if failures else 0


if __name__ == "__main__":
    run(main)
