"""From probabilities to classes: thresholds, what is not sure, and the temperature, also kept in the model."""

import shutil

import numpy as np
import pytest
import tensorflow as tf
from conftest import Call

from keras_fcn.errors import UserError
from keras_fcn.images.classes import ClassTable
from keras_fcn.inference.averaging import tempered
from keras_fcn.inference.decision import Decision
from keras_fcn.inference.graphs import decision_of
from keras_fcn.inference.large import WholeImages
from keras_fcn.inference.models import keep_temperature, keep_thresholds, load_model
from keras_fcn.inference.options import InferenceOptions
from keras_fcn.inference.predictor import Predictor
from keras_fcn.network.fcn import with_input_scale
from keras_fcn.network.parts import Parts

CLASSES = ClassTable.named(["background", "crack", "a=b"])


def decided(rows, *texts, unsure=0.0):
    return Decision(unsure).with_thresholds(texts, CLASSES)(tf.constant(rows, tf.float32)).numpy().tolist()


def test_a_class_is_taken_where_it_reaches_its_threshold():
    rows = [[0.69, 0.31, 0.0], [0.71, 0.29, 0.0], [0.1, 0.2, 0.7], [0.2, 0.5, 0.3]]
    assert decided(rows) == [0, 0, 2, 1]
    assert decided(rows, "crack=0.3") == [1, 0, 2, 1]
    assert decided(rows, "crack=0.6") == [0, 0, 2, 2]  # not reached: the best of the others
    assert decided(rows, "crack=0.3", "a=b=0.1") == [1, 0, 2, 2]  # the greater factor: 0.5 / 0.3 < 0.3 / 0.1
    assert decided(rows, "crack=0.3", "a=b=0.75") == [1, 0, 0, 1]  # background has none, so it is what is left
    assert decided(rows, "none") == [0, 0, 2, 1]
    assert decided([[0.7, 0.3, 0.0]], "crack=0.3") == [1]


def test_classes_all_of_which_have_thresholds_are_the_most_probable_where_none_is_reached():
    classes = ClassTable.named(["road", "wall", "sky"])
    decide = Decision().with_thresholds(["road=0.9", "wall=0.9", "sky=0.9"], classes)
    assert decide(tf.constant([[0.2, 0.5, 0.3], [0.95, 0.03, 0.02]])).numpy().tolist() == [1, 0]


def by_numpy(probabilities, thresholds):
    """The definition, pixel by pixel."""
    ids = []
    for row in probabilities.reshape(-1, probabilities.shape[-1]):
        reached = {index: row[index] / least for index, least in thresholds.items() if row[index] >= least}
        free = {index: row[index] for index in range(len(row)) if index not in thresholds}
        chosen = reached or free or dict(enumerate(row))
        ids.append(max(chosen, key=chosen.get))
    return np.array(ids, np.uint8).reshape(probabilities.shape[:-1])


@pytest.mark.parametrize("axis", [-1, 1])
@pytest.mark.parametrize("thresholds", [{1: 0.2}, {1: 0.3, 2: 0.05, 3: 0.6}, {0: 0.5, 1: 0.2, 2: 0.2, 3: 0.2}])
def test_logits_are_decided_as_the_definition_says(thresholds, axis):
    logits = np.random.default_rng(1).normal(0, 2, (2, 9, 7, 4)).astype(np.float32)
    wide = np.exp(logits.astype(float) / 1.5)
    decide = Decision(thresholds=tuple(map(thresholds.get, range(4))))
    found = decide.of_logits(tf.constant(np.moveaxis(logits, -1, axis)), 1.5, axis)
    expected = by_numpy(wide / wide.sum(-1, keepdims=True), thresholds)
    np.testing.assert_array_equal(found, expected)
    assert len(np.unique(expected)) == 4


def test_what_is_not_sure_is_void_whatever_the_thresholds():
    assert decided([[0.45, 0.31, 0.24], [0.65, 0.31, 0.04]], "crack=0.3", unsure=0.6) == [255, 1]
    assert decided([[0.6, 0.2, 0.2], [0.59, 0.2, 0.21]], unsure=0.6) == [0, 255]


def test_unknown_classes_are_named():
    with pytest.raises(
        UserError, match=r"threshold names 'crak', which is no class of the model; the classes are back"
    ):
        Decision().with_thresholds(["crak=0.3"], CLASSES)
    with pytest.raises(UserError, match=r"^threshold names background, which is what pixels are where no other class "):
        Decision().with_thresholds(["background=0.3"], CLASSES)


@pytest.mark.parametrize(
    "text", ["crack", "crack=", "=0.5", "crack=0", "crack=1.5", "crack=nan", "crack=-0.2", "crack=x", "None"]
)
def test_wrong_thresholds_are_one_line(text, tmp_path):
    call = Call("predict.py", "model", tmp_path, "--out", tmp_path / "out", "--threshold", text)
    assert call.status == 2
    wanted = "--threshold takes NAME=VALUE, each class once, and values above 0 and up to 1, or none. Received: "
    assert call.err == f"error: {wanted}{text}; see predict.py --help\n"
    with pytest.raises(UserError, match="each class once"):
        InferenceOptions(threshold=("a=0.5", "none"))
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


def test_thresholds_are_kept_in_the_model_replaced_and_removed(trained, tmp_path):
    photo = np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8)
    path = tmp_path / "model.keras"
    shutil.copy(trained / "best.keras", path)
    plain = Predictor(path)
    probabilities = plain.probabilities(photo)
    first, second = (int(index) for index in probabilities[..., 1:].mean((0, 1)).argsort()[-2:] + 1)
    names, least = plain.classes.names, float(np.median(probabilities[..., first]))
    keep_thresholds(path, {names[first]: least})
    kept = Predictor(path)
    expected = by_numpy(probabilities, {first: np.float32(least)})
    assert (expected == first).mean() > 0.3
    np.testing.assert_array_equal(kept(photo), expected)
    np.testing.assert_array_equal(kept.using(InferenceOptions(tile=(64, 64)))(photo), expected)
    kept.limits = WholeImages(32, 32 * 32)  # in tiles without being asked
    tiled = kept.using(InferenceOptions(tile=(32, 32)))(photo)
    np.testing.assert_array_equal(kept.segment_any_size(photo[None])[0], tiled)
    assert (tiled == first).any()

    np.testing.assert_array_equal(kept.using(InferenceOptions(threshold=("none",)))(photo), plain(photo))
    other = kept.using(InferenceOptions(threshold=(f"{names[second]}=0.01",)))
    np.testing.assert_array_equal(other(photo), by_numpy(probabilities, {second: np.float32(0.01)}))
    unsure = kept.using(InferenceOptions(), Decision(unsure=0.99))
    assert (unsure(photo) == 255).any()
    assert unsure.decide.thresholds == kept.decide.thresholds
    scaled = with_input_scale(load_model(path), 0.5)
    assert decision_of(scaled).by_name(kept.classes) == {names[first]: least}

    keep_temperature(path, 2.0)  # other probabilities
    assert Predictor(path).decide == Decision()
    keep_thresholds(path, {names[first]: 0.5})
    keep_thresholds(path, {})
    assert "thresholds" not in Parts(load_model(path)).logits.get_config()
    with pytest.raises(UserError, match="threshold names background"):
        keep_thresholds(path, {"background": 0.5})


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
