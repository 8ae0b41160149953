"""Tracing the layers of a functional model: their order and the shapes of their tensors, without data."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import keras
import numpy as np


@dataclasses.dataclass(frozen=True, eq=False)
class Tensor:
    """A tensor of one image; two are equal only if they are the same.

    Attributes:
        shape: Its shape with a batch axis of 1: [1, H, W, C] or [1, C].
        dtype: Its type, such as "float32".
    """

    shape: tuple[int, ...]
    dtype: str

    @property
    def nbytes(self) -> int:
        """The tensor's size in bytes."""
        return math.prod(self.shape) * np.dtype(self.dtype).itemsize


@dataclasses.dataclass(frozen=True)
class Call:
    """One call of a layer (or of another Keras operation).

    Attributes:
        layer: The layer, with its weights.
        path: Names of the nested models that contain it, the outermost first; empty in the model itself.
        inputs: Its input tensors.
        outputs: Its output tensors.
    """

    layer: Any
    path: tuple[str, ...]
    inputs: list[Tensor]
    outputs: list[Tensor]


@dataclasses.dataclass(frozen=True)
class Trace:
    """All calls of a model.

    Attributes:
        image: The model's input.
        calls: The calls in Keras' order; those of a nested model replace the nested model.
        outputs: The model's outputs by the names of their layers, after the outputs of nested models that return a
            dict, by its keys.
    """

    image: Tensor
    calls: list[Call]
    outputs: dict[str, Tensor]


def trace_model(model: keras.Model, size: tuple[int, int]) -> Trace:
    """Traces a model for one image, by shapes alone.

    Args:
        model: A functional or sequential model of one image [N, H, W, C]; it may contain others. It is not changed.
        size: Height and width of the image in pixels.

    Raises:
        ValueError: If it is another kind of model, or cannot process an image of that size.
    """
    inputs = getattr(model, "inputs", None)
    if not inputs or len(inputs) != 1 or len(inputs[0].shape) != 4:
        raise ValueError(f"model {model.name!r} is not a functional model of one image [N, H, W, C]")
    image = keras.Input(batch_shape=(1, *size, inputs[0].shape[-1]), dtype=inputs[0].dtype)
    tracer = _Tracer()
    outputs = tracer.follow(model, [image], ())
    named = {**tracer.features, **dict(zip(model.output_names, map(tracer.tensor, outputs)))}
    return Trace(tracer.tensor(image), tracer.calls, named)


class _Tracer:
    """Calls the layers of a model again, symbolically, and records their inputs and outputs."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.features: dict[str, Tensor] = {}
        # Holds the symbolic tensors, too: Python may reuse the id of a deleted one.
        self._tensors: dict[int, tuple[Any, Tensor]] = {}

    def tensor(self, symbolic) -> Tensor:
        if id(symbolic) not in self._tensors:
            self._tensors[id(symbolic)] = symbolic, Tensor(tuple(symbolic.shape), symbolic.dtype)
        return self._tensors[id(symbolic)][1]

    def follow(self, model: keras.Model, inputs: list, path: tuple[str, ...]) -> list:
        """Calls all layers of a model on `inputs` and returns its flattened outputs."""

        def call(layer, *args, **kwargs):
            taken = [self.tensor(x) for x in keras.tree.flatten((args, kwargs)) if isinstance(x, keras.KerasTensor)]
            outputs = layer(*args, **kwargs)
            made = keras.tree.flatten(outputs)
            if isinstance(layer, keras.Model):
                self._enter(layer, taken, made, (*path, layer.name))
                self.features |= {k: self.tensor(x) for k, x in outputs.items()} if isinstance(outputs, dict) else {}
            else:
                self.calls.append(Call(layer, path, taken, [self.tensor(x) for x in made]))
            return outputs

        flat = keras.Model(model.inputs, model.outputs)  # sequential and compiled models become plain ones
        return keras.models.clone_model(flat, inputs, clone_function=lambda layer: layer, call_function=call).outputs

    def _enter(self, model: keras.Model, taken: list[Tensor], made: list, path: tuple[str, ...]) -> None:
        """Traces a nested model, whose inputs and outputs are tensors of the outer model."""
        inputs = [keras.Input(batch_shape=tensor.shape, dtype=tensor.dtype) for tensor in taken]
        self._tensors |= {id(symbolic): (symbolic, tensor) for symbolic, tensor in zip(inputs, taken)}
        outputs = self.follow(model, inputs, path)
        self._tensors |= {id(symbolic): (symbolic, self.tensor(inner)) for symbolic, inner in zip(made, outputs)}
