"""Checks of a `.keras` file before Keras opens it: what it names is admitted, and what it takes is what it holds.

Keras makes all layers and their weights by config.json, and reads weights only then. So the config is held against the
archive: a file takes memory by its size, not by what it says.
"""

from __future__ import annotations

import io
import json
import math
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from keras_fcn.errors import UserError
from keras_fcn.network.weights.admission import require_admitted
from keras_fcn.network.weights.hdf5 import SPARE, UNPACKED, Member, mib, require_stored
from keras_fcn.system.text import require_plain_compression

CONFIG, WEIGHTS = "config.json", "model.weights.h5"

LARGEST_CONFIG = 8 << 20
"""Maximum size of config.json in bytes; the deepest ResNet has a tenth of it."""

MOST_LAYERS, MOST_CALLS = 2_000, 10_000
"""Maximum number of layers, and of tensors that they take; the deepest ResNet has a third and a tenth of it."""


def require_harmless(path: Path) -> None:
    """Looks into a `.keras` file without making anything that it names.

    Raises:
        UserError: If it holds what is not admitted, more layers than a network has, or would take more memory than
            its size allows; the message says which.
        OSError, KeyError, ValueError, or one of `ZIP_FAULTS`: If it cannot be read.
    """
    with path.open("rb") as file, zipfile.ZipFile(file) as archive:
        require_plain_compression(archive)
        members = archive.infolist()
        size, unpacked = path.stat().st_size, sum(member.file_size for member in members)
        if unpacked > UNPACKED * size + SPARE:
            raise UserError(f"unpacks to {mib(unpacked)}, more than {UNPACKED} times its {mib(size)}")
        if archive.getinfo(CONFIG).file_size > LARGEST_CONFIG:
            raise UserError(f"its {CONFIG} has more than {mib(LARGEST_CONFIG)}")
        weights = archive.getinfo(WEIGHTS)
        config = json.loads(archive.read(CONFIG))
        if not isinstance(config, dict):
            raise UserError(f"its {CONFIG} is damaged: it is no object")
        config.pop("compile_config", None)  # settings of a training, which are not loaded
        require_admitted(config)
        _require_few(config)
        needed = 4 * sum(map(_number_of_weights, _objects(config)))
        if needed > 2 * weights.file_size + SPARE:  # float16 weights have half of it
            raise UserError(f"its layers have weights of {mib(needed)}, but {WEIGHTS} holds {mib(weights.file_size)}")
        if weights.compress_type == zipfile.ZIP_STORED:
            require_stored(io.BufferedReader(Member(file, weights), 1 << 16), size)
        else:
            require_stored(io.BytesIO(archive.read(weights)), size)


def _require_few(config: dict[str, Any]) -> None:
    """Raises UserError if a network has more layers or calls than any has."""
    calls = sum(entry["class_name"] == "__keras_tensor__" for entry in _objects(config))
    layers = sum("inbound_nodes" in entry for entry in _objects(config))
    if layers > MOST_LAYERS or calls > MOST_CALLS:
        raise UserError(f"has {layers:,} layers that take {calls:,} tensors, more than any network here")


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    """Yields the dicts of a config that Keras makes objects of."""
    waiting = [value]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            if "class_name" in value:
                yield value
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value


def _number_of_weights(entry: dict[str, Any]) -> int:
    """Returns how many weights a layer makes at most, by its settings and the shape that it is built for.

    Raises:
        UserError: If these do not tell.
    """
    count = _COUNTS.get(entry.get("registered_name") or entry["class_name"])
    if count is None:
        return 0
    try:
        return count(entry["config"], entry["build_config"]["input_shape"])
    except (LookupError, TypeError, ValueError, OverflowError):
        raise UserError(f"its {CONFIG} is damaged: a {entry['class_name']} has no sizes") from None


def _product(value: Any) -> int:
    """Returns the product of a number, or a list of numbers, of JSON."""
    return math.prod(math.ceil(abs(item)) for item in (value if isinstance(value, list) else [value]))


def _channels(config: dict[str, Any], shape: list[Any]) -> int:
    return _product(shape[1 if config.get("data_format") == "channels_first" else -1])


def _lora(config: dict[str, Any], inputs: int, outputs: int) -> int:
    """Returns the weights of a layer's low-rank adaption."""
    return _product(config.get("lora_rank") or 0) * (inputs + outputs)


def _conv(config: dict[str, Any], shape: list[Any]) -> int:
    kernel, filters = _square(config["kernel_size"]), _product(config["filters"])
    inputs = -(-_channels(config, shape) // max(1, _product(config.get("groups") or 1)))
    return (kernel * inputs + 1) * filters + _lora(config, kernel * inputs, filters)


def _depthwise(config: dict[str, Any], shape: list[Any]) -> int:
    return (_square(config["kernel_size"]) + 1) * _channels(config, shape) * _product(config["depth_multiplier"])


def _separable(config: dict[str, Any], shape: list[Any]) -> int:
    inputs = _channels(config, shape) * _product(config["depth_multiplier"])
    return _depthwise(config, shape) + (inputs + 1) * _product(config["filters"])


def _dense(config: dict[str, Any], shape: list[Any]) -> int:
    inputs, units = _product(shape[-1]), _product(config["units"])
    return (inputs + 1) * units + _lora(config, inputs, units)


def _norm(config: dict[str, Any], shape: list[Any]) -> int:
    axes = config["axis"]
    return 4 * math.prod(_product(shape[axis]) for axis in (axes if isinstance(axes, list) else [axes]))


def _square(size: Any) -> int:
    """Returns the positions of a kernel that is as wide as high if its size is one number."""
    return _product(size) if isinstance(size, list) else _product(size) ** 2


_COUNTS: dict[str, Callable[[dict[str, Any], list[Any]], int]] = {  # of the layers that have weights
    "Conv2D": _conv,
    "Conv2DTranspose": _conv,
    "keras_fcn>Upscore": _conv,
    "DepthwiseConv2D": _depthwise,
    "SeparableConv2D": _separable,
    "Dense": _dense,
    "BatchNormalization": _norm,
    "LayerNormalization": _norm,
    "GroupNormalization": _norm,
}
