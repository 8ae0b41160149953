"""Trains a fully convolutional network on images and masks; `python train.py --help` explains the options."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from tyro.conf import OmitArgPrefixes, arg

from keras_fcn.errors import UserError, argument
from keras_fcn.runs.config import TrainConfig, require_one_length
from keras_fcn.runs.config_files import config_words, own_parts, read_config, require_resumable
from keras_fcn.runs.folder import RunFolder
from keras_fcn.runs.names import TRACKERS, TrackerName
from keras_fcn.system.command_line import command_line, parse_options, values_of
from keras_fcn.system.options import AT_LEAST_1, NOT_NEGATIVE, Options, option
from keras_fcn.system.startup import start_tensorflow
from keras_fcn.training.distributed.cluster import joined_cluster
from keras_fcn.training.distributed.telling import telling_others
from keras_fcn.training.ray import train_on_ray
from keras_fcn.training.tuning.folder import TuningFolder

_TUNE_HINT = (
    "(default: learning_rate, a tenth to ten times its own; scale; input_scale, half to twice its own and at most 1; "
    "loss; from pretrained weights backbone_rate, 0.02 to 1)"
)
_TRACKER_HINT = f"({', '.join(TRACKERS)}; default: none)"

_ALTERNATIVES = ("epochs", "minutes"), ("weights", "init_from")
"""Settings of which one excludes the other: that of the command line takes the place of a file's."""

NEXT_STEPS = """
Segment images:           {predict} {run} IMAGE_OR_FOLDER... --out masks
Evaluate another split:   {evaluate} {run} --data DIR --split val
Export a SavedModel:      python -m export.saved_model {run} exported
Check your own folder:    python -m keras_fcn.check DIR     (images/ and masks/, or what your annotation tool exported)
Train on your own folder: {train} --data DIR
Train on VOC2012:         {train} --data voc2012 --epochs 50     (downloads 2 GB)"""


@dataclasses.dataclass(frozen=True)
class TrainOptions(Options):
    """Trains a fully convolutional network on images and masks.

    Without options it trains on the embedded data set, in a few minutes and without a download.
    """

    run_dir: Annotated[
        Path | None, arg(metavar="DIR", help_behavior_hint="(default: runs/<time>-<model>-<backbone>)")
    ] = None
    """The folder of the run, a new or empty one; a run of the same settings in it is resumed."""

    resume: Annotated[Path | None, arg(metavar="RUN", help_behavior_hint="")] = None
    """Resume this run with its own settings; of those, only --epochs, --data and --unlabelled may be given, and
    are kept."""

    config: Annotated[Path | None, arg(metavar="FILE", help_behavior_hint="")] = None
    """A recipe (half_an_hour) or a file of settings (a run's config.json); options of the command line override it."""

    ray_workers: Annotated[int, NOT_NEGATIVE, arg(metavar="N", help_behavior_hint="")] = 0
    """Train in N workers of the Ray cluster at RAY_ADDRESS or, if that is not set, of one started on this machine."""

    tracker: Annotated[TrackerName | None, arg(metavar="NAME", help_behavior_hint=_TRACKER_HINT)] = None
    """Send values and curves to an experiment tracker, as its own environment variables say; a resumed run goes on in
    the tracker that it began in."""

    tune: Annotated[int | None, AT_LEAST_1, arg(metavar="N", help_behavior_hint="")] = None
    """Search settings: train N times, each time with others, with the same data, seed and epochs; keep the best as a
    recipe, best.yaml. The same command, and --resume, go on with a search that was stopped."""

    tune_over: Annotated[tuple[str, ...], arg(metavar="NAME=RANGE ...", help_behavior_hint=_TUNE_HINT)] = ()
    """What --tune varies: numbers, learning_rate=1e-4..1e-2; choices, loss=cross_entropy,cross_entropy+dice or
    scale=1+1,0.5+1.5, where + stands between the values of one."""

    settings: Annotated[OmitArgPrefixes[TrainConfig], arg(name="")] = dataclasses.field(default_factory=TrainConfig)


def main() -> None:
    """Trains and prints the validation metrics of the best model."""
    with telling_others():
        result = _train(parse_train_options(sys.argv[1:]))
    if result is None:
        return
    from keras_fcn.evaluation.results import Evaluation
    from keras_fcn.evaluation.tables import format_metrics

    print(f"\n{format_metrics(Evaluation.read(result.metrics))}")
    print(f"\nThe best model{_of_epoch(result)}, its predictions and its history are in {result.root}")
    commands = {name: command_line(name) for name in ("train", "evaluate", "predict")}
    print(NEXT_STEPS.format(run=result.root, **commands))


def _of_epoch(run: RunFolder) -> str:
    """Returns the epoch of a run's best model and by what it is the best, if the run says so."""
    note = run.note
    if not {"epoch", "by", "value"} <= note.keys():
        return f" ({run.best_note} is damaged)" if run.best_note.is_file() else ""
    return f" (epoch {note['epoch']}, by the {note['by']}: {note['value']:.1%})"


def parse_train_options(arguments: Sequence[str]) -> TrainOptions:
    """Reads the command line of `train.py`, over the settings of --config or of the run to resume.

    Raises:
        UserError: If an option or a setting is wrong, or an option contradicts the run to resume.
    """
    require_one_length(name for name in ("epochs", "minutes") if _given(arguments, name))
    config, resume = (_given(arguments, name) for name in ("config", "resume"))
    if config and resume:
        raise UserError("--config and --resume exclude each other: a run to resume has its own settings")
    if config:
        _require_no_parts(Path(config))
        read_config(Path(config))
        other = [name for names in _ALTERNATIVES if any(_given(arguments, name) for name in names) for name in names]
        return parse_options(TrainOptions, [*config_words(Path(config), other), *arguments])
    return _resumed(Path(resume), arguments) if resume else parse_options(TrainOptions, arguments)


def _given(arguments: Sequence[str], name: str) -> str:
    """Returns the last value that a command line gives for an option, which may suit the settings of a file alone."""
    return next(iter(values_of(option(name), arguments)), "")


def _resumed(run: Path, arguments: Sequence[str]) -> TrainOptions:
    search = TuningFolder(run)
    path = search.settings if search.is_tuning else RunFolder(run).config
    words: list[str] = []
    if path.is_file():
        _require_no_parts(path)
        read_config(path)  # whose errors name the file
        words = config_words(path)
    merged = parse_options(TrainOptions, [*words, *arguments])
    if merged.run_dir is not None:
        raise UserError("--run-dir and --resume exclude each other: a run is resumed in its own folder")
    if not search.is_tuning:
        require_resumable(run, merged.settings)
    return merged


def _require_no_parts(path: Path) -> None:
    """Raises UserError if a run has parts of one's own."""
    if parts := ", ".join(f"{name}={part}" for name, part in own_parts(path).items()):
        raise UserError(
            f"{path}: the run has parts of one's own, which only Python can hand in: keras_fcn.train(..., {parts})"
        )


def _train(options: TrainOptions) -> RunFolder | None:
    """Returns the run's folder; None in workers beside the chief."""
    settings = options.settings
    if options.tune or (options.resume and TuningFolder(options.resume).is_tuning):
        _tune(options)
        return None
    if options.tune_over:
        raise UserError(f"{argument('tune_over')} needs {argument('tune')} N, the number of trials")
    if options.ray_workers and options.tracker is not None:
        raise UserError("--tracker and --ray-workers exclude each other: track a run of this process; leave one out")
    if options.ray_workers:
        return train_on_ray(settings, options.ray_workers, options.run_dir, options.resume)
    cluster = joined_cluster(settings.devices.strategy)
    start_tensorflow(list_devices=cluster is None, whole=False)
    from keras_fcn.training.train import run_training

    result = run_training(settings, options.run_dir, options.resume, tracker=options.tracker)
    return result if cluster is None or cluster.is_chief else None


def _tune(options: TrainOptions) -> None:
    """Trains the trials of a search, and says what came of it."""
    if options.ray_workers:
        raise UserError(
            "--tune and --ray-workers exclude each other: trials are trained in this process; leave one out"
        )
    start_tensorflow(whole=False)
    from keras_fcn.training.tuning.tune import tune

    tune(
        options.tune,
        options.settings,
        over=options.tune_over,
        run_dir=options.run_dir,
        resume=options.resume,
        tracker=options.tracker,
    )
