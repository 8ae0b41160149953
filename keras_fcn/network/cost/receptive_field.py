"""Theoretical receptive fields, exact to the pixel."""

from __future__ import annotations

import dataclasses
import math
from fractions import Fraction

from keras_fcn.network.cost.trace import Call, Tensor, Trace
from keras_fcn.network.layers import exact_scale

_SAME_POSITION = frozenset((
    "Activation", "Add", "BatchNormalization", "Concatenate", "Dense", "Dropout", "Multiply",
    "Normalization", "PadToMultiple", "ReLU", "Rescaling",
))  # fmt: skip
_POOLING = frozenset(("MaxPooling2D", "AveragePooling2D"))
_CONVOLUTION = frozenset(("Conv2D", "DepthwiseConv2D"))
_WHOLE = frozenset(("GlobalAveragePooling2D", "GlobalMaxPooling2D", "Flatten", "Reshape", "RegionMeans"))
_OTHER = frozenset(("ZeroPadding2D", "Cropping2D", "Conv2DTranspose", "Logits", "ScaleImage", "Enlarge"))
KNOWN_KINDS = _SAME_POSITION | _POOLING | _CONVOLUTION | _WHOLE | _OTHER
"""Class names of the layers whose receptive field, multiply-accumulates and memory are known."""


@dataclasses.dataclass(frozen=True)
class Windows:
    """The receptive fields of a feature's positions along one axis.

    Position n = q * len(first) + r depends on the input's pixels q * jump + first[r] to q * jump + last[r], both
    included. After upsampling, the windows of neighbouring positions differ, hence the remainder r. Borders are
    ignored, as if the input were infinite.

    Attributes:
        jump: Input pixels from one position to the one len(first) further; None for a feature without positions, such
            as that of global pooling.
        first: First pixel of each window; minus infinity if it is the whole image, infinity if it is empty.
        last: Last pixel of each window; infinity if it is the whole image, minus infinity if it is empty.
    """

    jump: int | None
    first: tuple[float, ...]
    last: tuple[float, ...]

    @property
    def size(self) -> int | None:
        """The size of the largest window in pixels; None for the whole image."""
        size = max(last - first + 1 for first, last in zip(self.first, self.last))
        return None if size == math.inf else int(size)

    @property
    def stride(self) -> Fraction | None:
        """Input pixels from one position to the next; None without positions."""
        return None if self.jump is None else Fraction(self.jump, len(self.first))

    def bounds(self, position: int) -> tuple[float, float]:
        """Returns the first and the last pixel of a position's window."""
        period, remainder = divmod(position, len(self.first))
        shift = period * (self.jump or 0)
        return shift + self.first[remainder], shift + self.last[remainder]


PIXELS = Windows(1, (0,), (0,))
WHOLE_IMAGE = Windows(None, (-math.inf,), (math.inf,))


def slide(windows: Windows, extent: int, stride: int, before: int) -> Windows:
    """Returns the windows after a convolution or pooling.

    See Araujo, Norris, Sim: Computing Receptive Fields of Convolutional Neural Networks (Distill, 2019), equations 1 to
    5, here for each position.

    Args:
        windows: The windows of its input.
        extent: Size of the kernel in positions, dilation included.
        stride: Positions of the input from one output to the next.
        before: Positions of padding above or on the left; negative for cropping.
    """
    if windows.jump is None:
        return windows
    period = len(windows.first)
    turns = math.lcm(period, stride) // stride
    seen = [_hull(windows, n * stride - before, n * stride - before + extent - 1) for n in range(turns)]
    first, last = zip(*seen)
    return Windows(turns * stride // period * windows.jump, first, last)


def spread(windows: Windows, extent: int, stride: int, before: int) -> Windows:
    """Returns the windows after a transposed convolution.

    Input position i adds to the outputs i * stride - before to i * stride - before + extent - 1.

    Args:
        windows: The windows of its input.
        extent: Size of its kernel.
        stride: Outputs from one input position to the next.
        before: Outputs that are cropped above or on the left.
    """
    if windows.jump is None:
        return windows
    outputs = range(len(windows.first) * stride)
    seen = [_hull(windows, -((extent - 1 - before - n) // stride), (n + before) // stride) for n in outputs]
    first, last = zip(*seen)
    return Windows(windows.jump, first, last)


def resample(windows: Windows, scale: Fraction) -> Windows:
    """Returns the windows after bilinear resizing with half-pixel centres, for lengths that the scale divides.

    Args:
        windows: The windows of its input.
        scale: Outputs per input position.
    """
    if windows.jump is None:
        return windows
    period = len(windows.first)
    times = period // math.gcd(period, scale.denominator)
    centres = [(n + Fraction(1, 2)) / scale - Fraction(1, 2) for n in range(times * scale.numerator)]
    first, last = zip(*(_hull(windows, math.floor(centre), math.ceil(centre)) for centre in centres))
    return Windows(times * scale.denominator // period * windows.jump, first, last)


def _hull(windows: Windows, first: int, last: int) -> tuple[float, float]:
    bounds = [windows.bounds(position) for position in range(first, last + 1)]
    return min((low for low, _ in bounds), default=math.inf), max((high for _, high in bounds), default=-math.inf)


def union(several: list[Windows]) -> Windows:
    """Returns the windows of features that are added, multiplied or concatenated, position by position.

    Raises:
        ValueError: If their strides differ, so that their positions do not correspond.
    """
    placed = [windows for windows in several if windows.jump is not None]
    if len({windows.stride for windows in placed}) > 1:
        raise ValueError(f"features of strides {', '.join(str(windows.stride) for windows in placed)} are joined")
    if not placed:
        return WHOLE_IMAGE
    period = math.lcm(*(len(windows.first) for windows in placed))
    seen = [[windows.bounds(n) for windows in placed] for n in range(period)]
    if len(placed) < len(several):  # one of them is broadcast and depends on the whole image
        return Windows(_jump(placed[0], period), (-math.inf,) * period, (math.inf,) * period)
    first = tuple(min(low for low, _ in bounds) for bounds in seen)
    return Windows(_jump(placed[0], period), first, tuple(max(high for _, high in bounds) for bounds in seen))


def _jump(windows: Windows, period: int) -> int:
    assert windows.jump is not None
    return windows.jump * (period // len(windows.first))


def receptive_fields(trace: Trace) -> dict[Tensor, tuple[Windows, Windows]]:
    """Computes the receptive fields of all tensors of a model.

    Returns:
        Windows along the height and along the width, by tensor.

    Raises:
        ValueError: If the model contains a layer of an unknown class.
    """
    fields = {trace.image: (PIXELS, PIXELS)}
    for call in trace.calls:
        taken = [fields[tensor] for tensor in call.inputs]
        height, width = (_after(call, axis, [windows[axis] for windows in taken]) for axis in (0, 1))
        fields |= dict.fromkeys(call.outputs, (height, width))
    return fields


def kind_of(layer) -> str:
    """Returns the name in `KNOWN_KINDS` of a layer's class or of one of its base classes.

    Raises:
        ValueError: If there is none.
    """
    for known in type(layer).__mro__:
        if known.__name__ in KNOWN_KINDS:
            return known.__name__
    raise ValueError(f"layer {layer.name!r} is of the unknown class {type(layer).__name__}")


def _after(call: Call, axis: int, taken: list[Windows]) -> Windows:
    """Returns the windows of a call's outputs along one axis from those of its inputs."""
    kind, layer = kind_of(call.layer), call.layer
    if kind == "Logits":
        return resample(taken[0], 1 / exact_scale(layer.input_scale))
    windows = union(taken)
    if kind == "Concatenate" and layer.axis not in (-1, 3):
        raise ValueError(f"layer {layer.name!r} concatenates along axis {layer.axis}, not along channels")
    if kind == "Enlarge":
        return resample(windows, Fraction(layer.size[axis]))
    if kind == "ScaleImage":
        return resample(windows, exact_scale(layer.scale))
    if kind in _SAME_POSITION:
        return windows
    if kind in _WHOLE:
        return WHOLE_IMAGE
    if kind == "ZeroPadding2D":
        return slide(windows, 1, 1, layer.padding[axis][0])
    if kind == "Cropping2D":
        return slide(windows, 1, 1, -layer.cropping[axis][0])
    stride = layer.strides[axis]
    if kind in _POOLING:
        extent = layer.pool_size[axis]
    else:
        extent = (layer.kernel_size[axis] - 1) * layer.dilation_rate[axis] + 1
    if kind == "Conv2DTranspose":
        if layer.dilation_rate[axis] > 1:
            raise ValueError(f"layer {layer.name!r} is a dilated Conv2DTranspose, whose receptive field is not known")
        return spread(windows, extent, stride, max(extent - stride, 0) // 2 if layer.padding == "same" else 0)
    size, made = call.inputs[0].shape[1 + axis], call.outputs[0].shape[1 + axis]
    padding = max((made - 1) * stride + extent - size, 0) if layer.padding == "same" else 0
    return slide(windows, extent, stride, padding // 2)
