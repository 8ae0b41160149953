"""The settings of a training run: options of `train.py`, and what a run folder keeps of them."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from keras_fcn.cli import parse_options
from keras_fcn.errors import UserError

ModelName = Literal["fcn32s", "fcn16s", "fcn8s"]
BackboneName = Literal["resnet18_v2", "resnet34_v2", "resnet50_v2", "resnet101_v2", "resnet152_v2", "mobilenet_v2"]


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """Trains a fully convolutional network on photographs and masks."""

    data: str = "toy"
    """A folder in VOC's layout (JPEGImages, SegmentationClass, ImageSets/Segmentation), or `toy` for the embedded
    data set, which is drawn into data/toy at first use."""

    split: str = "train"
    """The list in ImageSets/Segmentation to train on."""

    val_split: str = "val"
    """The list to measure on after every epoch; whole images are used, every one of them."""

    model: ModelName = "fcn8s"
    """The network: the smaller the stride at which it upsamples, the finer its outlines."""

    backbone: BackboneName = "resnet18_v2"
    """The network body that the scores are computed from."""

    weights: str = "none"
    """Where the backbone's weights start: `none` for random ones, `imagenet` to download those that keras.applications
    publishes (not for resnet18_v2 and resnet34_v2), or a .keras or .weights.h5 file."""

    epochs: int = 8
    """Passes over the training images."""

    batch_size: int = 8
    """Images per training step, over all devices together."""

    crop_size: tuple[int, int] | None = None
    """Height and width of the training crops in pixels. If not given: 320 480, or as large as the largest training
    image, rounded up to a multiple of 32, where that is less."""

    learning_rate: float = 0.05
    """At the start; it falls to zero with the power 0.9 of the steps left. About 0.01 suits pretrained weights."""

    weight_decay: float = 1e-4
    """Share of each convolution kernel, times the learning rate, that every step takes away. Batch normalization,
    biases and the bilinear kernels are left alone."""

    seed: int = 0
    """The same seed on the same machine repeats a run exactly."""

    def __post_init__(self) -> None:
        positive = {"epochs": self.epochs, "batch_size": self.batch_size, "learning_rate": self.learning_rate}
        for field, value in positive.items():
            if not 0 < value < float("inf"):
                raise UserError(f"{option(field)} must be greater than 0. Received: {value}")
        if self.crop_size is not None and min(self.crop_size) < 1:
            height, width = self.crop_size
            raise UserError(f"{option('crop_size')} takes a height and a width of at least 1. Received: {height} {width}")
        if not 0 <= self.weight_decay < float("inf"):
            raise UserError(f"{option('weight_decay')} must not be negative. Received: {self.weight_decay}")
        if not 0 <= self.seed < 2**31:
            raise UserError(f"{option('seed')} must be in 0 to {2**31 - 1}. Received: {self.seed}")

    def to_dict(self) -> dict:
        """Returns the settings for JSON."""
        return dataclasses.asdict(self)


@dataclasses.dataclass(frozen=True)
class TrainOptions(TrainConfig):
    """Trains a fully convolutional network on photographs and masks.

    Without options it trains on the embedded data set, in a few minutes and without a download."""

    run_dir: Path | None = None
    """The folder to keep the run in; it must not exist. If not given: runs/<time>-<model>-<backbone>."""

    resume: Path | None = None
    """Go on with the run in this folder, with its own settings; only --epochs and --data may be given besides."""

    config: Path | None = None
    """Take the settings in this file, such as the config.json of a run; options given besides win."""

    def settings(self) -> TrainConfig:
        """Returns the part that belongs to the run and is kept with it."""
        fields = dataclasses.fields(TrainConfig)
        return TrainConfig(**{field.name: getattr(self, field.name) for field in fields})


def option(field: str) -> str:
    """Returns the command-line option of a field: "--crop-size" for "crop_size"."""
    return f"--{field.replace('_', '-')}"


def read_config(path: Path) -> TrainConfig:
    """Reads settings from JSON.

    Raises:
        UserError: If the file cannot be read, or a setting is unknown or has a wrong value.
    """
    try:
        return parse_options(TrainOptions, _words(path)).settings()
    except UserError as error:
        raise UserError(f"{path}: {error}") from None


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
        return parse_options(TrainOptions, [*_words(given.config), *arguments])
    if given.resume:
        return _resumed(given, arguments)
    return given


def _resumed(given: TrainOptions, arguments: Sequence[str]) -> TrainOptions:
    assert given.resume is not None
    if given.run_dir is not None:
        raise UserError("--run-dir and --resume exclude each other: a run goes on in its own folder")
    path = given.resume / "config.json"
    if not path.is_file():
        raise UserError(f"{path}: no such file, so {given.resume} is no run to resume; runs are kept in runs/ by default")
    kept = read_config(path)
    merged = parse_options(TrainOptions, [*_words(path), *arguments])
    for field in dataclasses.fields(TrainConfig):
        now, before = getattr(merged, field.name), getattr(kept, field.name)
        if now != before and field.name not in ("epochs", "data"):
            raise UserError(
                f"{option(field.name)} is {_as_words(before)} in {path}. Received: {_as_words(now)}; "
                "leave the option out to resume, or start a new run without --resume"
            )
    return merged


def _words(path: Path) -> list[str]:
    """Returns a file's settings as words of a command line, so that both are checked by the same rules."""
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    except ValueError as error:
        raise UserError(f"{path}: is not JSON ({error})") from None
    known = {field.name for field in dataclasses.fields(TrainConfig)}
    if not isinstance(settings, dict) or not known.issuperset(settings):
        unknown = ", ".join(sorted(set(settings) - known)) if isinstance(settings, dict) else "no settings"
        raise UserError(f"{path}: holds {unknown}, which train.py does not know; settings are {', '.join(sorted(known))}")
    return [word for name, value in settings.items() for word in (option(name), *_as_words(value).split("\0"))]


def _as_words(value: object) -> str:
    return "\0".join(str(item) for item in value) if isinstance(value, (list, tuple)) else str(value)
