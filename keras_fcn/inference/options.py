"""Options of prediction that `evaluate.py` and `predict.py` share: flipping, scales, tiles."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

from tyro.conf import FlagCreatePairsOff, arg

from keras_fcn.errors import UserError, argument
from keras_fcn.runs.names import PrecisionName
from keras_fcn.system.options import HEIGHT_WIDTH, POSITIVE, Options, Range

TILE_MULTIPLE = 32
"""Tiles begin at multiples of the networks' largest stride, so that their features align with the whole image's."""

DEFAULT_OVERLAP = 320
"""More than half the theoretical receptive field of the networks over ResNet-18, ResNet-50, MobileNetV2 and VGG16,
245 to 304 pixels: outside the overlaps, predictions are then those for the whole image."""

_THREE_SCALES = (0.75, 1.0, 1.25)

NO_THRESHOLDS = "none"
"""What `threshold` says for none, whatever thresholds a model has."""

_SCALES = Range(
    lambda scales: bool(scales) and all(0 < scale < math.inf for scale in scales),
    "must be one or more factors greater than 0",
)


def threshold_of(text: str) -> tuple[str, float]:
    """Returns the class and its least probability that a text NAME=VALUE says; names may hold "=", too.

    Raises:
        ValueError: If it says none above 0 and up to 1.
    """
    name, _, value = text.rpartition("=")
    if not name or not 0 < float(value) <= 1:
        raise ValueError(text)
    return name, float(value)


def _are_thresholds(texts: tuple[str, ...]) -> bool:
    try:
        return texts == (NO_THRESHOLDS,) or len({name for name, _ in map(threshold_of, texts)}) == len(texts)
    except ValueError:
        return False


_THRESHOLDS = Range(
    _are_thresholds, f"takes NAME=VALUE, each class once, and values above 0 and up to 1, or {NO_THRESHOLDS}"
)


ThresholdOption = Annotated[
    tuple[str, ...], _THRESHOLDS, arg(metavar="NAME=P ...", help_behavior_hint="(default: those kept in the model)")
]
"""Thresholds of classes, each written NAME=VALUE, or "none"; none given means those of the model."""


@dataclasses.dataclass(frozen=True)
class InferenceOptions(Options):
    """Options of prediction; by default, each image is predicted once, as a whole.

    Raises:
        UserError: If a value is out of its range.
    """

    flip: Annotated[bool, FlagCreatePairsOff] = False
    """Also predict the mirrored image, and average the probabilities."""

    scales: Annotated[tuple[float, ...], _SCALES, arg(metavar="FACTOR ...", help_behavior_hint="(default: 1)")] = (1.0,)
    """Predict the image at several sizes and average the probabilities; 0.5 0.75 1 1.25 1.5 1.75 are usual."""

    tile: Annotated[tuple[int, int] | None, HEIGHT_WIDTH, arg(help_behavior_hint="(multiples of 32)")] = None
    """Predict tiles of this size and blend them; memory then does not grow with the image."""

    overlap: Annotated[int | None, arg(metavar="N", help_behavior_hint="(default: 320, at most half a tile)")] = None
    """Pixels by which neighbouring tiles overlap, a multiple of 32."""

    temperature: Annotated[float, POSITIVE, arg(metavar="T")] = 1.0
    """Divide logits by this before they become probabilities; evaluate.py --calibration says which fits."""

    threshold: ThresholdOption = ()
    """Give pixels to a class where its probability is at least this, however probable others are: crack=0.3. Those that
    are given replace all that are kept in the model; none applies none."""

    precision: PrecisionName = "auto"
    """What layers compute in; auto: bfloat16 on processors with AVX512_BF16 or AMX where the program is faster in it,
    float32 elsewhere."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.tile is not None:
            _require_multiples("tile", self.tile, TILE_MULTIPLE)
        if self.overlap is not None:
            self._require_fitting(self.overlap)

    def _require_fitting(self, overlap: int) -> None:
        if self.tile is None:
            raise UserError(f"{argument('overlap')} needs {argument('tile')}. Received: {overlap}")
        _require_multiples("overlap", (overlap,), 0)
        if overlap > min(self.tile) // 2:
            most = _rounded_down(min(self.tile) // 2)
            raise UserError(f"{argument('overlap')} must be at most half of the tile, here {most}. Received: {overlap}")

    @property
    def is_plain(self) -> bool:
        """True if each image is predicted once, as a whole, and its pixels get the classes that the model gives."""
        return self.is_direct and not self.threshold

    @property
    def is_direct(self) -> bool:
        """True if each image is predicted once, as a whole, at the model's own temperature."""
        return self.temperature == 1 and not self.is_averaged and self.tile is None

    @property
    def is_averaged(self) -> bool:
        """True if the probabilities of several variants of an image are averaged."""
        return self.flip or self.scales != (1.0,)

    def averaged(self) -> InferenceOptions:
        """Returns these options with flips and three scales."""
        return dataclasses.replace(self, flip=True, scales=_THREE_SCALES)

    @property
    def tile_overlap(self) -> int:
        """Pixels by which neighbouring tiles overlap; 0 without tiles."""
        if self.overlap is not None or self.tile is None:
            return self.overlap or 0
        return min(DEFAULT_OVERLAP, _rounded_down(min(self.tile) // 2))


def require_each_once(models: Sequence[Path]) -> None:
    """Raises UserError if a model is there twice, which would count twice."""
    if twice := next((model for model in models if models.count(model) > 1), None):
        raise UserError(f"{twice}: is there {models.count(twice)} times; name each model once")


def tile_note(sight: float, options: InferenceOptions) -> str | None:
    """Returns a line if tiles do not give what the whole image gives; None if they do, or there are none.

    Args:
        sight: The pixels that a pixel of the network's logits sees to one side; infinity for the whole image.
        options: The options, with the tile and its overlap.
    """
    sight /= min(1.0, *options.scales)
    if options.tile is None or sight <= options.tile_overlap:
        return None
    if math.isinf(sight):
        return "sees the whole image, and of a tile only the tile: masks are not those of the whole image"
    overlap = TILE_MULTIPLE * math.ceil(sight / TILE_MULTIPLE)
    height, width = (max(size, 2 * overlap) for size in options.tile)
    return (
        f"sees {math.ceil(sight)} pixels to each side, and tiles overlap by {options.tile_overlap}: for the masks of "
        f"the whole image take --tile {height} {width} --overlap {overlap}"
    )


def farthest(sights: Sequence[Callable[[], float]]) -> Callable[[], float] | None:
    """Returns the function that returns how far the model sees that sees farthest; None if it is not known of any."""
    return (lambda: max(sight() for sight in sights)) if sights else None


def _require_multiples(name: str, sizes: tuple[int, ...], least: int) -> None:
    if any(size % TILE_MULTIPLE or size < least for size in sizes):
        nearest = " ".join(str(max(least, _rounded_down(size + TILE_MULTIPLE // 2))) for size in sizes)
        received = " ".join(map(str, sizes))
        raise UserError(
            f"{argument(name)} takes multiples of {TILE_MULTIPLE}, the networks' stride, such as {nearest}. "
            f"Received: {received}"
        )


def _rounded_down(size: int) -> int:
    return size // TILE_MULTIPLE * TILE_MULTIPLE
