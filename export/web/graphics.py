"""A network for onnxruntime-web on graphics cards."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import onnx

_MULTIPLE = 4


def for_graphics(content: bytes) -> bytes:
    """Returns an ONNX file whose convolutions onnxruntime-web computes rightly on graphics cards.

    Its WebGPU program (1.30.0) takes four channels at a time and gives wrong results for kernels of more than one pixel
    over a number of channels above four that is no multiple of four, if that of the results is one: that is the last
    upsampling of most networks, over a channel for each class. Here such channels are filled up with zeros.
    """
    import onnx
    from onnx import helper, numpy_helper

    model, is_changed = onnx.load_from_string(content), False
    kernels = {tensor.name: tensor for tensor in model.graph.initializer}
    for position, node in reversed([*enumerate(model.graph.node)]):
        if node.op_type != "Conv" or node.input[1] not in kernels or _group(node) != 1:
            continue
        kernel = numpy_helper.to_array(kernels[node.input[1]])  # [out, in, height, width]
        missing = -kernel.shape[1] % _MULTIPLE
        if missing == 0 or kernel.shape[1] < _MULTIPLE or kernel.shape[2:] == (1, 1):
            continue
        name = f"{node.output[0]}_filled"
        is_changed = True
        filled = np.pad(kernel, [(0, 0), (0, missing), (0, 0), (0, 0)])
        pads = np.array([0, 0, 0, 0, 0, missing, 0, 0], np.int64)
        added = [numpy_helper.from_array(filled, f"{name}_kernel"), numpy_helper.from_array(pads, f"{name}_pads")]
        model.graph.initializer.extend(added)
        model.graph.node.insert(position, helper.make_node("Pad", [node.input[0], added[1].name], [name]))
        node.input[0], node.input[1] = name, added[0].name
    if not is_changed:
        return content
    used = {name for node in model.graph.node for name in node.input}
    for tensor in [tensor for tensor in model.graph.initializer if tensor.name not in used]:
        model.graph.initializer.remove(tensor)
    return model.SerializeToString()


def _group(node: onnx.NodeProto) -> int:
    return next((entry.i for entry in node.attribute if entry.name == "group"), 1)
