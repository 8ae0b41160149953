"""What a network costs: parameters, multiply-accumulates, memory."""

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
    """A call of a layer, for one image.

    Attributes:
        name: The layer's name.
        path: Names of the nested models that it lies in, the outermost first.
        kind: Its class.
        shape: Of its (first) output, without the batch axis: (H, W, C) or (C,).
        parameters: Numbers in its weights; 0 where a layer is called once more.
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
        stride: Pixels of the image from one position to the next, along height and width.
        shape: (H, W, C).
        receptive_field: Height and width in pixels, borders ignored; None for the whole image.
    """

    stride: tuple[str, str]
    shape: tuple[int, ...]
    receptive_field: tuple[int, int] | None


@dataclasses.dataclass(frozen=True)
class Summary:
    """What a network costs.

    Attributes:
        name: The model's name.
        size: Height and width of the image in pixels.
        layers: Each call of a layer, in order.
        features: By name; the model's output is the last.
        trainable_parameters: Numbers in weights that training changes.
        other_parameters: Numbers in other weights: statistics of batch normalization, and frozen layers.
        macs: Multiply-accumulates for one image, of convolutions and dense layers. Products with padding count,
            biases, batch normalization, pooling and activations do not.
        weight_bytes: Memory of all weights in float32.
        peak_bytes: Most memory that tensors take at once in inference on one image. Layers run one after another, in
            Keras' order; each writes a new tensor, which lives until the last layer that takes it has run; the image
            lives as long, outputs to the end. Neither layers that work in place nor scratch memory are counted.
        peak_layer: The layer that runs at that moment.
        batch_size: Images per training step.
        kept_bytes: Memory of what a training step of `batch_size` images keeps from the forward pass because a
            gradient needs it; the loss, the weights and their gradients come on top.
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
        """Returns all of it for JSON."""
        return dataclasses.asdict(self)


def summarize(model: keras.Model, size: tuple[int, int], batch_size: int = 8) -> Summary:
    """Computes what a network costs, without running it.

    Args:
        model: A functional model of one image, such as `build_fcn` returns.
        size: Height and width of the image in pixels.
        batch_size: Images per training step, for the memory of training.

    Raises:
        ValueError: If the model is not functional, or holds a layer of an unknown kind.

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
    """Returns the multiply-accumulates of one call of a layer: each weight times the positions that it is used at.

    A convolution's kernel is used once per output position, a transposed convolution's once per input position.

    Raises:
        ValueError: If the layer is of an unknown kind.
    """
    kind, layer = kind_of(call.layer), call.layer
    if kind in ("Conv2D", "DepthwiseConv2D", "Dense"):
        return math.prod(layer.kernel.shape) * math.prod(call.outputs[0].shape[:-1])
    if kind == "Conv2DTranspose":
        return math.prod(layer.kernel.shape) * math.prod(call.inputs[0].shape[:-1])
    return 0


def peak_memory(trace: Trace) -> tuple[int, str]:
    """Returns the most bytes that are live at once in inference, and the layer that runs then; see `Summary`."""
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
    """Returns the bytes that the gradients of one image need from the forward pass; see `Summary`.

    Gradients of convolutions, batch normalization, products and maxima need the layer's inputs, those of ReLU, sigmoid
    and maxima its output, those of other activations (SiLU) what goes into them, and dropout's its mask of one byte a
    number. Upsampling by matrix products keeps each input in 16 places. A tensor that several need is kept once. What
    lies below all trained layers needs no gradient.
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
    """Returns the tensors that a layer's gradients need, and the bytes of what it keeps besides.

    Args:
        call: The call of the layer.
        is_trained: Whether the gradient of its weights is asked for.
        is_passed: Whether the gradient of its inputs is asked for.
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
    needed = inputs if is_trained else set()  # by the gradient of a kernel
    if kind == "ReLU" or activation in _GRADIENT_FROM_OUTPUT:
        return needed | outputs, 0
    if kind == "Activation":
        return inputs if activation != "linear" else set(), 0
    return needed, 0 if activation == "linear" else call.outputs[0].nbytes
