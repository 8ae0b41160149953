"""Exports in 8-bit integers: what stays in float32, what they are calibrated and compared with."""

import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf
from conftest import Call
from PIL import Image
from test_formats import FORMATS, images_of, needed, nothing_is_sent, varied  # noqa: F401 - a fixture

from export import litert, onnx
from export.formats.calibration import Calibration, resized, resizing
from export.formats.conversion import export_format
from export.formats.report import verify_file
from keras_fcn import ClassTable, Predictor
from keras_fcn.errors import UserError


def test_a_quantized_file_may_differ_but_not_be_broken():
    classes = ClassTable.named(["a", "b", "c"])
    live = Predictor(
        lambda images: images[..., 0] % 3, classes, lambda images: tf.one_hot(np.asarray(images)[..., 0] % 3, 3)
    )
    samples = [images_of((1, 50, 60))]

    def shifted(by):
        return lambda images: ((images[..., 0] % 3 + (np.arange(images.shape[2]) % 10 < by)) % 3).astype(np.uint8)

    found = verify_file("file", Predictor(shifted(2), live.classes), live, (40, 50), samples, False)
    assert [round(comparison.agreement, 6) for comparison in found] == [0.8, 0.8]
    for by, is_exact in ((6, False), (2, True)):
        with pytest.raises(UserError, match="nothing was exported"):
            verify_file("file", Predictor(shifted(by), live.classes), live, (40, 50), samples, is_exact)


def test_a_fixed_size_is_evaluated_on_resized_images():
    image = np.full((10, 20, 3), 7, np.uint8)
    assert resized(image, None) is image
    np.testing.assert_array_equal(resized(image, (4, 6)), np.full((4, 6, 3), 7))
    seen = []

    def segment(images):
        seen.append(images.shape)
        return np.array([[[1, 2]]], np.uint8)

    classes = np.asarray(resizing(segment, (1, 2))(image[None]))
    assert seen == [(1, 1, 2, 3)]
    np.testing.assert_array_equal(classes, np.repeat([[1] * 10 + [2] * 10], 10, axis=0)[None])


@pytest.mark.parametrize("name", ["openvino", pytest.param("onnx", marks=pytest.mark.slow)])
def test_int8_by_command(toy, trained, tmp_path, name):
    needed(name, int8=True)
    call = Call(f"export/{name}.py", trained, tmp_path / "out", "--int8", "--calibrate", toy, "--photographs", 4)
    assert call.status == 0, call.err
    lines = call.out.splitlines()
    assert lines[-3].startswith("SavedModel ")
    assert lines[-2].startswith(f"{FORMATS[name].files[-1]}, int8 ")
    ious = [float(line.split()[-1]) for line in lines[-3:-1]]
    assert abs(ious[0] - ious[1]) < 3
    megabytes = sum((tmp_path / "out" / file).stat().st_size for file in FORMATS[name].files) / 1e6
    assert megabytes < 0.3 * (trained / "best.keras").stat().st_size / 1e6


def test_litert_in_8_bits_and_of_fixed_sizes(tmp_path):
    """Its first convolutions and its probabilities are float32, and CompiledModel gives the same as the interpreter."""
    needed("litert", int8=True)
    from ai_edge_litert.interpreter import Interpreter

    photos = SimpleNamespace(images=lambda: iter([images_of((1, 32, 64)), images_of((1, 32, 64))[:, ::-1]]))
    path, compared = export_format(litert.LITERT, varied("mobilenet_v2"), tmp_path, (32, 64), photos, True, "both", 2)
    assert [one.signature for one in compared] == ["model.tflite"] * 2 + ["model.tflite by CompiledModel"] * 2
    assert [one.difference for one in compared[:2]] == [one.difference for one in compared[2:]]
    interpreter = Interpreter(str(path))
    assert interpreter.get_input_details()[0]["shape_signature"].tolist() == [2, 32, 64, 3]
    kinds = {tensor["index"]: tensor["dtype"] for tensor in interpreter.get_tensor_details()}
    operations = [entry for entry in interpreter._get_ops_details() if "CONV_2D" in entry["op_name"]]
    found = [kinds[int(entry["outputs"][0])] for entry in operations]
    assert found[:3] == [np.float32] * 3
    assert set(found[3:]) == {np.int8}
    assert {entry["op_name"] for entry in operations} == {"CONV_2D", "DEPTHWISE_CONV_2D"}
    found = Predictor(path).score(next(photos.images()))
    np.testing.assert_allclose(found.sum(axis=-1), 1, atol=1e-5)
    assert len(np.unique(found)) > 256


def test_onnx_in_8_bits_scales_images_in_float32(tmp_path):
    """Nothing before the fourth convolution is in 8 bits, as an image's scaling would take a third of the time, and no
    probability, which would be one of 256."""
    needed("onnx")
    import onnx as library

    rng, helper, kinds = np.random.default_rng(0), library.helper, library.TensorProto
    names = [f"conv{number}" for number in range(1, 6)]
    kernels = [rng.normal(0, 1, (4, 4 if number else 3, 1, 1)).astype(np.float32) for number in range(5)]
    tensors = [library.numpy_helper.from_array(kernel, f"{name}/kernel") for name, kernel in zip(names, kernels)]
    tensors.append(library.numpy_helper.from_array(np.full((3, 1, 1), 0.1, np.float32), "scale"))
    nodes = [
        helper.make_node("Cast", ["images"], ["numbers"], "cast", to=kinds.FLOAT),
        helper.make_node("Transpose", ["numbers"], ["moved"], "move", perm=[0, 3, 1, 2]),
        helper.make_node("Mul", ["moved", "scale"], ["conv0"], "scaling"),
        *(
            helper.make_node("Conv", [f"conv{index}", f"{name}/kernel"], [name], name)
            for index, name in enumerate(names)
        ),
        helper.make_node("Softmax", ["conv5"], ["probabilities"], "softmax", axis=1),
    ]
    values = helper.make_tensor_value_info
    ends = values("images", kinds.UINT8, [1, 8, 8, 3]), values("probabilities", kinds.FLOAT, [1, 4, 8, 8])
    graph = helper.make_graph(nodes, "graph", ends[:1], ends[1:], tensors)
    path = tmp_path / "model.onnx"
    library.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8), path)
    onnx._quantize(path, [images_of((1, 8, 8))] * 2)
    by_output = {output: node for node in library.load(path).graph.node for output in node.output}
    quantized = [node for node in by_output.values() if node.op_type == "Conv"]
    sources = [by_output[node.input[0]].op_type for node in quantized]
    assert sources == ["Mul", "Conv", "Conv", "DequantizeLinear", "DequantizeLinear"]
    exact = ("conv0", "moved", "numbers", "probabilities")
    assert [by_output[name].op_type for name in exact] == ["Mul", "Transpose", "Cast", "Softmax"]
    assert by_output[by_output["conv0"].input[0]].op_type == "Transpose"


@pytest.mark.slow
def test_litert_int8_of_a_fixed_size(toy, trained, tmp_path):
    needed("litert")
    words = ["--int8", "--calibrate", toy, "--photographs", 4, "--size", 64, 96]
    call = Call("export/litert.py", trained, tmp_path / "out", *words)
    assert call.status == 0, call.err
    assert "64 x 96" in call.out


def test_calibration_is_spread_over_the_split_train(toy):
    classes = ClassTable.voc()
    calibration = Calibration.read(toy, classes, 3, (32, 64))
    assert len(calibration.paths) == 3
    assert [image.shape for image in calibration.images()] == [(1, 32, 64, 3)] * 3
    assert len(calibration.validation) == 3
    assert len(Calibration.read(toy, classes, 99, None).paths) == 10
    with pytest.raises(UserError, match="the model has 2 classes, the data 21"):
        Calibration.read(toy, ClassTable.named(["a", "b"]), 3, None)


def test_images_to_calibrate_with_are_looked_at(toy, tmp_path):
    data = shutil.copytree(toy, tmp_path / "data")
    image = data / "JPEGImages/train_0000.jpg"
    page = Image.open(image)
    page.save(image.with_suffix(".tif"), save_all=True, append_images=[page])
    image.unlink()
    (line,) = Calibration.read(data, ClassTable.voc(), 3, None).remarks
    assert line.startswith(f"{image.with_suffix('.tif')}: holds 2 pictures")
    (data / "JPEGImages/val_0000.jpg").write_text("not an image")
    with pytest.raises(UserError, match=r"val_0000.jpg: cannot be decoded"):
        Calibration.read(data, ClassTable.voc(), 3, None)
