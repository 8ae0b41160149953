"""The settings of a training run: options of `train.py`, and what a run folder keeps of them."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Literal, get_args

from tyro.conf import FlagConversionOff, arg
from tyro.constructors import PrimitiveConstructorSpec

from keras_fcn.cli import parse_options
from keras_fcn.errors import UserError

ModelName = Literal["fcn32s", "fcn16s", "fcn8s"]
BackboneName = Literal[
    "resnet18_v2", "resnet34_v2", "resnet50_v2", "resnet101_v2", "resnet152_v2",
    "resnet18_v1", "resnet34_v1", "resnet50_v1", "resnet101_v1", "resnet152_v1",
    "resnet50_v1b", "resnet101_v1b", "resnet152_v1b",
    "vgg16", "mobilenet_v2", "efficientnet_v2_b0", "efficientnet_v2_b3", "efficientnet_v2_s",
]  # fmt: skip
LossName = Literal["cross_entropy", "dice", "lovasz"]
Balance = Literal["none", "weights", "sampling"]
UpscoreInit = Literal["bilinear", "xavier"]
OptimizerName = Literal["sgd", "adamw"]
ScheduleName = Literal["poly", "cosine", "constant"]
LayoutName = Literal["auto", "voc_aug", "cvat", "labelme", "roboflow", "camvid", "voc", "folders"]

_BACKBONES_HINT = f"({', '.join(get_args(BackboneName))}; default: resnet18_v2)"
_RATE_HINT, _DECAY_HINT = "(default: 0.05 for sgd, 0.001 for adamw)", "(default: 0.0001 for sgd, 0.01 for adamw)"
_LOSS_HINT = f"({', '.join(get_args(LossName))}; default: cross_entropy)"
_CROP_HINT = "(default: 320 480, or the largest training image rounded up to a multiple of 32, where that is less)"


# Spelled out, because the complaint about a wrong number of values for `tuple[int, int] | None` is hard to read.
_HEIGHT_WIDTH = PrimitiveConstructorSpec(
    nargs=2,
    metavar="H W",
    instance_from_str=lambda words: (int(words[0]), int(words[1])),
    is_instance=lambda value: value is None or isinstance(value, tuple),
    str_from_instance=lambda value: [] if value is None else [str(size) for size in value],
)


_DEFAULT_RATE = {"sgd": 0.05, "adamw": 1e-3}
_DEFAULT_DECAY = {"sgd": 1e-4, "adamw": 1e-2}


def _is_positive(value: float) -> bool:
    return 0 < value < math.inf


def _is_at_least_0(value: float) -> bool:
    return 0 <= value < math.inf


_RANGES: dict[str, tuple[Callable, str]] = {
    "epochs": (_is_positive, "must be greater than 0"),
    "batch_size": (_is_positive, "must be greater than 0"),
    "crop_size": (lambda size: min(size) >= 1, "takes a height and a width of at least 1"),
    "scale": (lambda scale: 0 < scale[0] <= scale[1] < math.inf, "takes two factors greater than 0, the smaller first"),
    "rotate": (lambda degrees: 0 <= degrees <= 180, "must be in 0 to 180 degrees"),
    "color_jitter": (lambda share: 0 <= share < 1, "must be at least 0 and less than 1"),
    "learning_rate": (_is_positive, "must be greater than 0"),
    "warmup_steps": (_is_at_least_0, "must not be negative"),
    "weight_decay": (_is_at_least_0, "must not be negative"),
    "backbone_rate": (_is_at_least_0, "must not be negative"),
    "freeze_backbone": (_is_at_least_0, "must not be negative"),
    "loss": (lambda names: len(set(names)) == len(names) > 0, "takes one or more losses, each once"),
    "label_smoothing": (lambda share: 0 <= share < 1, "must be at least 0 and less than 1"),
    "ohem": (lambda share: 0 < share <= 1, "must be greater than 0 and at most 1"),
    "seed": (lambda seed: 0 <= seed < 2**31, f"must be in 0 to {2**31 - 1}"),
}
"""The range of each setting, and how to say it."""


def _number(metavar: str) -> PrimitiveConstructorSpec:
    """As above, for `float | None`."""
    return PrimitiveConstructorSpec(
        nargs=1,
        metavar=metavar,
        instance_from_str=lambda words: float(words[0]),
        is_instance=lambda value: value is None or isinstance(value, float),
        str_from_instance=lambda value: [] if value is None else [str(value)],
    )


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """Trains a fully convolutional network on photographs and masks."""

    data: Annotated[str, arg(metavar="DIR")] = "toy"
    """A folder of photographs and masks; `toy`, embedded, drawn into data/toy; or `voc2012`, downloaded into data."""

    layout: LayoutName = "auto"
    """How the data folder is arranged; recognized if not given."""

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

    upscore_init: UpscoreInit = "bilinear"
    """What the upsampling layers start from: bilinear interpolation, or random numbers."""

    init_from: Annotated[Path | None, arg(metavar="RUN", help_behavior_hint="")] = None
    """Start from a trained run or .keras file of the same backbone: layers that fit are taken, other scores start at 0.
    This is how FCN-16s starts from FCN-32s, and FCN-8s from FCN-16s."""

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

    optimizer: OptimizerName = "sgd"
    """Stochastic gradient descent with momentum 0.9, or AdamW."""

    learning_rate: Annotated[float | None, _number("RATE"), arg(help_behavior_hint=_RATE_HINT)] = None
    """The highest learning rate. With pretrained weights, 0.01 suits sgd."""

    schedule: ScheduleName = "poly"
    """How the rate falls to 0: with the power 0.9, as a half cosine, or not at all."""

    warmup_steps: Annotated[int, arg(metavar="N")] = 0
    """Steps in which the rate rises to its highest."""

    weight_decay: Annotated[float | None, _number("SHARE"), arg(help_behavior_hint=_DECAY_HINT)] = None
    """Share of the convolution kernels, times the learning rate, that every step takes away."""

    backbone_rate: Annotated[float, arg(metavar="SHARE")] = 1.0
    """The backbone's learning rate as a share of the others'; 0.1 suits pretrained weights."""

    freeze_backbone: Annotated[int, arg(metavar="N")] = 0
    """Leave the backbone as it is, batch normalization included, for the first N epochs."""

    freeze_batch_norm: Annotated[bool, FlagConversionOff] = False
    """Normalize by the statistics that the weights came with, as in prediction; for very small batches."""

    loss: Annotated[tuple[LossName, ...], arg(metavar="NAME ...", help_behavior_hint=_LOSS_HINT)] = ("cross_entropy",)
    """What is minimized, the sum of: the mean cross-entropy of pixels, and the mean dice or Lovász-softmax loss of
    images, which count a small thing as much as a large one."""

    label_smoothing: Annotated[float, arg(metavar="SHARE")] = 0.0
    """In the cross-entropy, the share of the truth that is given to all classes alike; 0.1, say."""

    ohem: Annotated[float, arg(metavar="SHARE")] = 1.0
    """In the cross-entropy, only the hardest pixels of each image count, this share of them (online hard example
    mining); 0.25, say."""

    balance: Balance = "none"
    """Even out rare classes: by `weights` in the loss, or by `sampling` their images more often."""

    seed: Annotated[int, arg(metavar="N")] = 0
    """The same seed on the same machine repeats a run exactly."""

    def __post_init__(self) -> None:
        """Raises UserError if a value is out of its range."""
        for field, (is_in_range, wanted) in _RANGES.items():
            value = getattr(self, field)
            if value is not None and not is_in_range(value):
                words = " ".join(_as_words(value))
                raise UserError(f"{option(field)} {wanted}. Received: {words}")
        if self.init_from is not None and self.weights != "none":
            raise UserError("--init-from and --weights exclude each other: a run has the weights of its backbone")
        self._require_cross_entropy("label_smoothing", self.label_smoothing > 0)
        self._require_cross_entropy("ohem", self.ohem < 1)
        self._require_cross_entropy("balance", self.balance == "weights")

    def _require_cross_entropy(self, field: str, is_used: bool) -> None:
        if is_used and "cross_entropy" not in self.loss:
            received = f"{option(field)} {getattr(self, field)} --loss {' '.join(self.loss)}"
            raise UserError(f"{option(field)} is for the cross-entropy, which --loss leaves out. Received: {received}")

    @property
    def peak_rate(self) -> float:
        """The highest learning rate."""
        return _DEFAULT_RATE[self.optimizer] if self.learning_rate is None else self.learning_rate

    @property
    def decay(self) -> float:
        """The share of the kernels, times the learning rate, that every step takes away."""
        return _DEFAULT_DECAY[self.optimizer] if self.weight_decay is None else self.weight_decay

    def to_dict(self) -> dict:
        """Returns the settings for JSON."""
        values = dataclasses.asdict(self)
        return {name: str(value) if isinstance(value, Path) else value for name, value in values.items()}


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
