"""Measures trained networks on whole images; `python evaluate.py --help` explains the options."""

import dataclasses
import sys
from pathlib import Path
from typing import Annotated, Literal

import tyro

from keras_fcn.errors import UserError
from keras_fcn.inference.options import InferenceOptions
from keras_fcn.system.command_line import parse_options
from keras_fcn.system.startup import start_tensorflow

_DATA_HINT = "(default: what the first run was trained with)"


@dataclasses.dataclass(frozen=True)
class EvaluateOptions:
    """Measures trained networks on whole images, each at its own size: pixel accuracy, mean accuracy, mean IoU,
    frequency-weighted IoU; IoU, precision and recall of each class; IoU near boundaries. Several models are compared.
    With --submission, predicts for PASCAL VOC's test server instead.
    """

    models: Annotated[
        tyro.conf.Positional[tuple[Path, ...]], tyro.conf.arg(metavar="RUN_OR_MODEL...", help_behavior_hint="")
    ]
    """Run folders, .keras files or SavedModels."""

    data: Annotated[str | None, tyro.conf.arg(metavar="DIR", help_behavior_hint=_DATA_HINT)] = None
    """A folder of photographs and masks; `toy`, the embedded data set; or `voc2012`, downloaded at first use."""

    layout: Annotated[str, tyro.conf.arg(metavar="NAME")] = "auto"
    """How the folder is arranged, such as `cvat`: README.md lists the layouts; `auto` recognizes it."""

    split: Annotated[str | None, tyro.conf.arg(metavar="NAME", help_behavior_hint="(default: val)")] = None
    """The split to measure on."""

    inference: Annotated[InferenceOptions, tyro.conf.arg(name="")] = dataclasses.field(default_factory=InferenceOptions)

    trimap: Annotated[int, tyro.conf.arg(metavar="D")] = 5
    """Measure the mean IoU of the pixels at most so many from a true boundary, too; 0 does not."""

    worst: Annotated[int, tyro.conf.arg(metavar="N")] = 5
    """List so many images with the lowest mean IoU, and draw them in worst.png."""

    out: Annotated[Path | None, tyro.conf.arg(metavar="DIR", help_behavior_hint="")] = None
    """Where to draw confusion.png and worst.png (of several models in DIR/A, DIR/B, ..., and comparison.png)."""

    json: Annotated[Path | None, tyro.conf.arg(metavar="FILE", help_behavior_hint="")] = None
    """Where to write the figures, too; an existing file is replaced."""

    submission: Annotated[Path | None, tyro.conf.arg(metavar="FILE.tgz", help_behavior_hint="")] = None
    """Write this archive of predictions for VOC's test server; the split, `test` by default, needs no masks."""

    competition: Literal["comp5", "comp6"] = "comp6"
    """Of the archive: comp5 for models trained on VOC's own training data only, comp6 for any."""

    def __post_init__(self) -> None:
        if not self.models:
            raise UserError("evaluate.py needs a run folder or a model")
        for option, value in (("--trimap", self.trimap), ("--worst", self.worst)):
            if value < 0:
                raise UserError(f"{option} must not be negative. Received: {value}")
        if self.submission is not None and len(self.models) > 1:
            raise UserError(f"--submission takes the predictions of one model. Received: {len(self.models)}")


def main() -> None:
    """Measures and compares, or writes an archive."""
    options = parse_options(EvaluateOptions, sys.argv[1:])
    start_tensorflow()
    from keras_fcn.datasets import open_pairs
    from keras_fcn.evaluation.compare import data_of, measure, submit, training_images_among
    from keras_fcn.system.files import write_json

    models, inference = options.models, options.inference
    data, layout = data_of(models[0], options.data, options.layout)
    if options.submission is not None:
        images = submit(options.submission, models[0], inference, data, options.split or "test", options.competition)
        print(f"{options.submission}: {images} masks for {options.competition}, read back and complete")
        return
    pairs = open_pairs(data, options.split or "val", layout)
    measured = measure(models, inference, pairs, options.trimap)
    for model in models:
        if trained := training_images_among(model, pairs):
            whose = "" if len(models) == 1 else f"{model}: "
            print(
                f"{whose}{trained} of the {len(pairs)} images were trained on, so the figures flatter", file=sys.stderr
            )
    print(measured.tables(options.worst))
    if options.json is not None:
        write_json(options.json, measured.to_json())
    if options.out is not None:
        measured.draw(options.out, options.worst)
