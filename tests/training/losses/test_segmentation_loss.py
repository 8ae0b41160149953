"""The class around the losses: its arguments, its config, functions of one's own."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_fcn import SegmentationLoss

TERMS = "terms must be some of cross_entropy, dice, lovasz, or functions. Received: terms="
SMOOTHING, OHEM = "label_smoothing must be at least 0 and less than 1", "ohem must be greater than 0 and at most 1"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"terms": []}, f"{TERMS}[]"),
        ({"terms": ["focal"]}, f"{TERMS}['focal']"),
        ({"terms": ["dice", "focal"]}, f"{TERMS}['dice', 'focal']"),
        ({"label_smoothing": 1.0}, f"{SMOOTHING}. Received: 1.0"),
        ({"label_smoothing": -0.1}, f"{SMOOTHING}. Received: -0.1"),
        ({"ohem": 0.0}, f"{OHEM}. Received: 0.0"),
        ({"ohem": 1.5}, f"{OHEM}. Received: 1.5"),
    ],
)
def test_wrong_arguments_are_named(options, message):
    with pytest.raises(ValueError) as caught:  # noqa: PT011 -- the whole message is compared
        SegmentationLoss(**options)
    assert str(caught.value) == message


def test_its_config_is_what_it_was_made_from():
    plain = {
        "name": "segmentation_loss", "terms": ("cross_entropy",), "label_smoothing": 0.0, "ohem": 1.0,
        "class_weights": None,
    }  # fmt: skip
    given = {"name": "n", "terms": ("dice", "lovasz"), "label_smoothing": 0.9, "ohem": 0.5, "class_weights": (1, 2.0)}
    for options, config in (({}, plain), (given, given), (given | {"class_weights": [1, 2.0]}, given)):
        loss = SegmentationLoss(**options)
        assert (loss.get_config(), loss.name) == (config, config["name"])
        assert SegmentationLoss.from_config(loss.get_config()).get_config() == config
    assert keras.losses.deserialize(keras.losses.serialize(SegmentationLoss(**given))).label_smoothing == 0.9


def test_a_function_of_ones_own_gets_integers_and_floats():
    seen = []

    def term(labels, logits):
        seen.append((labels.dtype, logits.dtype))
        return tf.constant(6.0), tf.constant(4.0)

    loss = SegmentationLoss([term, "cross_entropy"])
    labels, logits = np.zeros((1, 1, 1), np.uint8), np.zeros((1, 1, 1, 2), np.float16)
    assert float(loss(labels.astype(np.float32), logits)) == pytest.approx(1.5 + np.log(2), rel=1e-6)
    np.testing.assert_allclose(loss.parts(labels, logits), [[6, np.log(2)], [4, 1]], rtol=1e-6)
    assert set(seen) == {(tf.int32, tf.float32)}
    assert loss.rates(tf.constant([0.0, 0.5, 1.0, 4.0])).numpy().tolist() == [1, 1, 1, 0.25]
