"""An exported file of a stranger: it gets no operators but its program's own, and no files but its folder's."""

import pytest

from keras_fcn import Predictor, UserError

onnx = pytest.importorskip("onnx", reason="pip install -r requirements-formats.txt")
pytest.importorskip("onnxruntime", reason="pip install -r requirements-formats.txt")


def write(path, node, *tensors):
    image = onnx.helper.make_tensor_value_info("image", onnx.TensorProto.UINT8, [1, None, None, 3])
    result = onnx.helper.make_tensor_value_info("result", onnx.TensorProto.UINT8, None)
    graph = onnx.helper.make_graph([node], "graph", [image], [result], tensors)
    versions = [onnx.helper.make_opsetid("", 17), onnx.helper.make_opsetid("another", 1)]
    model = onnx.helper.make_model(graph, opset_imports=versions, ir_version=8)
    path.write_bytes(model.SerializeToString())
    return path


def test_an_operator_of_another_program_is_one_line(tmp_path):
    node = onnx.helper.make_node("Own", ["image"], ["result"], domain="another")
    with pytest.raises(UserError, match=r"a.onnx: .*another:Own.* is not a registered") as caught:
        Predictor(write(tmp_path / "a.onnx", node))
    assert "\n" not in str(caught.value)


def test_weights_in_a_file_elsewhere_are_one_line(tmp_path):
    (tmp_path / "beside").write_bytes(bytes(4))
    (tmp_path / "folder").mkdir()
    tensor = onnx.TensorProto(name="weight", data_type=onnx.TensorProto.UINT8, dims=[4])
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../beside")
    node = onnx.helper.make_node("Identity", ["weight"], ["result"])
    with pytest.raises(UserError, match=r"a.onnx: .*External data path") as caught:
        Predictor(write(tmp_path / "folder/a.onnx", node, tensor))
    assert "\n" not in str(caught.value)
