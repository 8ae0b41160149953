"""From probabilities to classes: thresholds, what is not sure, and the temperature, also kept in the model."""

import shutil

import numpy as np
import pytest
import tensorflow as tf
from conftest import Call

from keras_fcn.errors import UserError
from keras_fcn.inference.averaging import tempered
from keras_fcn.inference.decision import Decision
from keras_fcn.inference.models import keep_temperature, load_model
from keras_fcn.inference.options import InferenceOptions
from keras_fcn.inference.predictor import Predictor
from keras_fcn.network.parts import Parts

NAMES = ("background", "crack", "a=b")


def decided(rows, *texts, unsure=0.0):
    return Decision(unsure).with_thresholds(texts, NAMES)(tf.constant(rows, tf.float32)).numpy().tolist()


def test_a_class_is_taken_where_it_reaches_its_threshold():
    rows = [[0.69, 0.31, 0.0], [0.71, 0.29, 0.0], [0.1, 0.2, 0.7], [0.2, 0.5, 0.3]]
    assert decided(rows) == [0, 0, 2, 1]
    assert decided(rows, "crack=0.3") == [1, 0, 2, 1]
    assert decided(rows, "crack=0.6") == [0, 0, 2, 2]  # not reached: the best of the others
    assert decided(rows, "crack=0.3", "a=b=0.1") == [1, 0, 2, 2]  # the greater factor: 0.5 / 0.3 < 0.3 / 0.1
    assert decided(rows, "background=0.9", "crack=0.9", "a=b=0.9") == [0, 0, 2, 1]  # nobody reaches his
    assert decided([[0.7, 0.3, 0.0]], "crack=0.3") == [1]


def test_what_is_not_sure_is_void_whatever_the_thresholds():
    assert decided([[0.45, 0.31, 0.24], [0.65, 0.31, 0.04]], "crack=0.3", unsure=0.6) == [255, 1]
    assert decided([[0.6, 0.2, 0.2], [0.59, 0.2, 0.21]], unsure=0.6) == [0, 255]


def test_unknown_classes_are_named():
    with pytest.raises(
        UserError, match=r"threshold names 'crak', which is no class of the model; the classes are back"
    ):
        Decision().with_thresholds(["crak=0.3"], NAMES)


@pytest.mark.parametrize(
    "text", ["crack", "crack=", "=0.5", "crack=0", "crack=1.5", "crack=nan", "crack=-0.2", "crack=x"]
)
def test_wrong_thresholds_are_one_line(text, tmp_path):
    call = Call("predict.py", "model", tmp_path, "--out", tmp_path / "out", "--threshold", text)
    assert call.status == 2
    wanted = "--threshold takes NAME=VALUE, each class once, and values above 0 and up to 1. Received: "
    assert call.err == f"error: {wanted}{text}; see predict.py --help\n"
    with pytest.raises(UserError, match="each class once"):
        InferenceOptions(threshold=("a=0.5", "a=0.6"))
    with pytest.raises(UserError, match="temperature must be greater than 0"):
        InferenceOptions(temperature=0)


def test_a_temperature_divides_logits():
    logits = np.random.default_rng(0).normal(0, 3, (1, 4, 5, 3)).astype(np.float32)
    wide = np.exp(logits.astype(float) / 2.5)
    expected = wide / wide.sum(-1, keepdims=True)
    found = tempered(lambda images: tf.nn.softmax(images), 2.5)(tf.constant(logits))
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_a_temperature_is_kept_in_the_model(trained, tmp_path):
    photo = np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8)
    path = tmp_path / "model.keras"
    shutil.copy(trained / "best.keras", path)
    plain = Predictor(path)
    keep_temperature(path, 2.0)
    keep_temperature(path, 1.5)  # fitted on what the first one gave
    assert Parts(load_model(path)).logits.temperature == 3
    kept = Predictor(path)
    expected = plain.using(InferenceOptions(temperature=3.0)).probabilities(photo)
    np.testing.assert_allclose(kept.probabilities(photo), expected, atol=1e-6)
    np.testing.assert_array_equal(kept(photo), plain(photo))
