"""What an output of an ONNX file takes, and no more, is computed; the package onnx and NumPy say what that is."""

import numpy as np
import pytest
from onnx_files import ids_of, write_onnx

from keras_fcn import Predictor, UserError
from keras_fcn.inference.engines.parts.onnx import part_of

onnx = pytest.importorskip("onnx", reason="pip install -r requirements-formats.txt")
pytest.importorskip("onnxruntime", reason="pip install -r requirements-formats.txt")
IMAGE = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)


def test_an_output_that_is_not_asked_for_is_not_computed(tmp_path):
    path = write_onnx(tmp_path / "a.onnx", both=True)
    model = onnx.load(path)
    model.graph.node[-1].output[0] = "found"
    model.graph.initializer.append(onnx.helper.make_tensor("shape", onnx.TensorProto.INT64, [1], [7]))
    model.graph.node.append(onnx.helper.make_node("Reshape", ["found", "shape"], ["probabilities"]))
    onnx.save(model, path)  # whose probabilities cannot be computed: 140 values are not seven
    predictor = Predictor(path)
    np.testing.assert_array_equal(predictor(IMAGE), ids_of(IMAGE))
    with pytest.raises(UserError, match=r"a.onnx: fails in ONNX Runtime \(.*Reshape"):
        predictor.probabilities(IMAGE)


def test_a_part_is_what_an_output_takes(tmp_path):
    helper, types = onnx.helper, onnx.TensorProto
    model = onnx.load(write_onnx(tmp_path / "a.onnx", both=True))
    negative, third = (helper.make_tensor_value_info(name, types.INT32, [None] * 3) for name in ("negative", "third"))
    inside = helper.make_graph([helper.make_node("Neg", ["number"], ["negative"])], "inside", [], [negative])
    model.graph.node.append(helper.make_node("Cast", ["red"], ["number"], "long" * 99, to=types.INT32))
    model.graph.node.append(
        helper.make_node("Constant", [], ["yes"], value=helper.make_tensor("", types.BOOL, [], [1]))
    )
    model.graph.node.append(helper.make_node("If", ["yes"], ["third"], then_branch=inside, else_branch=inside))
    model.graph.output.append(third)
    content, whole = memoryview(model.SerializeToString()), [node.op_type for node in model.graph.node]
    for name, wanted in [
        ("classes", ["Gather", "Div"]),
        ("probabilities", whole[:6]),
        ("third", ["Gather", "Cast", "Constant", "If"]),
    ]:
        part = onnx.load_from_string(part_of(content, name))
        onnx.checker.check_model(part, full_check=True)
        assert [node.op_type for node in part.graph.node] == wanted
        assert [output.name for output in part.graph.output] == [name]
        part.graph.CopyFrom(model.graph)
        assert part == model  # but for the graph
    for damaged in (content[:-1], content[:100], memoryview(b"\x0f")):
        with pytest.raises(LookupError):
            part_of(damaged, "classes")


def _in_branches(model, tensor):
    """Moves a weight into both branches of an operation that gives it."""
    helper, types = onnx.helper, onnx.TensorProto
    result = helper.make_tensor_value_info("inner", types.UINT8, [])
    inner = helper.make_node("Identity", ["own"], ["inner"])
    own = onnx.TensorProto(**{**{field.name: value for field, value in tensor.ListFields()}, "name": "own"})
    branch = helper.make_graph([inner], "branch", [], [result], [own])
    yes = helper.make_node("Constant", [], ["yes"], value=helper.make_tensor("", types.BOOL, [], [1]))
    return [yes, helper.make_node("If", ["yes"], [tensor.name], then_branch=branch, else_branch=branch)]


def _of_constant(model, tensor):
    """Moves a weight into an operation that gives it."""
    return [onnx.helper.make_node("Constant", [], [tensor.name], value=tensor)]


def _of_function(model, tensor):
    """Moves a weight into an operation of a function of the model."""
    version = onnx.helper.make_opsetid("", 17)
    body = onnx.helper.make_node("Constant", [], ["given"], value=tensor)
    model.functions.append(onnx.helper.make_function("own", "Given", [], ["given"], [body], [version]))
    model.opset_import.append(onnx.helper.make_opsetid("own", 1))
    return [onnx.helper.make_node("Given", [], [tensor.name], domain="own")]


@pytest.mark.parametrize("place", [None, _of_constant, _in_branches, _of_function])
def test_weights_beside_a_file_are_its_own(tmp_path, monkeypatch, place):
    path = write_onnx(tmp_path / "model/a.onnx", both=True)
    model = onnx.load(path)
    (divisor,) = (tensor for tensor in model.graph.initializer if tensor.name == "64")
    divisor.ClearField("int32_data")
    divisor.data_location = onnx.TensorProto.EXTERNAL
    divisor.external_data.add(key="location", value="weights")
    if place:
        moved = place(model, divisor)
        model.graph.initializer.remove(divisor)
        nodes = [*moved, *model.graph.node]
        del model.graph.node[:]
        model.graph.node.extend(nodes)
    path.write_bytes(model.SerializeToString())
    for folder, value in ((path.parent, 64), (tmp_path, 1)):
        (folder / "weights").write_bytes(bytes([value]))
    monkeypatch.chdir(tmp_path)
    predictor = Predictor(path)
    np.testing.assert_array_equal(predictor(IMAGE), ids_of(IMAGE))
    np.testing.assert_array_equal(predictor.probabilities(IMAGE).argmax(-1), ids_of(IMAGE))
