"""The cost of a network: parameters, multiply-accumulates, memory."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter

import keras

from keras_fcn.network.cost.receptive_field import kind_of, receptive_fields
from keras_fcn.network.cost.trace import Call, Tensor, Trace, trace_model
from keras_fcn.network.upscore import Upscore


@dataclasses.dataclass(frozen=True)
class LayerCost:
    """The cost of one call of a layer for one image.

    Attributes:
        name: The layer's name.
        path: Names of the nested models that contain it, the outermost first.
        kind: The name of its class.
        shape: Shape of its first output, without the batch axis: (H, W, C) or (C,).
        parameters: Number of its parameters; 0 if an earlier call has them.
        macs: Its multiply-accumulates.
    """

    name: str
    path: tuple[str, ...]
    kind: str
    shape: tuple[int, ...]
    parameters: int
    macs: int


@dataclasses.dataclass(frozen=True)
class Feature:
    """A feature of a backbone, or the logits.

    Attributes:
        stride: Image pixels per position, along height and width.
        shape: (H, W, C).
        receptive_field: Height and width in pixels, without borders; None for the whole image.
    """

    stride: tuple[str, str]
    shape: tuple[int, ...]
    receptive_field: tuple[int, int] | None


@dataclasses.dataclass(frozen=True)
class Summary:
    """The cost of a network.

    Attributes:
        name: The model's name.
        size: Height and width of the image in pixels.
        layers: All calls of layers, in order.
        features: Features by name; the model's output is the last.
        trainable_parameters: Number of trainable parameters.
        other_parameters: Number of other parameters: statistics of batch normalization, and frozen layers.
        macs: Multiply-accumulates of convolutions and dense layers for one image. Products with padding count; biases,
            batch normalization, pooling and activations do not.
        weight_bytes: Memory of all weights in float32.
        peak_bytes: Peak memory of the tensors in inference on one image. Layers run one after another, in Keras' order;
            each writes a new tensor, which is freed after the last layer that uses it. So is the image; outputs are
            never freed. In-place layers and scratch memory are not modelled.
        peak_layer: The layer that runs at the peak.
        batch_size: Images per training step.
        kept_bytes: Memory of the activations that a training step of `batch_size` images keeps for the gradients; the
            loss, the weights and their gradients are not included.
    """

    name: str
    size: tuple[int, int]
    layers: list[LayerCost]
    features: dict[str, Feature]
    trainable_parameters: int
    other_parameters: int
    macs: int
    weight_bytes: int
    peak_bytes: int
    peak_layer: str
    batch_size: int
    kept_bytes: int

    def to_dict(self) -> dict:
        """Returns all attributes for JSON."""
        return dataclasses.asdict(self)


def summarize(model: keras.Model, size: tuple[int, int], batch_size: int = 8) -> Summary:
    """Computes the cost of a network without running it.

    Args:
        model: A functional model of one image, such as `build_fcn` returns.
        size: Height and width of the image in pixels.
        batch_size: Images per training step, for the memory of training.

    Raises:
        ValueError: If the model is not functional, or contains a layer of an unknown class.

    Examples:
        >>> summarize(build_fcn("fcn32s", "resnet18_v2", num_classes=21), (320, 480)).macs
        5824281600
    """
    trace = trace_model(model, size)
    layers = _layer_costs(trace)
    peak_bytes, peak_layer = peak_memory(trace)
    trainable = sum(math.prod(weight.shape) for weight in model.trainable_weights)
    return Summary(
        name=model.name,
        size=size,
        layers=layers,
        features=_features(trace),
        trainable_parameters=trainable,
        other_parameters=model.count_params() - trainable,
        macs=sum(layer.macs for layer in layers),
        weight_bytes=4 * model.count_params(),
        peak_bytes=peak_bytes,
        peak_layer=peak_layer,
        batch_size=batch_size,
        kept_bytes=batch_size * kept_memory(trace),
    )


def _layer_costs(trace: Trace) -> list[LayerCost]:
    costs, counted = [], set()
    for call in trace.calls:
        layer, shape = call.layer, call.outputs[0].shape[1:]
        weights = [] if id(layer) in counted else getattr(layer, "weights", [])
        counted.add(id(layer))
        parameters = sum(math.prod(weight.shape) for weight in weights)
        costs.append(LayerCost(layer.name, call.path, type(layer).__name__, shape, parameters, macs(call)))
    return costs


def _features(trace: Trace) -> dict[str, Feature]:
    fields, features = receptive_fields(trace), {}
    for name, tensor in trace.outputs.items():
        windows = fields[tensor]
        height, width = (axis.size for axis in windows)
        seen = None if height is None or width is None else (height, width)
        stride = (str(windows[0].stride or "-"), str(windows[1].stride or "-"))
        features[name] = Feature(stride, tensor.shape[1:], seen)
    return features


def macs(call: Call) -> int:
    """Returns the multiply-accumulates of one call of a layer: the kernel's size times the number of its uses.

    A convolution's kernel is used once per output position, a transposed convolution's once per input position.

    Raises:
        ValueError: If the layer is of an unknown class.
    """
    kind, layer = kind_of(call.layer), call.layer
    if kind in ("Conv2D", "DepthwiseConv2D", "Dense"):
        return math.prod(layer.kernel.shape) * math.prod(call.outputs[0].shape[:-1])
    if kind == "Conv2DTranspose":
        return math.prod(layer.kernel.shape) * math.prod(call.inputs[0].shape[:-1])
    return 0


def peak_memory(trace: Trace) -> tuple[int, str]:
    """Returns the peak memory in inference in bytes, and the layer that runs then; see `Summary`."""
    waiting = Counter(tensor for call in trace.calls for tensor in set(call.inputs))
    waiting.update(trace.outputs.values())
    live, peak = {trace.image}, (trace.image.nbytes, "")
    for call in trace.calls:
        live |= set(call.outputs)
        peak = max(peak, (sum(tensor.nbytes for tensor in live), call.layer.name), key=lambda moment: moment[0])
        waiting.subtract(set(call.inputs))
        live = {tensor for tensor in live if waiting[tensor] > 0}
    return peak


_GRADIENT_FROM_OUTPUT = frozenset(("relu", "relu6", "sigmoid", "softmax", "tanh"))


def kept_memory(trace: Trace) -> int:
    """Returns the bytes of activations that the gradients of one image need; see `Summary`.

    Gradients of convolutions, batch normalization, products and maxima need the layer's inputs, those of ReLU, sigmoid
    and maxima its output, those of other activations (SiLU) their inputs, and dropout's its mask of one byte per
    element. Upsampling by matrix products keeps each input 16 times. A tensor that several need is kept once. Layers
    before all trained layers need no gradient.
    """
    kept: set[Tensor] = set()
    reached: set[Tensor] = set()  # tensors that depend on trained weights
    extra = 0
    for call in trace.calls:
        is_trained, is_passed = bool(getattr(call.layer, "trainable_weights", ())), not reached.isdisjoint(call.inputs)
        if is_trained or is_passed:
            reached |= set(call.outputs)
            tensors, masks = _needed_by_gradient(call, is_trained, is_passed)
            kept |= tensors
            extra += masks
    return extra + sum(tensor.nbytes for tensor in kept)


def _needed_by_gradient(call: Call, is_trained: bool, is_passed: bool) -> tuple[set[Tensor], int]:
    """Returns the tensors that a layer's gradients need, and the bytes of other data that it keeps.

    Args:
        call: The call of the layer.
        is_trained: Whether the gradient of its weights is computed.
        is_passed: Whether the gradient of its inputs is computed.
    """
    kind, inputs, outputs = kind_of(call.layer), set(call.inputs), set(call.outputs)
    if kind == "BatchNormalization":  # a frozen one is a constant scale
        return inputs if call.layer.trainable else set(), 0
    if kind == "Dropout":
        return set(), math.prod(call.outputs[0].shape) if call.layer.noise_shape is None else 0
    if kind in ("Multiply", "MaxPooling2D"):
        return inputs if kind == "Multiply" else inputs | outputs, 0
    if isinstance(call.layer, Upscore) and call.layer.uses_products:
        return set(), 16 * sum(tensor.nbytes for tensor in inputs) if is_trained else 0
    activation = getattr(getattr(call.layer, "activation", None), "__name__", "linear")
    needed = inputs if is_trained else set()  # for the gradient of a kernel
    if kind == "ReLU" or activation in _GRADIENT_FROM_OUTPUT:
        return needed | outputs, 0
    if kind == "Activation":
        return inputs if activation != "linear" else set(), 0
    return needed, 0 if activation == "linear" else call.outputs[0].nbytes
