"""The parts of a network of `build_fcn`; no other module knows layer names."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

import keras
import numpy as np

from keras_fcn.images.classes import ClassTable
from keras_fcn.images.values.channels import Channels
from keras_fcn.network.layers import Logits
from keras_fcn.runs.names import NETWORKS

_TAKEN_BY = {
    "P5": ("score_fr", "head_conv", "aspp1_conv"),
    "P4": ("score_pool4",),
    "P3": ("score_pool3", "score_low"),
    "P2": ("score_pool2",),
}
"""Layers that may be the first to take a feature, by level."""

_UPSCORES = ("upscore32", "upscore16", "upscore8", "upscore4")
_AUXILIARY = "auxiliary"


class Parts:
    """Gives access to the parts of a network by attributes.

    For layers that several networks share, such as those of `with_input_scale`, inputs and outputs are those of the
    first network.

    Args:
        model: A network of `build_fcn`, with or without an auxiliary head.

    Attributes:
        logits: The last layer, with the class table and the input scale.

    Raises:
        ValueError: If the model has no `Logits` layer, so is not one of `build_fcn`.
    """

    def __init__(self, model: keras.Model) -> None:
        self._model, self._layers = model, {layer.name: layer for layer in model.layers}
        found = [layer for layer in model.layers if isinstance(layer, Logits)]
        if not found:
            raise ValueError(f"model {model.name!r} was not built by keras_fcn.build_fcn: it has no Logits layer")
        self.logits = self._layers.get("logits", found[-1])

    @property
    def network(self) -> str:
        """The name of the network without its backbone, such as "fcn8s"."""
        if "head_conv" in self._layers:
            kinds = {"aspp1_conv": "deeplabv3", "score_low": "lraspp"}
            return next((name for layer, name in kinds.items() if layer in self._layers), "fcn")
        skips = sum(name in self._layers for name in ("score_pool4", "score_pool3", "score_pool2"))
        return tuple(NETWORKS)[skips]

    @property
    def output_stride(self) -> int:
        """The greatest stride of the backbone."""
        return 256 // self.backbone.compute_output_shape((1, 256, 256, self.channels.count))["P5"][1]

    @property
    def channels(self) -> Channels:
        """The channels of images."""
        return Channels(self.logits.channels)

    @cached_property
    def backbone(self) -> keras.Model:
        """The model from normalized images to a dict of the features P3, P4 and P5, of FCN-4s P2, too."""
        return next(layer for layer in self._model.layers if isinstance(layer, keras.Model))

    @property
    def has_depthwise(self) -> bool:
        """Returns whether the backbone has depthwise convolutions."""
        return any(isinstance(layer, keras.layers.DepthwiseConv2D) for layer in self.backbone.layers)

    @cached_property
    def heads(self) -> list[keras.layers.Layer]:
        """The layers that upsample scores to the padded image; that of an auxiliary head is the last."""
        names = (*_UPSCORES, f"{_AUXILIARY}_upscore")
        return [self._layers[name] for name in names if name in self._layers]

    @cached_property
    def levels(self) -> dict[str, keras.KerasTensor]:
        """The features that the heads use, by level, from P5 on."""
        backbone = self.backbone
        takers = {
            level: self._layers[name]
            for level, names in _TAKEN_BY.items()
            for name in names
            if name in self._layers and self._layers[name].input._keras_history.operation is backbone
        }
        if f"{_AUXILIARY}_conv" in self._layers:
            takers.setdefault("P4", self._layers[f"{_AUXILIARY}_conv"])
        return {level: layer.input for level, layer in takers.items()}

    @property
    def decoder(self) -> dict[str, keras.layers.Layer]:
        """The layers with weights after the backbone, by name."""
        return {name: layer for name, layer in self._layers.items() if layer.weights and layer is not self.backbone}

    def normalize(self, image, channels_first: bool = False):
        """Returns the backbone's input for images.

        Args:
            image: [N, H, W, channels], RGB, values 0-255.
            channels_first: Whether channels are moved before the pixels while they are scaled and shifted, and back:
                programs that compute in that order do it faster so, and leave out the moves.

        Returns:
            Normalized images [N, H', W', channels], padded to H' and W' that are multiples of 32.
        """
        scaling = self._layers["normalization"]
        if not channels_first:
            return self._layers["pad"](scaling(image))
        scale, shift = (np.reshape(values, (-1, 1, 1)).astype("float32") for values in (scaling.scale, scaling.offset))
        moved = keras.ops.transpose(image, (0, 3, 1, 2)) * scale + shift
        return self._layers["pad"](keras.ops.transpose(moved, (0, 2, 3, 1)))

    def features(self, image):
        """Returns the backbone's features in inference, {"P3", "P4", "P5"}, of images [N, H, W, channels], 0-255."""
        return self.backbone(self.normalize(image), training=False)

    def scorer(self, start: str = "image") -> keras.Model:
        """Returns the part of the network before its scores are upsampled to the image, with the same layers.

        Args:
            start: "image", "normalized" for the result of `normalize`, or "features" for a list of those of `levels`.

        Returns:
            A model from there to the inputs of `heads`.
        """
        inputs = {
            "image": lambda: self._model.input,
            "normalized": lambda: self._layers["pad"].output,
            "features": lambda: list(self.levels.values()),
        }
        return keras.Model(inputs[start](), [head.input for head in self.heads], name="scorer")


def class_table(model: keras.Model) -> ClassTable:
    """Returns the class names and colours in a model of `build_fcn`.

    Raises:
        ValueError: If the model has no `Logits` layer, so is not one of `build_fcn`.
    """
    return Parts(model).logits.classes


def flat_layers(model: keras.Model) -> Iterator[keras.layers.Layer]:
    """Yields the layers of a model, including those of nested models."""
    for layer in model.layers:
        yield from flat_layers(layer) if isinstance(layer, keras.Model) else (layer,)
