"""Exported files without a network: an ONNX graph of a few operations, made without TensorFlow."""

import json
from pathlib import Path

NAMES = ("floor", "red", "green", "blue")
COLORS = [[0, 0, 0], [200, 0, 0], [0, 200, 0], [0, 0, 200]]


def write_onnx(path, batch=None, size=(None, None), texts=(), both=False):
    """Writes a file whose class ids are those of `ids_of`, as `python -m export.onnx` describes them."""
    import onnx
    from onnx import TensorProto, helper

    shape = [batch, *size, 3]
    images = helper.make_tensor_value_info("images", TensorProto.UINT8, shape)
    classes = helper.make_tensor_value_info("classes", TensorProto.UINT8, shape[:3])
    constants = [
        helper.make_tensor("first", TensorProto.INT64, [], [0]),
        helper.make_tensor("64", TensorProto.UINT8, [], [64]),
        helper.make_tensor("last", TensorProto.INT64, [1], [3]),
        helper.make_tensor("ids", TensorProto.INT64, [len(NAMES)], range(len(NAMES))),
    ]
    nodes = [
        helper.make_node("Gather", ["images", "first"], ["red"], axis=3),
        helper.make_node("Div", ["red", "64"], ["classes"]),
    ]
    outputs = [classes]
    if both:
        nodes += [
            helper.make_node("Cast", ["classes"], ["numbers"], to=TensorProto.INT64),
            helper.make_node("Unsqueeze", ["numbers", "last"], ["columns"]),
            helper.make_node("Equal", ["columns", "ids"], ["is_id"]),
            helper.make_node("Cast", ["is_id"], ["probabilities"], to=TensorProto.FLOAT),
        ]
        outputs.append(helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [*shape[:3], len(NAMES)]))
    graph = helper.make_graph(nodes, "graph", [images], outputs, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    facts = {"class_names": json.dumps(NAMES), "class_colors": json.dumps(COLORS), "model_name": "red", **dict(texts)}
    onnx.helper.set_model_props(model, facts)
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(model.SerializeToString())
    return path


def ids_of(image):
    """The class ids of an image uint8 [H, W, 3], as the file computes them: the red of 256 in four steps."""
    return image[..., 0] // 64
