#!/usr/bin/env bash
# ONNX Runtime 1.32.0: `run` computes every output of a model, also those that are not asked for.
#
# Guess: `session.run(["ids"], ...)` computes what ids depend on; a session skips the branch of another output, as
# TensorFlow does with a fetch and OpenVINO with a cut model.
# Seen: the profile lists the nodes of the branch that nobody asked for, in every run; its values are thrown away.
# Who is hurt: files with class ids and probabilities take the time of both for the ids alone. Remedy: one file for each, or
# the subgraph of what is asked for, cut before the session is made (`onnx.utils.extract_model`).
set -euo pipefail
folder=$(mktemp -d) && trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check onnxruntime==1.32.0 onnx==1.22.0 numpy==2.4.6
cd "$folder" && venv/bin/python - <<'PYTHON'
import json

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper

nodes = [
    helper.make_node("Softmax", ["logits"], ["softened"], "softmax_of_probabilities", axis=1),
    helper.make_node("Mul", ["softened", "softened"], ["probabilities"], "square_of_probabilities"),
    helper.make_node("ArgMax", ["logits"], ["ids"], "argmax_of_ids", axis=1, keepdims=0),
]
shape = [1, 3, 8, 8]
outputs = [
    helper.make_tensor_value_info("ids", TensorProto.INT64, [1, 8, 8]),
    helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, shape),
]
graph = helper.make_graph(nodes, "two", [helper.make_tensor_value_info("logits", TensorProto.FLOAT, shape)], outputs)
onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), "two.onnx")
onnx.utils.extract_model("two.onnx", "ids.onnx", ["logits"], ["ids"])
logits = np.random.default_rng(0).normal(size=shape).astype(np.float32)


def computed(path):
    """Returns the names of the nodes that a run for the ids alone computed."""
    options = onnxruntime.SessionOptions()
    options.enable_profiling = True
    session = onnxruntime.InferenceSession(path, options)
    (ids,) = session.run(["ids"], {"logits": logits})
    assert (ids == logits.argmax(1)).all()
    events = json.load(open(session.end_profiling()))
    return sorted({event["name"].rpartition("_kernel_time")[0] for event in events} & {node.name for node in nodes})


whole, cut = computed("two.onnx"), computed("ids.onnx")
print(f"onnxruntime {onnxruntime.__version__}, asked for ids: computed {', '.join(whole)}")
print(f"the same, cut before: computed {', '.join(cut)}")
assert "square_of_probabilities" in whole and cut == ["argmax_of_ids"], "this has changed"
PYTHON
