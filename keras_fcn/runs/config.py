"""The settings of a training run: options of `train.py` in groups, and what a run folder keeps of them."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, get_args

from tyro.conf import FlagConversionOff, OmitArgPrefixes, arg

from keras_fcn.errors import UserError, argument
from keras_fcn.runs import names
from keras_fcn.runs.data_options import DataOptions
from keras_fcn.runs.network_options import NetworkOptions
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
    named_unknown,
    number,
    one_of,
    within,
)  # fmt: skip

_LOSS_HINT = hint(names.LOSSES, "cross_entropy")
_RATE_HINT = f"(default: {', '.join(f'{entry.rate} for {name}' for name, entry in names.OPTIMIZERS.items())})"
_DECAY_HINT = f"(default: {', '.join(f'{entry.decay} for {name}' for name, entry in names.OPTIMIZERS.items())})"
_CROP_HINT = "(default: 320 480, or the largest training image rounded up to a multiple of 32, where that is less)"

_DATA, _NETWORK = DataOptions(), NetworkOptions()
_LOSSES = Range(lambda losses: len(set(losses)) == len(losses) > 0, "takes one or more losses, each once")
_WATCHES = "auto, mean_iou, pixel_accuracy, iou:NAME or mean_iou:NAME,NAME"
_WATCH = Range(
    lambda watch: bool(re.fullmatch(r"auto|mean_iou|pixel_accuracy|(mean_)?iou:.*\S.*", watch)), f"takes {_WATCHES}"
)
_YEAR = Range(lambda minutes: 0 < minutes <= 525_600, "must be greater than 0 and at most 525600, a year")
_OHEM = Range(lambda fraction: 0 < fraction <= 1, "must be greater than 0 and at most 1")


@dataclasses.dataclass(frozen=True)
class AugmentationOptions(Options):
    """Augmentation of the training images."""

    crop_size: Annotated[tuple[int, int] | None, SIZE, HEIGHT_WIDTH, arg(help_behavior_hint=_CROP_HINT)] = None
    """Height and width of the training crops in pixels; smaller images are padded."""

    crops_per_image: Annotated[int, POSITIVE, arg(metavar="N")] = 1
    """Crops of each image in an epoch: of few large images, one of each is a short epoch that shows little of them.
    Images of more than 33.5 megapixels have as many as cover them, anyway."""

    scale: Annotated[tuple[float, float], SCALES, arg(metavar="MIN MAX")] = (1.0, 1.0)
    """Scale each training image by a random factor between these before it is cropped; 0.5 2 is usual."""

    flip: Annotated[names.Flip, one_of(get_args(names.Flip), names.OLD_FLIPS)] = "horizontal"
    """Mirror half of the training crops: `horizontal`, left to right; `vertical`, for pictures without an up; `both`,
    either way; `turns` turns them by quarters, too, so that all eight positions are as frequent; `none`."""

    rotate: Annotated[float, within(0, 180, " degrees"), arg(metavar="DEGREES")] = 0.0
    """Rotate each training image by a random angle up to this."""

    color_jitter: Annotated[float, BELOW_1, arg(metavar="FRACTION")] = 0.0
    """Change brightness, contrast and saturation of each training crop by a random fraction up to this."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "flip", names.OLD_FLIPS.get(str(self.flip).lower(), self.flip))
        super().__post_init__()


@dataclasses.dataclass(frozen=True)
class OptimizerOptions(Options):
    """The optimization of the weights."""

    optimizer: names.OptimizerName = "sgd"
    """Stochastic gradient descent with momentum 0.9, or AdamW."""

    batch_size: Annotated[int, POSITIVE, arg(metavar="N")] = 8
    """Images per training step, over all devices together."""

    accumulate: Annotated[int, POSITIVE, arg(metavar="N")] = 1
    """Average the gradients of N batches for each step: for batches that do not fit into memory."""

    learning_rate: Annotated[float | None, POSITIVE, number("RATE"), arg(help_behavior_hint=_RATE_HINT)] = None
    """The peak learning rate. With pretrained weights, 0.01 suits sgd."""

    schedule: names.ScheduleName = "poly"
    """The decay of the learning rate to 0: with the power 0.9, as a half cosine, or none."""

    warmup_steps: Annotated[int, NOT_NEGATIVE, arg(metavar="N")] = 0
    """Steps in which the learning rate rises to its peak."""

    weight_decay: Annotated[float | None, NOT_NEGATIVE, number("FRACTION"), arg(help_behavior_hint=_DECAY_HINT)] = None
    """Fraction of the convolution kernels, times the learning rate, that every step subtracts."""

    backbone_rate: Annotated[float, NOT_NEGATIVE, arg(metavar="FRACTION")] = 1.0
    """The backbone's learning rate as a fraction of the head's; 0.1 suits pretrained weights."""

    freeze_backbone: Annotated[int, NOT_NEGATIVE, arg(metavar="N")] = 0
    """Freeze the backbone, batch normalization included, for the first N epochs."""

    cache_features: Annotated[float, NOT_NEGATIVE, arg(metavar="GB")] = 0.0
    """While the backbone is frozen, compute its features once and cache them in the run folder, in at most so many
    gigabytes: as many augmentations of each image as fit. Epochs then take a fraction of the time."""

    freeze_batch_norm: Annotated[bool, FlagConversionOff] = False
    """Normalize by the statistics of the initial weights, as in inference; for very small batches."""

    clip_norm: Annotated[float, NOT_NEGATIVE, arg(metavar="NORM")] = 0.0
    """Gradient clipping: the greatest norm of the gradient of all weights together; 0 turns it off."""

    average: Annotated[float, BELOW_1, arg(metavar="DECAY")] = 0.0
    """Evaluate and save an exponential moving average (EMA) of the weights, with this decay a step; 0.999, say."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.cache_features and not self.freeze_backbone:
            both = f"{argument('cache_features')} needs {argument('freeze_backbone')}"
            raise UserError(f"{both} N: features of a backbone in training change")

    @property
    def peak_rate(self) -> float:
        """The peak learning rate."""
        return names.OPTIMIZERS[self.optimizer].rate if self.learning_rate is None else self.learning_rate

    @property
    def decay(self) -> float:
        """The fraction of the convolution kernels, times the learning rate, that every step subtracts."""
        return names.OPTIMIZERS[self.optimizer].decay if self.weight_decay is None else self.weight_decay


@dataclasses.dataclass(frozen=True)
class LossOptions(Options):
    """The loss."""

    loss: Annotated[
        tuple[names.LossName, ...],
        _LOSSES,
        arg(metavar="NAME ...", help_behavior_hint=_LOSS_HINT),
    ] = ("cross_entropy",)
    """The losses whose sum is minimized: the mean cross-entropy over pixels, and the mean dice or Lovász-softmax loss
    over images, in which small objects count as much as large ones."""

    label_smoothing: Annotated[float, BELOW_1, arg(metavar="FRACTION")] = 0.0
    """In the cross-entropy, the fraction of the ground truth that is spread over all classes; 0.1, say."""

    ohem: Annotated[float, _OHEM, arg(metavar="FRACTION")] = 1.0
    """Online hard example mining: the fraction of each image's pixels, the hardest, that count in the cross-entropy;
    0.25, say."""

    balance: names.Balance = "none"
    """Balance rare classes: by `weights` in the loss, by `sampling` their images more often, or by drawing a third of
    the crops around their pixels (`windows`)."""

    pseudo_threshold: Annotated[float, BELOW_1, arg(metavar="PROBABILITY")] = 0.95
    """With --unlabelled teach or DIR: pixels of whose class the teacher is less sure are void."""

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
    """Devices, precision and compilation."""

    strategy: names.StrategyName = "auto"
    """The devices: `mirrored` takes all GPUs or, without any, the CPU, `none` one, `multiworker` those of all machines
    that TF_CONFIG names; `auto` takes what is available."""

    precision: names.PrecisionName = "auto"
    """Precision of the layers; auto: bfloat16 on GPUs that have it and, without depthwise convolutions, on
    processors with AVX512_BF16 or AMX; float32 elsewhere. Weights are always float32."""

    xla: names.SwitchName = "auto"
    """Compile the training step by XLA, which takes up to a minute; auto: on a single GPU, for 5,000 steps and more."""

    deterministic: Annotated[bool, FlagConversionOff] = False
    """Compute reproducibly on GPUs, too, which is slower. CPUs always do."""


@dataclasses.dataclass(frozen=True)
class RunOptions(Options):
    """The length of a run, and its checkpoints."""

    epochs: Annotated[int, POSITIVE, arg(metavar="N")] = 8
    """Passes over the training images."""

    minutes: Annotated[float | None, _YEAR, number("N"), arg(help_behavior_hint="")] = None
    """Instead of --epochs, the time that the run takes: some steps and a validation are measured before it begins, and
    as many epochs are fixed as fit."""

    patience: Annotated[int, NOT_NEGATIVE, arg(metavar="N")] = 0
    """Stop after N epochs without a better model, by --watch; 0 turns it off."""

    watch: Annotated[str, _WATCH, arg(metavar="METRIC", help_behavior_hint=f"({_WATCHES}; default: auto)")] = "auto"
    """The metric of the validation images that makes a model the best. `auto`: mean IoU of the classes of which there
    are enough images and pixels, lest the others decide by chance; `mean_iou`: of all classes."""

    seed: Annotated[int, within(0, 2**31 - 1), arg(metavar="N")] = 0
    """The same seed on the same machine repeats a run exactly."""

    checkpoint_minutes: Annotated[float, NOT_NEGATIVE, arg(metavar="N")] = 10.0
    """Minutes between checkpoints within an epoch; one is written after every epoch, too."""

    keep_checkpoints: Annotated[int, POSITIVE, arg(metavar="N")] = 2
    """Number of the newest checkpoints to keep."""


def require_one_length(given: Iterable[str]) -> None:
    """Raises UserError if both epochs and minutes are given."""
    if {"epochs", "minutes"} <= {*given}:
        both = f"{argument('epochs')} and {argument('minutes')}"
        raise UserError(f"{both} exclude each other: minutes are as many epochs as fit")


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

    dataset: Annotated[OmitArgPrefixes[DataOptions], arg(name="data")] = _DATA
    network: Annotated[OmitArgPrefixes[NetworkOptions], arg(name="network")] = _NETWORK
    augmentation: Annotated[OmitArgPrefixes[AugmentationOptions], arg(name="augmentation")] = AugmentationOptions()
    optimization: Annotated[OmitArgPrefixes[OptimizerOptions], arg(name="optimizer")] = OptimizerOptions()
    objective: Annotated[OmitArgPrefixes[LossOptions], arg(name="loss")] = LossOptions()
    devices: Annotated[OmitArgPrefixes[DeviceOptions], arg(name="devices")] = DeviceOptions()
    run: Annotated[OmitArgPrefixes[RunOptions], arg(name="run")] = RunOptions()

    def __init__(self, **settings: Any) -> None:
        require_one_length(name for name in ("epochs", "minutes") if settings.get(name) is not None)
        for field in dataclasses.fields(self):
            group = settings.pop(field.name, field.default)
            own = {name: settings.pop(name) for name in _names(group) if name in settings}
            object.__setattr__(self, field.name, dataclasses.replace(group, **own))
        if self.dataset.has_teacher and self.optimization.cache_features:
            both = f"{argument('cache_features')} and {argument('unlabelled', self.dataset.unlabelled)}"
            fix = f"leave one out, that of a recipe by {argument('cache_features', 0)}"
            raise UserError(f"{both} exclude each other: features of images without labels are not cached; {fix}")
        least = self.objective.pseudo_threshold
        if not self.dataset.has_teacher and least != LossOptions.pseudo_threshold:
            needed = f"{argument('unlabelled', names.TEACH)} or {argument('unlabelled')} DIR"
            raise UserError(f"{argument('pseudo_threshold', least)} needs {needed}: there is no teacher without")
        if settings:
            raise TypeError(f"there is no setting {named_unknown(settings, GROUP_OF)}; there are {', '.join(GROUP_OF)}")

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
