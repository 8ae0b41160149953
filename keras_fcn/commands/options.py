"""The command line of `train.py`, and the settings that are kept in files."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from tyro.conf import OmitArgPrefixes, arg

from keras_fcn.errors import UserError
from keras_fcn.runs.config import GROUP_OF, TrainConfig
from keras_fcn.runs.config_files import config_words, read_config
from keras_fcn.system.command_line import parse_options
from keras_fcn.system.options import NOT_NEGATIVE, Options, as_words, option


@dataclasses.dataclass(frozen=True)
class TrainOptions(Options):
    """Trains a fully convolutional network on photographs and masks.

    Without options it trains on the embedded data set, in a few minutes and without a download.
    """

    run_dir: Annotated[
        Path | None, arg(metavar="DIR", help_behavior_hint="(default: runs/<time>-<model>-<backbone>)")
    ] = None
    """The folder to keep the run in; it must not exist."""

    resume: Annotated[Path | None, arg(metavar="RUN", help_behavior_hint="")] = None
    """Go on with this run, with its own settings; of those, only --epochs and --data may be given."""

    config: Annotated[Path | None, arg(metavar="FILE", help_behavior_hint="")] = None
    """Take the settings in this file: one of recipes/, or the config.json of a run; options given besides win."""

    ray_workers: Annotated[int, NOT_NEGATIVE, arg(metavar="N", help_behavior_hint="")] = 0
    """Train in N workers of the Ray cluster at RAY_ADDRESS or, if that is not set, of one started on this machine."""

    settings: Annotated[OmitArgPrefixes[TrainConfig], arg(name="")] = dataclasses.field(default_factory=TrainConfig)


def parse_train_options(arguments: Sequence[str]) -> TrainOptions:
    """Reads the command line of `train.py`, with the settings of --config or of the run to --resume beneath it.

    Raises:
        UserError: If an option or a setting is wrong, or an option contradicts the run to resume.
    """
    given = parse_options(TrainOptions, arguments)
    if given.config and given.resume:
        raise UserError("--config and --resume exclude each other: a run to resume has its own settings")
    if given.config:
        read_config(given.config)
        return parse_options(TrainOptions, [*config_words(given.config), *arguments])
    if given.resume:
        return _resumed(given, arguments)
    return given


def _resumed(given: TrainOptions, arguments: Sequence[str]) -> TrainOptions:
    assert given.resume is not None
    if given.run_dir is not None:
        raise UserError("--run-dir and --resume exclude each other: a run goes on in its own folder")
    path = given.resume / "config.json"
    if not path.is_file():
        raise UserError(
            f"{path}: no such file, so {given.resume} is no run to resume; runs are kept in runs/ by default"
        )
    kept = read_config(path)
    merged = parse_options(TrainOptions, [*config_words(path), *arguments])
    for name in GROUP_OF:
        now, before = getattr(merged.settings, name), getattr(kept, name)
        if now != before and name not in ("epochs", "data"):
            raise UserError(
                f"{option(name)} is {' '.join(as_words(before))} in {path}. "
                f"Received: {' '.join(as_words(now))}; "
                "leave the option out to resume, or start a new run without --resume"
            )
    return merged
