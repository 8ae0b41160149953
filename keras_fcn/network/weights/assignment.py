"""Mapping the tensors of other programs' files to the weights of our backbones."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterator

import keras
import numpy as np
from keras import layers

from keras_fcn.errors import UserError, argument
from keras_fcn.network.weights.names import CONVENTIONS, OTHERS, Convention

Tensors = dict[str, np.ndarray]

BATCH_NORM = ("gamma", "beta", "moving_mean", "moving_variance")


@dataclasses.dataclass(frozen=True)
class Wanted:
    """A weight of a backbone, and its tensor in a file.

    Attributes:
        layer: The name of its layer.
        weight: Its name in that layer.
        tensor: The name of its tensor in the file.
        convert: Converts the file's tensor to our order of axes.
    """

    layer: str
    weight: str
    tensor: str
    convert: Callable[[np.ndarray], np.ndarray]


@dataclasses.dataclass(frozen=True)
class Assigned:
    """The result of `assign_tensors`.

    Attributes:
        title: The description of such files.
        is_folded: Whether batch normalization was folded into the convolutions.
        absent: Names of the convolutions missing in the file, which keep their weights, as does their normalization.
    """

    title: str
    is_folded: bool
    absent: list[str]


def assign_tensors(backbone: keras.Model, tensors: Tensors) -> Assigned:
    """Assigns the tensors of a file to a backbone, all of them or, in case of an error, none.

    Args:
        backbone: A model of `build_backbone`.
        tensors: The result of `read_weight_file`.

    Raises:
        UserError: If the names follow no known convention or one for other backbones, or a tensor is missing,
            unexpected, or of another type or shape.
    """
    tensors = {
        re.sub(r"^resnetv2\d+_", "", name): tensor for name, tensor in tensors.items()
    }  # Gluon's counter of nets
    return assign_by(_recognize(tensors), backbone, tensors)


def assign_by(convention: Convention, backbone: keras.Model, tensors: Tensors) -> Assigned:
    """Assigns the tensors of a file of a known convention; see `assign_tensors`.

    Args:
        convention: The names of the tensors.
        backbone: A model, of whose nested models no layer is assigned.
        tensors: The tensors by name.

    Raises:
        UserError: As `assign_tensors`.
    """
    if backbone.name not in convention.backbones:
        fitting = " or ".join(convention.backbones)
        received = argument("backbone", backbone.name)
        raise UserError(f"holds {convention.title}, for {argument('backbone')} {fitting}. Received: {received}")
    kind = convention.kind({name: tensor.shape for name, tensor in tensors.items()})
    if kind and kind != backbone.name:
        raise UserError(f"holds {kind}, not {argument('backbone', backbone.name)}")
    wanted = list(_wanted(backbone, convention))
    absent = _absent_layers(wanted, tensors, convention.may_lack)
    wanted = [item for item in wanted if item.layer not in absent]
    _require_all_names(wanted, tensors, convention, backbone.name)
    values = []
    for item in wanted:
        variable = getattr(backbone.get_layer(item.layer), item.weight)
        values.append((variable, _fitting(item, tensors[item.tensor], tuple(variable.shape))))
    shift = _image_shift(tensors, convention)
    for variable, value in values:
        variable.assign(value)
    if shift is not None:
        _shift_images(backbone.get_layer("bn_image"), shift)
    convolutions = [name for name in absent if isinstance(backbone.get_layer(name), layers.Conv2D)]
    return Assigned(convention.title, convention.is_folded, convolutions)


def _recognize(tensors: Tensors) -> Convention:
    if any(name.startswith("backbone.") for name in tensors) and any("classifier." in name for name in tensors):
        raise UserError(f"holds a whole network of torchvision, not only a backbone; {argument('init_from')} takes it")
    for mark, title in OTHERS.items():
        if mark in tensors:
            raise UserError(f"holds {title}, which is no backbone here")
    for convention in CONVENTIONS:
        if convention.mark in tensors:
            return convention
    some = ", ".join(list(tensors)[:3])
    known = "; ".join(dict.fromkeys(convention.title for convention in CONVENTIONS))
    raise UserError(f"its tensors ({some}, ...) are named by no known convention: {known}")


def _wanted(backbone: keras.Model, convention: Convention) -> Iterator[Wanted]:
    """Yields every weight of the backbone; several may use one tensor, such as a folded bias."""
    number = -1
    for layer in backbone.layers:
        if isinstance(layer, (layers.Conv2D, layers.DepthwiseConv2D)):
            number += 1
            tensor = convention.prefix(layer.name, number) + convention.suffixes["kernel"]
            convert = _kernel_from_iohw if isinstance(layer, layers.DepthwiseConv2D) else _kernel_from_oihw
            yield Wanted(layer.name, "kernel", tensor, _same if convention.is_folded else convert)
            if layer.use_bias:
                bias = convention.prefix(layer.name, number) + convention.suffixes["bias"]
                yield Wanted(layer.name, "bias", bias, _same)
        elif isinstance(layer, layers.BatchNormalization):
            prefix = convention.prefix(layer.name, number)
            weights = [name for name in BATCH_NORM if getattr(layer, name) is not None]
            if convention.is_folded:
                yield from _unfolded(layer, prefix)
            else:
                yield from (Wanted(layer.name, name, prefix + convention.suffixes[name], _same) for name in weights)


def _unfolded(layer: layers.BatchNormalization, prefix: str) -> Iterator[Wanted]:
    """Yields weights with which a batch normalization only adds the folded bias."""
    variance = 1.0 - layer.epsilon
    yield Wanted(layer.name, "gamma", f"{prefix}/bias", np.ones_like)
    yield Wanted(layer.name, "beta", f"{prefix}/bias", _same)
    yield Wanted(layer.name, "moving_mean", f"{prefix}/bias", np.zeros_like)
    yield Wanted(layer.name, "moving_variance", f"{prefix}/bias", lambda bias: np.full_like(bias, variance))


def _same(tensor: np.ndarray) -> np.ndarray:
    return tensor


def _kernel_from_iohw(tensor: np.ndarray) -> np.ndarray:
    """Returns a depthwise kernel [channels, 1, H, W] as [H, W, channels, 1]."""
    return tensor.transpose(2, 3, 0, 1) if tensor.ndim == 4 else tensor


def _kernel_from_oihw(tensor: np.ndarray) -> np.ndarray:
    return tensor.transpose(2, 3, 1, 0) if tensor.ndim == 4 else tensor


def _fitting(item: Wanted, tensor: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Returns a tensor in our order of axes, after a check of its shape and type."""
    value = item.convert(tensor)
    if value.shape != shape or value.dtype.kind != "f":
        found = "x".join(map(str, value.shape)) or "a scalar"
        raise UserError(
            f"{item.tensor}, for the {item.weight} of {item.layer}, is {found} of {value.dtype} "
            f"in our order of axes; it must be {'x'.join(map(str, shape))} of float32"
        )
    if item.weight == "moving_variance" and value.min() < 0:
        raise UserError(f"{item.tensor} is a variance, but holds {value.min()}")
    return value


def _image_shift(tensors: Tensors, convention: Convention) -> np.ndarray | None:
    if convention.image_shift not in tensors:
        return None
    wanted = Wanted("bn_image", "beta", convention.image_shift, _same)
    return _fitting(wanted, tensors[convention.image_shift], (3,))


def _shift_images(layer: layers.BatchNormalization, shift: np.ndarray) -> None:
    """Adds a shift to a batch normalization without beta through its mean: (x - m) / s + b = (x - (m - b * s)) / s."""
    deviation = np.sqrt(np.asarray(layer.moving_variance) + layer.epsilon)
    layer.moving_mean.assign(np.asarray(layer.moving_mean) - shift * deviation)


def _absent_layers(wanted: list[Wanted], tensors: Tensors, may_lack: str) -> list[str]:
    """Returns the layers, of those that may be absent, of which the file has neither kernel nor bias."""
    present = {name.rpartition("/")[0] for name in tensors}
    absent = [item.layer for item in wanted if item.tensor.rpartition("/")[0] not in present]
    return [layer for layer in dict.fromkeys(absent) if re.fullmatch(may_lack, layer)]


def _require_all_names(wanted: list[Wanted], tensors: Tensors, convention: Convention, backbone: str) -> None:
    names = {item.tensor for item in wanted}
    missing = [item.tensor for item in wanted if item.tensor not in tensors]
    if missing:
        raise UserError(f"lacks {_some(missing)} of {backbone}")
    unexpected = [name for name in tensors if name not in names and not re.fullmatch(convention.ignored, name)]
    if unexpected:
        raise UserError(f"holds {_some(unexpected)}, which {backbone} does not have")


def _some(names: list[str]) -> str:
    names = list(dict.fromkeys(names))
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
