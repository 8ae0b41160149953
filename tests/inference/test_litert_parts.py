"""What an output of a LiteRT file takes, and no more, is computed; LiteRT and NumPy say what that is."""

import json
import zipfile

import numpy as np
import pytest
import tensorflow as tf

from keras_fcn import ClassTable, Predictor, UserError
from keras_fcn.inference.engines.facts import Facts
from keras_fcn.inference.engines.litert import FACTS_IN_FILE
from keras_fcn.inference.engines.parts.litert import part_of

interpreters = pytest.importorskip("ai_edge_litert.interpreter", reason="pip install -r requirements-formats.txt")
IMAGE = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)


@pytest.fixture(scope="module")
def written(tmp_path_factory, content):
    """The file, as the export writes it."""
    path = tmp_path_factory.mktemp("written") / "a.tflite"
    path.write_bytes(content)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(FACTS_IN_FILE, json.dumps(Facts("", ClassTable.named(["a", "b", "c", "d"])).to_texts()))
    return path


@pytest.fixture(scope="module")
def content(tmp_path_factory):
    """A file that gives red / 64 as ids, for each further image of a call 1 more, and as probabilities what cannot be
    computed, a reshape to seven values."""

    @tf.function(input_signature=[tf.TensorSpec([None, None, None, 3], tf.uint8, "images")])
    def computed(images):
        red = tf.cast(images[..., 0], tf.float32) / 64 + tf.cast(tf.shape(images)[0] - 1, tf.float32)
        impossible = tf.reshape(tf.nn.softmax(tf.cast(images, tf.float32)), tf.stack([7 + tf.shape(images)[0] * 0]))
        return {"classes": tf.cast(tf.floor(red), tf.uint8), "probabilities": impossible}

    folder = str(tmp_path_factory.mktemp("saved"))
    tf.saved_model.save(tf.Module(), folder, {"serving_default": computed.get_concrete_function()})
    return tf.lite.TFLiteConverter.from_saved_model(folder).convert()


def test_an_output_that_is_not_asked_for_is_not_computed(written):
    predictor = Predictor(written)
    np.testing.assert_array_equal(predictor(IMAGE), IMAGE[..., 0] // 64)
    for _ in range(2):
        with pytest.raises(UserError, match=r"a.tflite: fails in LiteRT \(.*"):
            predictor.probabilities(IMAGE)
    np.testing.assert_array_equal(predictor(IMAGE[:3]), IMAGE[:3, :, 0] // 64)


def test_a_part_is_of_the_file_that_was_opened(written, tmp_path):
    path = tmp_path / "a.tflite"
    path.write_bytes(written.read_bytes())
    predictor = Predictor(path)
    path.unlink()
    path.write_bytes(b"another")
    np.testing.assert_array_equal(predictor(IMAGE), IMAGE[..., 0] // 64)


def test_large_images_go_one_by_one_and_small_ones_together(written):
    segment = Predictor(written).segment
    for number, size, together in ((2, (256, 257), 1), (3, (5, 7), 3), (3, (256, 128), 2)):
        images = np.random.default_rng(1).integers(0, 256, (number, *size, 3), np.uint8)
        further = [min(together, number - index // together * together) - 1 for index in range(number)]
        np.testing.assert_array_equal(segment(images), images[..., 0] // 64 + np.reshape(further, (-1, 1, 1)))


def test_a_part_has_the_operations_that_an_output_takes(content):
    whole = interpreters.Interpreter(model_content=content)
    names = [entry["op_name"] for entry in whole._get_ops_details() if entry["op_name"] != "DELEGATE"]
    found = []
    for output in whole.get_output_details():
        part = interpreters.Interpreter(model_content=part_of(content, output["index"]))
        (kept,) = part.get_output_details()
        assert (kept["name"], kept["dtype"]) == (output["name"], output["dtype"])
        found.append([entry["op_name"] for entry in part._get_ops_details() if entry["op_name"] != "DELEGATE"])
    assert "SOFTMAX" in names
    assert sorted("SOFTMAX" in each for each in found) == [False, True]
    assert sorted("FLOOR" in each for each in found) == [False, True]
    assert sum(map(len, found)) >= len(names)
    for each in found:
        remaining = iter(names)
        assert all(name in remaining for name in each)  # in the same order
    for damaged in (content[:100], content[:4], b"", b"\xff" * 64, bytes(64)):
        with pytest.raises(LookupError):
            part_of(damaged, 0)
