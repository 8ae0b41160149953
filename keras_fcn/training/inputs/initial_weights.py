"""Initial weights of a backbone or a whole network."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import warnings
import zipfile
from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np

from keras_fcn.errors import UserError, about, argument
from keras_fcn.inference.engines.opening import find_model
from keras_fcn.inference.models import load_model
from keras_fcn.network.backbones import Backbone, build_backbone, find_backbone, published, widen_backbone
from keras_fcn.network.parts import Parts
from keras_fcn.network.weights.assignment import assign_tensors
from keras_fcn.network.weights.files import KINDS, read_weight_file
from keras_fcn.network.weights.hdf5 import require_stored
from keras_fcn.runs.names import NETWORKS
from keras_fcn.system.files import lent_suffix
from keras_fcn.system.text import reason_of

_HDF5 = b"\x89HDF\r\n\x1a\n"


@dataclasses.dataclass(frozen=True)
class LoadedWeights:
    """The weights that were loaded into a network.

    Attributes:
        description: Human-readable, one line.
        is_folded: Whether batch normalization was folded into the convolutions, and so has no statistics.
    """

    description: str
    is_folded: bool = False


def load_backbone_weights(backbone: keras.Model, weights: str, entry: Backbone | None = None) -> LoadedWeights:
    """Loads weights into a backbone in place; after an error, it has its old ones.

    Args:
        backbone: A model of `build_backbone`.
        weights: "none" to keep the random ones, "imagenet", or the path of a file, whose format is recognized by its
            content: a `.keras` file of a trained FCN with the same backbone, a `.weights.h5` file of the backbone, or
            one that `read_weight_file` reads.
        entry: The entry that the backbone was built from; the one of its name if not given.

    Raises:
        UserError: If the weights cannot be loaded or belong to another network.
    """
    if weights == "none":
        return LoadedWeights("random")
    before = backbone.get_weights()
    try:
        loaded = _load_widened(backbone, weights, entry)
        for variable in backbone.variables:
            if not np.isfinite(np.asarray(variable)).all():
                raise UserError(
                    f"{argument('weights', weights)}: {variable.path} holds NaN or infinity; take another file"
                )
    except UserError:
        backbone.set_weights(before)
        raise
    return loaded


def _load_widened(backbone: keras.Model, weights: str, entry: Backbone | None) -> LoadedWeights:
    """Loads weights into a backbone; those of one for RGB, which all files hold, widened to its channels."""
    channels = backbone.input_shape[-1]
    if channels == 3 or _is_of(weights, channels):
        return _load(backbone, weights, entry)
    stride = backbone.compute_output_shape((1, 256, 256, channels))["P5"][1]
    narrow = build_backbone(entry or backbone.name, None, 256 // stride, "P2" in backbone.output)
    loaded = _load(narrow, weights, entry)
    widen_backbone(backbone, narrow)
    return dataclasses.replace(loaded, description=f"{loaded.description}, {_widened(channels)}")


def _is_of(weights: str, channels: int) -> bool:
    """Returns whether weights are those of a trained network of other channels than three."""
    path = Path(weights)
    return path.is_file() and _is_keras(path) and Parts(load_model(path)).channels.count == channels


def _widened(channels: int) -> str:
    """Returns how the first kernel takes other channels than three, human-readable."""
    if channels == 1:
        return "the first kernel summed over red, green and blue"
    if channels == 2:
        return "the first kernel's red and green for the two channels"
    others = "channel 4 has" if channels == 4 else f"channels 4 to {channels} have"
    return f"the first kernel kept for three channels, {others} its mean"


def _load(backbone: keras.Model, weights: str, entry: Backbone | None) -> LoadedWeights:
    path = Path(weights)
    if weights == "imagenet":
        _load_imagenet(backbone, entry or find_backbone(backbone.name))
    elif not path.is_file():
        raise UserError(
            f"{argument('weights')} takes none, imagenet, or a file: .keras, .weights.h5, {KINDS}; there is no such "
            f"file. Received: {weights}"
        )
    elif _is_keras(path):
        _load_from_fcn(backbone, path)
    elif _starts_with(path, _HDF5):
        _load_h5(backbone, path)
    else:
        return _load_tensors(backbone, path)
    return LoadedWeights(f"{weights}, all of {backbone.name}")


def load_matching_layers(model: keras.Model, path: Path) -> LoadedWeights:
    """Copies the matching layers of a trained network; other score layers start at 0.

    Layers match if they have the same name and shape and, where they upsample, the same classes. So FCN-16s starts with
    the function of the FCN-32s, and FCN-8s with that of the FCN-16s (Long, Shelhamer, Darrell, CVPR 2015, section 4.2).
    Of score layers, the scores of classes of the same name are copied. Of a network with another head, the backbone is.

    Args:
        model: A network of `build_fcn`.
        path: A run folder, or a `.keras` or torchvision's `.pth` file of a network with the same backbone.

    Raises:
        UserError: If the network does not exist, or has another backbone.
    """
    path = find_model(path)
    source, parts = load_model(path), Parts(model)
    _load_from_fcn(parts.backbone, path, source)
    theirs = Parts(source)
    is_alike = parts.network == theirs.network or {parts.network, theirs.network} <= set(NETWORKS)
    decoder = theirs.decoder if is_alike else {}
    names, others = parts.logits.classes.names, theirs.logits.classes.names
    kept = [name for name in names if name in others]
    taken: list[str] = [parts.backbone.name]
    new: list[str] = []
    for name, layer in parts.decoder.items():
        other = decoder.get(name)
        if _is_score(layer):
            is_taken = _copy_scores(layer, other, names, others)
        else:
            is_taken = other is not None and _copy_weights(layer, other, is_of_classes=names != others)
        (taken if is_taken else new).append(name)
    start = f"; {', '.join(new)} start anew" if new else ""
    if kept and names != others and any(_is_score(parts.decoder[name]) for name in taken[1:]):
        start += f"; scores are kept for {_listed(kept)}"
        missing = [name for name in names if name not in others]
        start += f", and start at 0 for {_listed(missing)}" if missing else ""
    if parts.channels.count != theirs.channels.count:
        start += f"; {_widened(parts.channels.count)}"
    if parts.output_stride != theirs.output_stride:
        start += f"; trained with an output stride of {theirs.output_stride}"
    return LoadedWeights(f"{path}: {', '.join(taken)}{start}")


def _is_score(layer: keras.layers.Layer) -> bool:
    """Returns whether a layer of a decoder has a filter for each class."""
    return isinstance(layer, keras.layers.Conv2D) and "score" in layer.name


def _listed(names: Sequence[str], most: int = 10) -> str:
    """Returns names as a list, of many only the first."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _copy_scores(
    layer: keras.layers.Conv2D, other: keras.layers.Conv2D | None, names: Sequence[str], others: Sequence[str]
) -> bool:
    """Copies the scores of classes that have the same name in both networks; returns whether there are any."""
    values = [np.zeros(weight.shape, np.float32) for weight in layer.weights]
    common = [name for name in names if name in others]
    is_taken = bool(common) and other is not None and layer.kernel.shape[:-1] == other.kernel.shape[:-1]
    if other is not None and is_taken:
        ours, theirs = [names.index(name) for name in common], [others.index(name) for name in common]
        for value, source in zip(values, other.get_weights()):
            value[..., ours] = source[..., theirs]
    layer.set_weights(values)
    return is_taken


def _copy_weights(layer: keras.layers.Layer, other: keras.layers.Layer, is_of_classes: bool) -> bool:
    """Copies the weights of a layer of the same shapes; returns whether it is one."""
    if isinstance(layer, keras.layers.Conv2DTranspose) and is_of_classes:  # from scores to scores of other classes
        return False
    if [weight.shape for weight in layer.weights] != [weight.shape for weight in other.weights]:
        return False
    layer.set_weights(other.get_weights())
    return True


def _starts_with(path: Path, magic: bytes) -> bool:
    with path.open("rb") as file:
        return file.read(len(magic)) == magic


def _is_keras(path: Path) -> bool:
    """Returns whether a file is a `.keras` file; `.npz` files are zip files, too."""
    with contextlib.suppress(zipfile.BadZipFile), zipfile.ZipFile(path) as archive:
        return "config.json" in archive.namelist()
    return False


def _load_tensors(backbone: keras.Model, path: Path) -> LoadedWeights:
    tensors = read_weight_file(path)
    with about(path):
        assigned = assign_tensors(backbone, tensors)
    start = f", but {', '.join(assigned.absent)}, which start random" if assigned.absent else ""
    return LoadedWeights(f"{path}, {assigned.title}, all of {backbone.name}{start}", assigned.is_folded)


def _load_imagenet(backbone: keras.Model, entry: Backbone) -> None:
    if entry.load_imagenet is None:
        raise UserError(
            f"{argument('weights', 'imagenet')}: none are published for {backbone.name}; they are for {published()}"
        )
    try:
        entry.load_imagenet(backbone)
    except UserError:
        raise
    except Exception as error:  # keras.utils.get_file raises a bare Exception without a network
        raise UserError(
            f"{argument('weights', 'imagenet')}: the download failed ({reason_of(error)}); fetch that file by hand "
            f"into {_downloads()}, or train from random weights with {argument('weights', 'none')}"
        ) from None


def _downloads() -> Path:
    """Returns the folder of the weights that Keras has downloaded."""
    return Path(os.environ.get("KERAS_HOME", "~/.keras")).expanduser() / "models"


def _load_from_fcn(backbone: keras.Model, path: Path, source: keras.Model | None = None) -> None:
    source = source or load_model(path)
    parts = Parts(source)
    theirs = parts.backbone
    if theirs.name != backbone.name:
        stride = parts.output_stride
        fitting = f"{argument('model', parts.network)}, {argument('backbone', theirs.name)}"
        fitting += f" and {argument('output_stride', stride)}" if stride != 32 else ""
        raise UserError(f"{path}: is {source.name}, without the backbone {backbone.name}; choose {fitting}")
    channels, have = backbone.input_shape[-1], parts.channels
    if have.count not in (3, channels):
        fitting = argument("channels", have.text)
        raise UserError(f"{path}: is of images of {have.count} channels, these have {channels}; choose {fitting}")
    if have.count == channels:
        backbone.set_weights(theirs.get_weights())
    else:
        widen_backbone(backbone, theirs)


def _load_h5(backbone: keras.Model, path: Path) -> None:
    try:
        with warnings.catch_warnings(), lent_suffix(path, ".weights.h5") as named:
            warnings.simplefilter("ignore")  # Keras warns of every layer before it raises
            require_stored(path, path.stat().st_size)
            backbone.load_weights(named)
    except UserError as error:
        fix = "" if "; " in error.marked else "; download or save it again, or give another"
        raise UserError(f"{path}: {error.marked}{fix}") from None
    except (OSError, ValueError, KeyError) as error:
        reason = f"does not hold weights of {backbone.name} ({reason_of(error)})"
        raise UserError(f"{path}: {reason}; download or save it again, or give another") from None
