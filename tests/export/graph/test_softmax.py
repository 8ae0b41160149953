"""Softmax of ONNX files, rewritten: the values of NumPy, by operations that are fast."""

import numpy as np
import pytest

from export.formats.graph.softmax import hasten_softmax
from keras_fcn.inference.arrays import softmax_at

onnx = pytest.importorskip("onnx", reason="pip install -r requirements-formats.txt")
onnxruntime = pytest.importorskip("onnxruntime", reason="pip install -r requirements-formats.txt")

DEFINITION = ["ReduceMax", "Sub", "Exp", "ReduceSum", "Div"]
TO_THE_END = ("Transpose", [0, 2, 3, 1])


@pytest.mark.parametrize(
    ("axis", "after", "kept", "expected"),
    [
        (1, TO_THE_END, (), ["Transpose", "Softmax"]),
        (-3, TO_THE_END, (), ["Transpose", "Softmax"]),
        (1, TO_THE_END, ("between",), [*DEFINITION, "Transpose"]),
        (1, ("Transpose", [0, 3, 1, 2]), (), [*DEFINITION, "Transpose"]),
        (2, ("Neg", None), (), [*DEFINITION, "Neg"]),
        (3, TO_THE_END, (), ["Softmax", "Transpose"]),
        (-1, ("Neg", None), (), ["Softmax", "Neg"]),
    ],
)
def test_a_softmax_becomes_fast_and_stays_the_same(axis, after, kept, expected):
    helper, (kind, order) = onnx.helper, after
    nodes = [
        helper.make_node("Softmax", ["logits"], ["between"], "softmax", axis=axis),
        helper.make_node(kind, ["between"], ["last"], **({"perm": order} if order else {})),
    ]
    values = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [None] * 4) for name in ("last", *kept)]
    logits = helper.make_tensor_value_info("logits", onnx.TensorProto.FLOAT, [None] * 4)
    model = helper.make_model(
        helper.make_graph(nodes, "graph", [logits], values), opset_imports=[helper.make_opsetid("", 18)], ir_version=8
    )
    hasten_softmax(model)
    onnx.checker.check_model(model, full_check=True)
    assert [node.op_type for node in model.graph.node] == expected
    given = np.random.default_rng(0).normal(0, 50, (2, 5, 3, 4)).astype(np.float32)
    wanted = softmax_at(1, given, axis)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    found = session.run(["last"], {"logits": given})[0]
    np.testing.assert_allclose(found, wanted.transpose(order) if order else -wanted, atol=1e-6)
