"""Weights that a backbone starts from."""

from __future__ import annotations

import warnings
from pathlib import Path

import keras

from keras_fcn.backbones import BACKBONES, build_backbone
from keras_fcn.errors import UserError
from keras_fcn.inference import load_model
from keras_fcn.kerashub import PRESETS, load_kerashub_preset
from keras_fcn.weight_files import KINDS, read_weight_file
from keras_fcn.weight_names import assign_tensors


def load_backbone_weights(backbone: keras.Model, weights: str) -> list[str]:
    """Loads weights into a backbone in place.

    Args:
        backbone: A model of `build_backbone`.
        weights: "none" to keep the random ones, "imagenet", the path of a `.keras` file of a trained FCN with the same
            backbone, of a `.weights.h5` file of the backbone, or of a file that `read_weight_file` reads.

    Returns:
        Names of the convolutions that a file is known not to hold, and that stay random; mostly none.

    Raises:
        UserError: If the weights cannot be had or belong to another network.
    """
    if weights == "none":
        return []
    if weights == "imagenet":
        _load_imagenet(backbone)
    elif weights.endswith(".keras"):
        _load_from_fcn(backbone, Path(weights))
    elif weights.endswith(".weights.h5"):
        _load_h5(backbone, Path(weights))
    elif Path(weights).exists():
        return _load_tensors(backbone, Path(weights))
    else:
        raise UserError(
            f"--weights takes none, imagenet, a .keras or .weights.h5 file, {KINDS}; there is no such file. "
            f"Received: {weights}"
        )
    return []


def _load_tensors(backbone: keras.Model, path: Path) -> list[str]:
    tensors = read_weight_file(path)
    try:
        return assign_tensors(backbone, tensors)
    except ValueError as error:
        raise UserError(f"{path}: {error}") from None


def _load_imagenet(backbone: keras.Model) -> None:
    if backbone.name in PRESETS:
        load_kerashub_preset(backbone)
        return
    if not BACKBONES[backbone.name].has_imagenet:
        published = ", ".join([*(name for name, entry in BACKBONES.items() if entry.has_imagenet), *PRESETS])
        raise UserError(f"--weights imagenet: none are published for {backbone.name}; they are for {published}")
    try:
        source = build_backbone(backbone.name, "imagenet")
    except Exception as error:  # keras.utils.get_file raises a bare Exception without a network
        reason = str(error).strip().splitlines()[0]
        raise UserError(
            f"--weights imagenet: the download failed ({reason}); fetch that file by hand into "
            f"{Path(keras.config.keras_home()) / 'models'}, or train from random weights with --weights none"
        ) from None
    backbone.set_weights(source.get_weights())


def _load_from_fcn(backbone: keras.Model, path: Path) -> None:
    source = load_model(path)
    if backbone.name not in [layer.name for layer in source.layers]:
        raise UserError(f"{path}: is {source.name}, without the backbone {backbone.name}; choose its --backbone")
    backbone.set_weights(source.get_layer(backbone.name).get_weights())


def _load_h5(backbone: keras.Model, path: Path) -> None:
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Keras warns of every layer before it raises
            backbone.load_weights(path)
    except (OSError, ValueError, KeyError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(f"{path}: does not hold weights of {backbone.name} ({reason})") from None
