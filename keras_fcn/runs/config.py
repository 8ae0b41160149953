"""The settings of a training run: options of `train.py` in groups, and what a run folder keeps of them."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Annotated, Any

from tyro.conf import FlagConversionOff, OmitArgPrefixes, arg

from keras_fcn.errors import UserError, argument
from keras_fcn.runs import names
from keras_fcn.system.options import (
    BELOW_1,
    HEIGHT_WIDTH,
    NOT_NEGATIVE,
    POSITIVE,
    SCALES,
    SIZE,
    Options,
    Range,
    hint,
    number,
    within,
)  # fmt: skip

_BACKBONES_HINT, _LOSS_HINT = hint(names.BACKBONES, "resnet18_v2"), hint(names.LOSSES, "cross_entropy")
_RATE_HINT = f"(default: {', '.join(f'{entry.rate} for {name}' for name, entry in names.OPTIMIZERS.items())})"
_DECAY_HINT = f"(default: {', '.join(f'{entry.decay} for {name}' for name, entry in names.OPTIMIZERS.items())})"
_CROP_HINT = "(default: 320 480, or the largest training image rounded up to a multiple of 32, where that is less)"

_INPUT_SCALE = Range(lambda scale: 0.0001 <= scale < math.inf, "must be at least 0.0001")
_LOSSES = Range(lambda losses: len(set(losses)) == len(losses) > 0, "takes one or more losses, each once")
_OHEM = Range(lambda fraction: 0 < fraction <= 1, "must be greater than 0 and at most 1")


@dataclasses.dataclass(frozen=True)
class DataOptions(Options):
    """What is trained and measured on."""

    data: Annotated[str, arg(metavar="DIR")] = "toy"
    """A folder of photographs and masks; `toy`, embedded, drawn into data/toy; or `voc2012`, downloaded into data."""

    layout: Annotated[str, arg(metavar="NAME", help_behavior_hint=hint(("auto", *names.LAYOUTS), "auto"))] = "auto"
    """How the data folder is arranged; `auto` recognizes it."""

    split: Annotated[str, arg(metavar="NAME")] = "train"
    """The split to train on."""

    val_split: Annotated[str, arg(metavar="NAME")] = "val"
    """The split to measure on after every epoch, on whole images, every one of them."""


@dataclasses.dataclass(frozen=True)
class NetworkOptions(Options):
    """The network, and the weights that it starts from."""

    model: names.ModelName = "fcn8s"
    """The network: the smaller the stride at which it upsamples its scores, the finer its outlines."""

    backbone: Annotated[names.BackboneName, arg(metavar="NAME", help_behavior_hint=_BACKBONES_HINT)] = "resnet18_v2"
    """The network body that the scores are computed from."""

    weights: Annotated[str, arg(metavar="FILE")] = "none"
    """The backbone's first weights: `none` (random), `imagenet` (downloaded), or a file: .keras, .weights.h5,
    .safetensors (torchvision, timm), .params (Gluon) or .npz."""

    upscore_init: names.UpscoreInit = "bilinear"
    """What the upsampling layers start from: bilinear interpolation, or random numbers."""

    context: Annotated[bool, FlagConversionOff] = False
    """Add scores of the whole image's mean feature to those of every place, so that all of a thing is taken for the
    same class: worth many points where classes look alike in their parts, as animals do."""

    input_scale: Annotated[float, _INPUT_SCALE, arg(metavar="SHARE")] = 1.0
    """Measure and keep a network that sees images at this share of their size, and gives masks at their own; 0.8, say,
    where things fill the photographs, 0.25 for those of 12 megapixels. --scale says at which it learns."""

    init_from: Annotated[Path | None, arg(metavar="RUN", help_behavior_hint="")] = None
    """Start from a trained run or .keras file of the same backbone: layers that fit are taken, other scores start at 0.
    This is how FCN-16s starts from FCN-32s, and FCN-8s from FCN-16s."""

    auxiliary: Annotated[float, NOT_NEGATIVE, arg(metavar="SHARE")] = 0.0
    """Train a second head on the features at stride 16, whose loss counts by this share; 0.4, say."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.init_from is not None and self.weights != "none":
            both = f"{argument('init_from')} and {argument('weights')}"
            raise UserError(f"{both} exclude each other: a run has the weights of its backbone")


@dataclasses.dataclass(frozen=True)
class AugmentationOptions(Options):
    """How training samples are varied."""

    crop_size: Annotated[tuple[int, int] | None, SIZE, HEIGHT_WIDTH, arg(help_behavior_hint=_CROP_HINT)] = None
    """Height and width of the training crops in pixels; smaller images are padded."""

    scale: Annotated[tuple[float, float], SCALES, arg(metavar="MIN MAX")] = (1.0, 1.0)
    """Scale each training image by a random factor between these before it is cropped; 0.5 2 suits photographs."""

    flip: Annotated[bool, FlagConversionOff] = True
    """Mirror half of the training crops left to right."""

    rotate: Annotated[float, within(0, 180, " degrees"), arg(metavar="DEGREES")] = 0.0
    """Turn each training image by a random angle up to this."""

    color_jitter: Annotated[float, BELOW_1, arg(metavar="SHARE")] = 0.0
    """Change brightness, contrast and saturation of each training crop by a random share up to this."""


@dataclasses.dataclass(frozen=True)
class OptimizerOptions(Options):
    """How the weights are changed."""

    optimizer: names.OptimizerName = "sgd"
    """Stochastic gradient descent with momentum 0.9, or AdamW."""

    batch_size: Annotated[int, POSITIVE, arg(metavar="N")] = 8
    """Images per training step, over all devices together."""

    accumulate: Annotated[int, POSITIVE, arg(metavar="N")] = 1
    """Average the gradients of N batches for each step: for batches that do not fit into memory at once."""

    learning_rate: Annotated[float | None, POSITIVE, number("RATE"), arg(help_behavior_hint=_RATE_HINT)] = None
    """The highest learning rate. With pretrained weights, 0.01 suits sgd."""

    schedule: names.ScheduleName = "poly"
    """How the rate falls to 0: with the power 0.9, as a half cosine, or not at all."""

    warmup_steps: Annotated[int, NOT_NEGATIVE, arg(metavar="N")] = 0
    """Steps in which the rate rises to its highest."""

    weight_decay: Annotated[float | None, NOT_NEGATIVE, number("SHARE"), arg(help_behavior_hint=_DECAY_HINT)] = None
    """Share of the convolution kernels, times the learning rate, that every step takes away."""

    backbone_rate: Annotated[float, NOT_NEGATIVE, arg(metavar="SHARE")] = 1.0
    """The backbone's learning rate as a share of the others'; 0.1 suits pretrained weights."""

    freeze_backbone: Annotated[int, NOT_NEGATIVE, arg(metavar="N")] = 0
    """Leave the backbone as it is, batch normalization included, for the first N epochs."""

    cache_features: Annotated[float, NOT_NEGATIVE, arg(metavar="GB")] = 0.0
    """While the backbone is frozen, compute its features once and keep them in the run folder, in at most so many
    gigabytes: of each image, as many augmentations as fit. Epochs then take a fraction of the time."""

    freeze_batch_norm: Annotated[bool, FlagConversionOff] = False
    """Normalize by the statistics that the weights came with, as in prediction; for very small batches."""

    clip_norm: Annotated[float, NOT_NEGATIVE, arg(metavar="LENGTH")] = 0.0
    """Shorten the gradient of all weights together to this length where it is longer; 0 does not."""

    average: Annotated[float, BELOW_1, arg(metavar="DECAY")] = 0.0
    """Measure and keep a moving average of the weights, with this share of the old value a step; 0.999, say."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.cache_features and not self.freeze_backbone:
            both = f"{argument('cache_features')} needs {argument('freeze_backbone')}"
            raise UserError(f"{both} N: features of a backbone in training change")

    @property
    def peak_rate(self) -> float:
        """The highest learning rate."""
        return names.OPTIMIZERS[self.optimizer].rate if self.learning_rate is None else self.learning_rate

    @property
    def decay(self) -> float:
        """The share of the kernels, times the learning rate, that every step takes away."""
        return names.OPTIMIZERS[self.optimizer].decay if self.weight_decay is None else self.weight_decay


@dataclasses.dataclass(frozen=True)
class LossOptions(Options):
    """What is minimized."""

    loss: Annotated[
        tuple[names.LossName, ...],
        _LOSSES,
        arg(metavar="NAME ...", help_behavior_hint=_LOSS_HINT),
    ] = ("cross_entropy",)
    """What is minimized, the sum of: the mean cross-entropy of pixels, and the mean dice or Lovász-softmax loss of
    images, which count a small thing as much as a large one."""

    label_smoothing: Annotated[float, BELOW_1, arg(metavar="SHARE")] = 0.0
    """In the cross-entropy, the share of the truth that is given to all classes alike; 0.1, say."""

    ohem: Annotated[float, _OHEM, arg(metavar="SHARE")] = 1.0
    """In the cross-entropy, only the hardest pixels of each image count, this share of them (online hard example
    mining); 0.25, say."""

    balance: names.Balance = "none"
    """Even out rare classes: by `weights` in the loss, or by `sampling` their images more often."""

    def __post_init__(self) -> None:
        super().__post_init__()
        of_cross_entropy = {
            "label_smoothing": self.label_smoothing > 0, "ohem": self.ohem < 1, "balance": self.balance == "weights"
        }  # fmt: skip
        for name, is_used in of_cross_entropy.items():
            if is_used and "cross_entropy" not in self.loss:
                received = f"{argument(name, getattr(self, name))} {argument('loss', self.loss)}"
                wrong = f"{argument(name)} is for the cross-entropy, which {argument('loss')} leaves out"
                raise UserError(f"{wrong}. Received: {received}")


@dataclasses.dataclass(frozen=True)
class DeviceOptions(Options):
    """What is computed where."""

    strategy: names.StrategyName = "auto"
    """The devices: `mirrored` takes all GPUs or, without any, the CPU, `none` one, `multiworker` those of all machines
    that TF_CONFIG names; `auto` looks what there is."""

    precision: names.PrecisionName = "auto"
    """What layers compute in; auto: bfloat16 on GPUs that have it, float32 elsewhere. Weights are always float32."""

    xla: names.SwitchName = "auto"
    """Whether XLA compiles the step, which takes up to a minute; auto: on a single GPU, for 5,000 steps and more."""

    deterministic: Annotated[bool, FlagConversionOff] = False
    """Let GPUs compute reproducibly, too, and slower. CPUs do anyway."""


@dataclasses.dataclass(frozen=True)
class RunOptions(Options):
    """How long a run takes, and what it keeps."""

    epochs: Annotated[int, POSITIVE, arg(metavar="N")] = 8
    """Passes over the training images."""

    patience: Annotated[int, NOT_NEGATIVE, arg(metavar="N")] = 0
    """Stop after N epochs without a better mean IoU on the held-out images; 0 does not."""

    seed: Annotated[int, within(0, 2**31 - 1), arg(metavar="N")] = 0
    """The same seed on the same machine repeats a run exactly."""

    checkpoint_minutes: Annotated[float, NOT_NEGATIVE, arg(metavar="N")] = 10.0
    """Minutes between checkpoints within an epoch; there is one after every epoch, too."""

    keep_checkpoints: Annotated[int, POSITIVE, arg(metavar="N")] = 2
    """How many of the newest checkpoints are kept."""


@dataclasses.dataclass(frozen=True, init=False)
class TrainConfig:
    """The settings of a training run, in groups; each can be given and read by its own name, too.

    Args:
        **settings: Settings by name, such as `crop_size=(320, 480)`, or whole groups, such as
            `augmentation=AugmentationOptions(flip=False)`.

    Raises:
        UserError: If a value is out of its range, or two exclude each other.
        TypeError: If there is no such setting.

    Examples:
        >>> config = TrainConfig(model="fcn16s", epochs=12)
        >>> config.run.epochs, config.epochs
        (12, 12)
    """

    dataset: Annotated[OmitArgPrefixes[DataOptions], arg(name="data")] = DataOptions()
    network: Annotated[OmitArgPrefixes[NetworkOptions], arg(name="network")] = NetworkOptions()
    augmentation: Annotated[OmitArgPrefixes[AugmentationOptions], arg(name="augmentation")] = AugmentationOptions()
    optimization: Annotated[OmitArgPrefixes[OptimizerOptions], arg(name="optimizer")] = OptimizerOptions()
    objective: Annotated[OmitArgPrefixes[LossOptions], arg(name="loss")] = LossOptions()
    devices: Annotated[OmitArgPrefixes[DeviceOptions], arg(name="devices")] = DeviceOptions()
    run: Annotated[OmitArgPrefixes[RunOptions], arg(name="run")] = RunOptions()

    def __init__(self, **settings: Any) -> None:
        for field in dataclasses.fields(self):
            group = settings.pop(field.name, field.default)
            own = {name: settings.pop(name) for name in _names(group) if name in settings}
            object.__setattr__(self, field.name, dataclasses.replace(group, **own))
        if settings:
            raise TypeError(f"there is no setting {', '.join(settings)}; there are {', '.join(GROUP_OF)}")

    def __getattr__(self, name: str) -> Any:
        """Returns a setting by its own name."""
        if name not in GROUP_OF:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return getattr(getattr(self, GROUP_OF[name]), name)

    def to_dict(self) -> dict:
        """Returns the settings by name, without the groups, for JSON."""
        values = {name: getattr(self, name) for name in GROUP_OF}
        return {name: str(value) if isinstance(value, Path) else value for name, value in values.items()}


def _names(group: Any) -> list[str]:
    return [field.name for field in dataclasses.fields(group)]


GROUP_OF = {name: group.name for group in dataclasses.fields(TrainConfig) for name in _names(group.default)}
"""All settings, each with its group."""
