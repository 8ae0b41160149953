#!/usr/bin/env bash
# ONNX Runtime 1.32.0: Softmax over the channels of [N, C, H, W] takes many times as long as over those of [N, H, W, C].
#
# Guess: the same exponentials of the same values take about as long along either axis; frameworks differ by tens of percent.
# Seen: along any axis but the last, the operator transposes there and back with single values: for 21 classes of 320x480 that
# takes 7 times the processor time on a busy machine and 19 times on a quiet one, for 150 classes 9 and 65 times. Five
# operations that do the same (ReduceMax, Sub, Exp, a sum, Div) along the same axis take a fifth to two fifths of it.
# Who is hurt: every segmentation network that PyTorch exports with `softmax(dim=1)`: the last operation takes longer than a small
# backbone. Cure: Transpose before Softmax, or the five operations, or to let the caller do it for the pixels that need it.
set -euo pipefail
folder=$(mktemp -d) && trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check onnxruntime==1.32.0 onnx==1.22.0 numpy==2.4.6
cd "$folder" && venv/bin/python - <<'PYTHON'
import time

import numpy as np
import onnxruntime
from onnx import TensorProto, helper

BY_HAND = [
    helper.make_node("ReduceMax", ["x"], ["most"], axes=[1]),
    helper.make_node("Sub", ["x", "most"], ["less"]),
    helper.make_node("Exp", ["less"], ["raised"]),
    helper.make_node("ReduceL1", ["raised"], ["sum"], axes=[1]),
    helper.make_node("Div", ["raised", "sum"], ["y"]),
]


def runner(nodes, logits):
    """Returns a function that computes nodes on one thread, and returns the result and the seconds of processor time."""
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, logits.shape) for name in ("x", "y")]
    graph = helper.make_graph(nodes, "softmax", ends[:1], ends[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options)

    def run():
        start = time.process_time()
        (result,) = session.run(None, {"x": logits})
        return result, time.process_time() - start

    return run


for classes in (21, 150):
    logits = np.random.default_rng(0).normal(size=(1, classes, 320, 480)).astype(np.float32)
    last = np.ascontiguousarray(logits.transpose(0, 2, 3, 1))
    runs = {
        "channels": runner([helper.make_node("Softmax", ["x"], ["y"], axis=1)], logits),
        "last": runner([helper.make_node("Softmax", ["x"], ["y"], axis=3)], last),
        "by hand": runner(BY_HAND, logits),
    }
    rounds = [{name: run() for name, run in runs.items()} for _ in range(5)]  # in turn, as the machine may be busy
    results = {name: result for name, (result, _) in rounds[0].items()}
    assert np.allclose(results["channels"], results["last"].transpose(0, 3, 1, 2), atol=1e-6)
    assert np.allclose(results["channels"], results["by hand"], atol=1e-6)
    seconds = {name: np.median([each[name][1] for each in rounds]) for name in runs}
    times = ", ".join(f"{name} {1000 * value:.1f} ms" for name, value in seconds.items())
    print(f"onnxruntime {onnxruntime.__version__}, {classes} classes of 320x480, one thread: {times}")
    assert seconds["channels"] > 3 * seconds["last"], "this has changed"
PYTHON
