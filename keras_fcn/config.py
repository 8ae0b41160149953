"""The settings of a training run: options of `train.py`, and what a run folder keeps of them."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal, get_args

from tyro.conf import FlagConversionOff, arg
from tyro.constructors import PrimitiveConstructorSpec

from keras_fcn.cli import parse_options
from keras_fcn.errors import UserError

ModelName = Literal["fcn32s", "fcn16s", "fcn8s"]
BackboneName = Literal[
    "resnet18_v2", "resnet34_v2", "resnet18_v1", "resnet34_v1", "resnet50_v2", "resnet101_v2", "resnet152_v2",
    "mobilenet_v2",
]  # fmt: skip
Balance = Literal["none", "weights", "sampling"]

_BACKBONES_HINT = f"({', '.join(get_args(BackboneName))}; default: resnet18_v2)"
_CROP_HINT = "(default: 320 480, or the largest training image rounded up to a multiple of 32, where that is less)"


# Spelled out, because the complaint about a wrong number of values for `tuple[int, int] | None` is hard to read.
_HEIGHT_WIDTH = PrimitiveConstructorSpec(
    nargs=2,
    metavar="H W",
    instance_from_str=lambda words: (int(words[0]), int(words[1])),
    is_instance=lambda value: value is None or isinstance(value, tuple),
    str_from_instance=lambda value: [] if value is None else [str(size) for size in value],
)


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """Trains a fully convolutional network on photographs and masks."""

    data: Annotated[str, arg(metavar="DIR")] = "toy"
    """A folder of photographs and masks; `toy`, embedded, drawn into data/toy; or `voc2012`, downloaded into data."""

    layout: Annotated[str, arg(metavar="NAME")] = "auto"
    """How the data folder is arranged, such as `cvat`: README.md lists the layouts; `auto` recognizes it."""

    split: Annotated[str, arg(metavar="NAME")] = "train"
    """The split to train on."""

    val_split: Annotated[str, arg(metavar="NAME")] = "val"
    """The split to measure on after every epoch, on whole images, every one of them."""

    model: ModelName = "fcn8s"
    """The network: the smaller the stride at which it upsamples its scores, the finer its outlines."""

    backbone: Annotated[BackboneName, arg(metavar="NAME", help_behavior_hint=_BACKBONES_HINT)] = "resnet18_v2"
    """The network body that the scores are computed from."""

    weights: Annotated[str, arg(metavar="FILE")] = "none"
    """The backbone's first weights: `none` (random), `imagenet` (downloaded), or a file: .keras, .weights.h5,
    .safetensors (torchvision, timm), .params (Gluon) or .npz."""

    epochs: Annotated[int, arg(metavar="N")] = 8
    """Passes over the training images."""

    batch_size: Annotated[int, arg(metavar="N")] = 8
    """Images per training step, over all devices together."""

    crop_size: Annotated[tuple[int, int] | None, _HEIGHT_WIDTH, arg(help_behavior_hint=_CROP_HINT)] = None
    """Height and width of the training crops in pixels; smaller images are padded."""

    scale: Annotated[tuple[float, float], arg(metavar="MIN MAX")] = (1.0, 1.0)
    """Scale each training image by a random factor between these before it is cropped; 0.5 2 suits photographs."""

    flip: Annotated[bool, FlagConversionOff] = True
    """Mirror half of the training crops left to right."""

    rotate: Annotated[float, arg(metavar="DEGREES")] = 0.0
    """Turn each training image by a random angle up to this."""

    color_jitter: Annotated[float, arg(metavar="SHARE")] = 0.0
    """Change brightness, contrast and saturation of each training crop by a random share up to this."""

    learning_rate: Annotated[float, arg(metavar="RATE")] = 0.05
    """The rate at the start, falling to 0 with the power 0.9. About 0.01 suits pretrained weights."""

    weight_decay: Annotated[float, arg(metavar="SHARE")] = 1e-4
    """Share of the convolution kernels, times the learning rate, that every step takes away."""

    balance: Balance = "none"
    """Even out rare classes: by `weights` in the loss, or by `sampling` their images more often."""

    seed: Annotated[int, arg(metavar="N")] = 0
    """The same seed on the same machine repeats a run exactly."""

    def __post_init__(self) -> None:
        positive = {"epochs": self.epochs, "batch_size": self.batch_size, "learning_rate": self.learning_rate}
        for field, value in positive.items():
            if not 0 < value < float("inf"):
                raise UserError(f"{option(field)} must be greater than 0. Received: {value}")
        if self.crop_size is not None and min(self.crop_size) < 1:
            height, width = self.crop_size
            raise UserError(
                f"{option('crop_size')} takes a height and a width of at least 1. Received: {height} {width}"
            )
        if not 0 <= self.weight_decay < float("inf"):
            raise UserError(f"{option('weight_decay')} must not be negative. Received: {self.weight_decay}")
        if not 0 < self.scale[0] <= self.scale[1] < float("inf"):
            low, high = self.scale
            raise UserError(
                f"{option('scale')} takes two factors greater than 0, the smaller first. Received: {low} {high}"
            )
        if not 0 <= self.rotate <= 180:
            raise UserError(f"{option('rotate')} must be in 0 to 180 degrees. Received: {self.rotate}")
        if not 0 <= self.color_jitter < 1:
            raise UserError(
                f"{option('color_jitter')} must be at least 0 and less than 1. Received: {self.color_jitter}"
            )
        if not 0 <= self.seed < 2**31:
            raise UserError(f"{option('seed')} must be in 0 to {2**31 - 1}. Received: {self.seed}")

    def to_dict(self) -> dict:
        """Returns the settings for JSON."""
        return dataclasses.asdict(self)


@dataclasses.dataclass(frozen=True)
class TrainOptions(TrainConfig):
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
        raise UserError(
            f"{path}: no such file, so {given.resume} is no run to resume; runs are kept in runs/ by default"
        )
    kept = read_config(path)
    merged = parse_options(TrainOptions, [*_words(path), *arguments])
    for field in dataclasses.fields(TrainConfig):
        now, before = getattr(merged, field.name), getattr(kept, field.name)
        if now != before and field.name not in ("epochs", "data"):
            raise UserError(
                f"{option(field.name)} is {' '.join(_as_words(before))} in {path}. "
                f"Received: {' '.join(_as_words(now))}; "
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
        raise UserError(
            f"{path}: holds {unknown}, which train.py does not know; settings are {', '.join(sorted(known))}"
        )
    given = {name: value for name, value in settings.items() if value is not None}
    return [word for name, value in given.items() for word in (option(name), *_as_words(value))]


def _as_words(value: object) -> list[str]:
    return [str(item) for item in value] if isinstance(value, (list, tuple)) else [str(value)]
