"""Small networks in ONNX files, and folders like an installed onnxruntime-web."""

import json

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from keras_fcn import ClassTable
from keras_fcn.images.values.channels import Channels
from keras_fcn.inference.engines.facts import Facts

CLASSES = ClassTable.named(["background", "leaf", "stem", "root", "soil"])


def write_network(path, seed=0, size=("h", "w"), output=TensorProto.UINT8, channels=3):
    """A network of two convolutions: the second, over five channels, is one that graphics cards need filled up."""
    rng = np.random.default_rng(seed)
    kernels = [rng.normal(size=shape).astype(np.float32) for shape in ((5, channels, 1, 1), (8, 5, 2, 2), (5, 8, 1, 1))]
    steps = [
        helper.make_node("Cast", ["images"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["floats"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["planes", "kernel0"], ["mixed"]),
        helper.make_node("Conv", ["mixed", "kernel1"], ["seen"], pads=[0, 0, 1, 1]),
        helper.make_node("Conv", ["seen", "kernel2"], ["scores"]),
    ]
    if output == TensorProto.UINT8:
        steps.append(helper.make_node("ArgMax", ["scores"], ["likeliest"], axis=1, keepdims=0))
        steps.append(helper.make_node("Cast", ["likeliest"], ["classes"], to=output))
    else:
        steps.append(helper.make_node("Softmax", ["scores"], ["classes"], axis=1))
    graph = helper.make_graph(
        steps, "network",
        [helper.make_tensor_value_info("images", TensorProto.UINT8, ["n", *size, channels])],
        [helper.make_tensor_value_info("classes", output, None)],
        [numpy_helper.from_array(kernel, f"kernel{index}") for index, kernel in enumerate(kernels)],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    helper.set_model_props(model, Facts(f"plants{seed}", CLASSES, channels=Channels(str(channels))).to_texts())
    onnx.save(model, path)
    return path


def write_engine(folder, version="1.30.0"):
    """What of onnxruntime-web is copied, with other contents."""
    (folder / "dist").mkdir(parents=True)
    (folder / "package.json").write_text(json.dumps({"name": "onnxruntime-web", "version": version}))
    for kind, binary in (("wasm", "threaded.wasm"), ("webgpu", "threaded.asyncify.wasm")):
        (folder / f"dist/ort.{kind}.bundle.min.mjs").write_text(f'load("ort-wasm-simd-{binary}"); // {kind}')
        (folder / f"dist/ort-wasm-simd-{binary}").write_bytes(kind.encode())
    return folder
