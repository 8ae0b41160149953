#!/usr/bin/env bash
# OpenVINO 2026.4.1: ONNX's Resize with antialias=1 is computed without it, and so is exclude_outside of cubic.
#
# Guess: an attribute that a program does not support is an error; half_pixel_symmetric, for one, is.
# Seen: `read_model` takes the file, and shrinks as if antialias were 0: it picks single pixels of a picture where ONNX Runtime
# and onnx's reference average. Of stripes of one pixel, a grey area becomes black ones and white ones.
# Who is hurt: networks that shrink photos in the file, as Pillow and torchvision do: they see another picture in OpenVINO, of
# which thin things are gone, and only the accuracy tells. Enlarging, and Resize without antialias, agree.
set -euo pipefail
folder=$(mktemp -d) && trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
    onnx==1.22.0 onnxruntime==1.32.0 openvino==2026.4.1 numpy==2.4.6
cd "$folder" && venv/bin/python -W ignore - <<'PYTHON'
import numpy as np
import onnx
import onnxruntime
import openvino
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

stripes = np.zeros((1, 1, 96, 96), np.float32)
stripes[..., ::2] = 255
noise = np.random.default_rng(0).uniform(0, 255, (1, 1, 96, 96)).astype(np.float32)


def resize(size, **attributes):
    """Returns a model that resizes to a size with these attributes."""
    image = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 1, 96, 96])
    node = helper.make_node("Resize", ["x", "", "", "sizes"], ["y"], **attributes)
    sizes = numpy_helper.from_array(np.array([1, 1, size, size]), "sizes")
    result = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 1, size, size])
    return helper.make_model(
        helper.make_graph([node], "resize", [image], [result], [sizes]),
        opset_imports=[helper.make_opsetid("", 18)],
        ir_version=9,
    ).SerializeToString()


def computed(model, image):
    """Returns what ONNX's reference, ONNX Runtime and OpenVINO compute."""
    # float32 also on a processor that OpenVINO would compute in bfloat16 on.
    network = openvino.compile_model(openvino.Core().read_model(model), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    session = onnxruntime.InferenceSession(model)
    (reference,) = ReferenceEvaluator(onnx.load_from_string(model)).run(None, {"x": image})
    return reference, session.run(None, {"x": image})[0], network(image)[0]


cases = [
    (24, True, {"mode": "linear", "antialias": 1}),
    (24, True, {"mode": "cubic", "antialias": 1}),
    (200, True, {"mode": "cubic", "exclude_outside": 1}),
    (24, False, {"mode": "linear"}),
    (200, False, {"mode": "linear", "antialias": 1}),
]
for size, differs, attributes in cases:
    reference, runtime, vino = computed(resize(size, **attributes), noise)
    name = " ".join(f"{key}={value}" for key, value in attributes.items())
    print(f"96 to {size}, {name}: onnxruntime {onnxruntime.__version__} is off by {np.abs(runtime - reference).max():.2f}, "
          f"openvino {openvino.__version__.partition('-')[0]} by {np.abs(vino - reference).max():.2f}")
    assert np.abs(runtime - reference).max() < 0.1
    assert (np.abs(vino - reference).max() > 1) == differs, "this has changed"
_, runtime, vino = computed(resize(36, mode="linear", antialias=1), stripes)
print(f"stripes of 0 and 255, 96 to 36: onnxruntime {runtime.min():.0f} to {runtime.max():.0f}, "
      f"openvino {vino.min():.0f} to {vino.max():.0f}")
PYTHON
