"""The settings of a training run: options of `train.py`, and what a run folder keeps of them."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal, get_args

from tyro.conf import FlagConversionOff, arg
from tyro.constructors import PrimitiveConstructorSpec

from keras_fcn.errors import UserError
from keras_fcn.runs.names import BACKBONES, BackboneName, ModelName

LossName = Literal["cross_entropy", "dice", "lovasz"]
Balance = Literal["none", "weights", "sampling"]
StrategyName = Literal["auto", "mirrored", "multiworker", "none"]
PrecisionName = Literal["auto", "float32", "bfloat16"]
SwitchName = Literal["auto", "on", "off"]
UpscoreInit = Literal["bilinear", "xavier"]
OptimizerName = Literal["sgd", "adamw"]
ScheduleName = Literal["poly", "cosine", "constant"]

_BACKBONES_HINT = f"({', '.join(BACKBONES)}; default: resnet18_v2)"
_RATE_HINT, _DECAY_HINT = "(default: 0.05 for sgd, 0.001 for adamw)", "(default: 0.0001 for sgd, 0.01 for adamw)"
_LOSS_HINT = f"({', '.join(get_args(LossName))}; default: cross_entropy)"
_CROP_HINT = "(default: 320 480, or the largest training image rounded up to a multiple of 32, where that is less)"


# Spelled out, because the complaint about a wrong number of values for `tuple[int, int] | None` is hard to read.
HEIGHT_WIDTH = PrimitiveConstructorSpec(
    nargs=2,
    metavar="H W",
    instance_from_str=lambda words: (int(words[0]), int(words[1])),
    is_instance=lambda value: value is None or isinstance(value, tuple),
    str_from_instance=lambda value: [] if value is None else [str(size) for size in value],
)
"""Reads `tuple[int, int] | None`, a height and a width."""


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
    "input_scale": (lambda scale: 0.0001 <= scale < math.inf, "must be at least 0.0001"),
    "scale": (lambda scale: 0 < scale[0] <= scale[1] < math.inf, "takes two factors greater than 0, the smaller first"),
    "rotate": (lambda degrees: 0 <= degrees <= 180, "must be in 0 to 180 degrees"),
    "color_jitter": (lambda share: 0 <= share < 1, "must be at least 0 and less than 1"),
    "learning_rate": (_is_positive, "must be greater than 0"),
    "warmup_steps": (_is_at_least_0, "must not be negative"),
    "weight_decay": (_is_at_least_0, "must not be negative"),
    "backbone_rate": (_is_at_least_0, "must not be negative"),
    "freeze_backbone": (_is_at_least_0, "must not be negative"),
    "cache_features": (_is_at_least_0, "must not be negative"),
    "clip_norm": (_is_at_least_0, "must not be negative"),
    "accumulate": (_is_positive, "must be greater than 0"),
    "average": (lambda decay: 0 <= decay < 1, "must be at least 0 and less than 1"),
    "auxiliary": (_is_at_least_0, "must not be negative"),
    "patience": (_is_at_least_0, "must not be negative"),
    "checkpoint_minutes": (_is_at_least_0, "must not be negative"),
    "keep_checkpoints": (_is_positive, "must be greater than 0"),
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

    upscore_init: UpscoreInit = "bilinear"
    """What the upsampling layers start from: bilinear interpolation, or random numbers."""

    context: Annotated[bool, FlagConversionOff] = False
    """Add scores of the whole image's mean feature to those of every place, so that all of a thing is taken for the
    same class: worth many points where classes look alike in their parts, as animals do."""

    input_scale: Annotated[float, arg(metavar="SHARE")] = 1.0
    """Measure and keep a network that sees images at this share of their size, and gives masks at their own; 0.8, say,
    where things fill the photographs, 0.25 for those of 12 megapixels. --scale says at which it learns."""

    init_from: Annotated[Path | None, arg(metavar="RUN", help_behavior_hint="")] = None
    """Start from a trained run or .keras file of the same backbone: layers that fit are taken, other scores start at 0.
    This is how FCN-16s starts from FCN-32s, and FCN-8s from FCN-16s."""

    epochs: Annotated[int, arg(metavar="N")] = 8
    """Passes over the training images."""

    batch_size: Annotated[int, arg(metavar="N")] = 8
    """Images per training step, over all devices together."""

    crop_size: Annotated[tuple[int, int] | None, HEIGHT_WIDTH, arg(help_behavior_hint=_CROP_HINT)] = None
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

    cache_features: Annotated[float, arg(metavar="GB")] = 0.0
    """While the backbone is frozen, compute its features once and keep them in the run folder, in at most so many
    gigabytes: of each image, as many augmentations as fit. Epochs then take a fraction of the time."""

    freeze_batch_norm: Annotated[bool, FlagConversionOff] = False
    """Normalize by the statistics that the weights came with, as in prediction; for very small batches."""

    clip_norm: Annotated[float, arg(metavar="LENGTH")] = 0.0
    """Shorten the gradient of all weights together to this length where it is longer; 0 does not."""

    accumulate: Annotated[int, arg(metavar="N")] = 1
    """Average the gradients of N batches for each step: for batches that do not fit into memory at once."""

    average: Annotated[float, arg(metavar="DECAY")] = 0.0
    """Measure and keep a moving average of the weights, with this share of the old value a step; 0.999, say."""

    auxiliary: Annotated[float, arg(metavar="SHARE")] = 0.0
    """Train a second head on the features at stride 16, whose loss counts by this share; 0.4, say."""

    patience: Annotated[int, arg(metavar="N")] = 0
    """Stop after N epochs without a better mean IoU on the held-out images; 0 does not."""

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

    deterministic: Annotated[bool, FlagConversionOff] = False
    """Let GPUs compute reproducibly, too, and slower. CPUs do anyway."""

    strategy: StrategyName = "auto"
    """The devices: `mirrored` takes all GPUs or, without any, the CPU, `none` one, `multiworker` those of all machines
    that TF_CONFIG names; `auto` looks what there is."""

    precision: PrecisionName = "auto"
    """What layers compute in; auto: bfloat16 on GPUs that have it, float32 elsewhere. Weights are always float32."""

    xla: SwitchName = "auto"
    """Whether XLA compiles the step, which takes up to a minute; auto: on a single GPU, for 5,000 steps and more."""

    checkpoint_minutes: Annotated[float, arg(metavar="N")] = 10.0
    """Minutes between checkpoints within an epoch; there is one after every epoch, too."""

    keep_checkpoints: Annotated[int, arg(metavar="N")] = 2
    """How many of the newest checkpoints are kept."""

    def __post_init__(self) -> None:
        """Raises UserError if a value is out of its range."""
        for field, (is_in_range, wanted) in _RANGES.items():
            value = getattr(self, field)
            if value is not None and not is_in_range(value):
                words = " ".join(as_words(value))
                raise UserError(f"{option(field)} {wanted}. Received: {words}")
        if self.cache_features and not self.freeze_backbone:
            raise UserError("--cache-features needs --freeze-backbone N: features of a backbone in training change")
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


def option(field: str) -> str:
    """Returns the command-line option of a field: "--crop-size" for "crop_size"."""
    return f"--{field.replace('_', '-')}"


def as_words(value: object) -> list[str]:
    """Returns a setting's value as the words that follow its option."""
    return [str(item) for item in value] if isinstance(value, (list, tuple)) else [str(value)]
