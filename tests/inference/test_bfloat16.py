"""Computing in bfloat16: where it is faster, in the calls that are meant alone, with nearly the same masks."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_fcn import ClassTable, Predictor, build_fcn
from keras_fcn.inference.engines import bfloat16
from keras_fcn.inference.engines.bfloat16 import in_bfloat16, pays


def switch():
    return tf.config.optimizer.get_experimental_options().get("auto_mixed_precision_onednn_bfloat16", False)


def test_graphs_are_rewritten_in_calls_alone():
    seen = in_bfloat16(lambda depth: (switch(), depth and seen(0)))
    assert seen(1) == (True, (True, 0))
    assert not switch()

    def fail():
        raise ValueError(switch())

    with pytest.raises(ValueError, match="True"):
        in_bfloat16(fail)()
    assert not switch()
    tf.config.optimizer.set_experimental_options({"auto_mixed_precision_onednn_bfloat16": True})  # the user's own
    try:
        seen(0)
        assert switch()
    finally:
        tf.config.optimizer.set_experimental_options({"auto_mixed_precision_onednn_bfloat16": False})


def test_bfloat16_is_used_where_it_is_faster(monkeypatch):
    keras.utils.set_random_seed(0)
    network = build_fcn("fcn32s", "resnet18_v1", classes=ClassTable.named(["a", "b", "c"]))
    kernel = network.get_layer("score_fr").kernel
    kernel.assign(np.random.default_rng(0).normal(0, 0.3, kernel.shape))
    squares = np.random.default_rng(0).integers(0, 256, (8, 12, 3), np.uint8).repeat(8, axis=0).repeat(8, axis=1)
    live = Predictor(network)
    assert live.program == "Keras"
    monkeypatch.setattr(bfloat16, "has_bfloat16", lambda: True)
    assert Predictor(network, precision="float32").program == "Keras"
    faster, masks = Predictor(network), live(squares)
    assert faster.program == "Keras, bfloat16"
    assert (faster(squares) == masks).mean() > 0.9
    assert not pays("auto", lambda: True)
    assert pays("bfloat16", lambda: True)
