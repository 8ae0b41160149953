#!/usr/bin/env bash
# onnx 1.22.0, ONNX Runtime 1.32.0, OpenVINO 2026.4.1: a model given as bytes takes its weights from the working folder.
#
# Guess: where weights lie in a file beside the model (`model.onnx.data`), bytes of the model alone are an error, as they do not
# say where that was; or `onnx.load(path, load_external_data=False)` remembers it.
# Seen: all look for a file of that name in the working folder and compute with what it holds. ONNX Runtime and OpenVINO do so
# for bytes, onnx for a model loaded without its weights as soon as one is asked for. Given a path, each takes the right file.
# Who is hurt: exporters name the file after the model, so every export of one network has the same name and sizes: a server
# that reads models from a store as bytes answers with the weights of whatever export lies where it was started.
set -euo pipefail
folder=$(mktemp -d) && trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
    onnx==1.22.0 onnxruntime==1.32.0 openvino==2026.4.1 numpy==2.4.6
cd "$folder" && venv/bin/python - <<'PYTHON'
import os
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import openvino
from onnx import TensorProto, helper, numpy_helper

ONES = np.ones((1, 256), np.float32)


def write(name, weight):
    """Writes a model whose output is its weight, and its weights beside it."""
    weights = numpy_helper.from_array(np.full((256, 256), weight / 256, np.float32), "weights")
    ends = [helper.make_tensor_value_info(end, TensorProto.FLOAT, [1, 256]) for end in ("x", "y")]
    graph = helper.make_graph([helper.make_node("MatMul", ["x", "weights"], ["y"])], "net", ends[:1], ends[1:], [weights])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    Path(name).mkdir()
    onnx.save(model, f"{name}/model.onnx", save_as_external_data=True, location="model.onnx.data", size_threshold=0)


def by_runtime(model):
    return float(onnxruntime.InferenceSession(model).run(None, {"x": ONES})[0][0, 0])


def by_openvino(model):
    return float(openvino.compile_model(openvino.Core().read_model(model), "CPU")(ONES)[0][0, 0])


write("old", 1.0), write("new", 2.0)
os.chdir("old")
path = "../new/model.onnx"
versions = f"onnxruntime {onnxruntime.__version__}", f"openvino {openvino.__version__.partition('-')[0]}"
for name, compute in zip(versions, (by_runtime, by_openvino)):
    results = compute(path), compute(Path(path).read_bytes())
    print(f"{name}, in the folder of the model of ones: that of twos by its path {results[0]:g}, as bytes {results[1]:g}")
    assert results == (2, 1), "this has changed"
[weights] = onnx.load(path, load_external_data=False).graph.initializer
found = float(numpy_helper.to_array(weights)[0, 0] * 256)
print(f"onnx {onnx.__version__}, the same loaded without weights, which are then asked for: {found:g}")
assert found == 1, "this has changed"
PYTHON
