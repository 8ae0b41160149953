"""What does not depend on the images is computed once, when a network is exported; the rest becomes its graph.

TensorFlow does that itself with a network whose weights are constants, whenever it is loaded, and each of its steps
keeps copies of them: some twenty-five times their size in all. Variables are held once, but for every image TensorFlow
computes anew what follows from them alone. So that is done here, and its results are the variables.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

import tensorflow as tf

Node: TypeAlias = Any
"""An operation of a graph: `tf.compat.v1.NodeDef`."""

_CONVOLUTIONS = ("Conv2D", "DepthwiseConv2dNative")

_MOST_CONSTANT_BYTES = 1 << 14
"""The largest constant of the graph; what is larger becomes a variable. Only constants are fused as biases."""

_FEW_CHANNELS = 4
"""The most channels that a convolution scales and shifts faster than two operations that broadcast along them."""


def folded(network: tf.types.experimental.ConcreteFunction) -> tuple[Callable[[tf.Tensor], tf.Tensor], list]:
    """Returns a function that computes what another does, and the variables that it reads, which have to be kept.

    Batch normalization behind a convolution becomes part of its kernel and a bias, and what scales and shifts the
    channels of an image a convolution.

    Args:
        network: A function of images uint8 [N, H, W, 3] with one result, without side effects.
    """
    graph = _Graph(network)
    graph.fold()
    return graph.function()


class _Graph:
    """The operations of a network that depend on its input, and the values of the other tensors that they take.

    Args:
        network: The function.
    """

    def __init__(self, network: tf.types.experimental.ConcreteFunction) -> None:
        self._traced, self._input, (result,) = network.graph, network.inputs[0].name, network.outputs
        self._definition = network.graph.as_graph_def()
        captured = {placeholder.name: tensor for tensor, placeholder in network.graph.captures}
        fixed: set[str] = set()
        for node in self._definition.node:  # those whose results a node takes come before it
            node.input[:] = [name for name in node.input if name[0] != "^"]  # an order, for side effects
            node.attr.pop("_gradient_op_type", None)  # of swish; it is not saved, and loading would warn of that
            is_source = node.op == "Const" or f"{node.name}:0" in captured
            if is_source or (node.input and all(_node(name) in fixed for name in node.input)):
                fixed.add(node.name)
        sources = [node for node in self._definition.node if node.name in fixed]
        self._nodes, self._result = [node for node in self._definition.node if node.name not in fixed], result.name
        names = sorted({name for node in self._nodes for name in node.input if _node(name) in fixed})

        @tf.function(autograph=False)
        def values() -> list[tf.Tensor]:
            return self._imported(sources, {name: tf.identity(tensor) for name, tensor in captured.items()}, names)

        self._values = dict(zip(names, values()))

    def _imported(self, nodes: Iterable[Node], tensors: Mapping[str, tf.Tensor], names: list[str]) -> list[tf.Tensor]:
        """Adds nodes to the current graph and returns tensors of theirs; takes some that they need from outside."""
        library, versions = self._definition.library, self._definition.versions
        part = tf.compat.v1.GraphDef(node=nodes, library=library, versions=versions)
        outside = {_tensor(name): tensor for name, tensor in tensors.items()}
        return tf.graph_util.import_graph_def(part, outside, [_tensor(name) for name in names], name="network")

    def fold(self) -> None:
        """Scales kernels instead of what they give, and scales and shifts few channels by a convolution."""
        nodes = {node.name: node for node in self._nodes}
        takers = Counter(_node(name) for node in self._nodes for name in node.input)
        gone: dict[str, str] = {}  # and which nodes stand for them
        for node in self._nodes:
            node.input[:] = [gone.get(name, name) for name in node.input]
            if node.op not in ("Mul", "AddV2") or sum(name in self._values for name in node.input) != 1:
                continue
            node.input[:] = sorted(node.input, key=lambda name: name in self._values)  # the value is the second
            before = nodes.get(node.input[0])
            if before is None or takers[before.name] > 1:
                continue
            if node.op == "Mul" and before.op in _CONVOLUTIONS and self._scale_kernel(before, node):
                gone[node.name], takers[before.name] = before.name, takers[node.name]
            elif node.op == "AddV2" and before.op == "Mul":
                self._convolve_channels(before, node)
        self._nodes = [node for node in self._nodes if node.name not in gone]
        self._result = gone.get(_node(self._result), self._result)

    def _scale_kernel(self, convolution: Node, product: Node) -> bool:
        """Multiplies a kernel by scales of what its channels give; returns False if they are not that."""
        kernel, scales = (self._values.get(node.input[1]) for node in (convolution, product))
        if kernel is None or convolution.attr["data_format"].s != b"NHWC":
            return False
        # [height, width, C in, C out], or [height, width, C in, multiplier] of a depthwise one
        shape = kernel.shape[3:] if convolution.op == "Conv2D" else kernel.shape[2:]
        if not _is_along_channels(scales, shape.num_elements()):
            return False
        convolution.input[1] = f"{convolution.name}/scaled"  # another may take the kernel as it is
        self._values[convolution.input[1]] = kernel * tf.reshape(scales, shape)
        return True

    def _convolve_channels(self, product: Node, total: Node) -> None:
        """Makes a 1 x 1 convolution with bias of a product and a sum, if they scale and shift few channels."""
        scales, shifts = (self._values.get(node.input[1]) for node in (product, total))
        shape = self._traced.get_tensor_by_name(_tensor(product.name)).shape
        channels = shape[3] if shape.rank == 4 else None
        if scales is None or channels is None or not 1 < channels <= _FEW_CHANNELS:
            return
        if not all(_is_along_channels(value, channels) for value in (scales, shifts)):
            return
        product.op, product.input[1] = "Conv2D", f"{product.name}/kernel"
        product.attr["strides"].list.i[:], product.attr["padding"].s = [1, 1, 1, 1], b"VALID"
        total.op, total.input[1] = "BiasAdd", f"{total.name}/bias"
        self._values[product.input[1]] = tf.linalg.diag(tf.reshape(scales, [-1]))[None, None]
        self._values[total.input[1]] = tf.reshape(shifts, [-1])

    def function(self) -> tuple[Callable[[tf.Tensor], tf.Tensor], list[tf.Variable]]:
        """Returns the network, and its variables."""
        used = {name for node in self._nodes for name in node.input}
        values = {name: value for name, value in self._values.items() if name in used}
        large = [name for name, v in values.items() if v.shape.num_elements() * v.dtype.size > _MOST_CONSTANT_BYTES]
        variables = {name: tf.Variable(values[name], trainable=False, name=_node(name)) for name in large}
        constants = {name: value.numpy() for name, value in values.items() if name not in variables}

        shape = self._traced.get_tensor_by_name(_tensor(self._input)).shape

        @tf.function(input_signature=[tf.TensorSpec(shape, tf.uint8, "images")], autograph=False)
        def network(images: tf.Tensor) -> tf.Tensor:
            read = {name: variable.read_value() for name, variable in variables.items()}
            written = {name: tf.constant(value) for name, value in constants.items()}
            return self._imported(self._nodes, {self._input: images, **read, **written}, [self._result])[0]

        return network, list(variables.values())


def _is_along_channels(value: tf.Tensor, channels: int) -> bool:
    """Returns whether a tensor is one float for each channel, as [C] or [1, 1, 1, C]."""
    return value.dtype == tf.float32 and value.shape[-1:].as_list() == [channels] == [value.shape.num_elements()]


def _node(name: str) -> str:
    """Returns the name of the node that an input comes from."""
    return name.split(":")[0]


def _tensor(name: str) -> str:
    """Returns the name of the tensor that an input is."""
    return name if ":" in name else f"{name}:0"
