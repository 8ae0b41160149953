"""Networks of other than three channels: what their first kernel is made of, and what is kept in the model."""

import keras
import numpy as np
import pytest
from keras import layers

from keras_fcn.errors import UserError
from keras_fcn.inference.predictor import Predictor
from keras_fcn.network.backbones import Backbone, build_backbone, for_channels, widen_backbone
from keras_fcn.network.fcn import build_fcn
from keras_fcn.network.parts import Parts


def build(image):
    x, features = layers.BatchNormalization(name="bn_image", scale=False, center=False)(image), []
    for stage in range(5):
        x = layers.Conv2D(4, 3, 2, padding="same", use_bias=False, name=f"conv{stage}")(x)
        features.append(x)
    return features[2:]


PLAIN = Backbone(build, (10.0, 20.0, 60.0), (1.0, 2.0, 6.0), name="plain")


def features_of(backbone, images):
    return np.asarray(backbone(images)["P5"])


def test_one_channel_sees_what_three_equal_ones_saw():
    narrow, grey = build_backbone(PLAIN), build_backbone(PLAIN, channels=1)
    widen_backbone(grey, narrow)
    images = np.random.default_rng(0).normal(size=(1, 64, 32, 1)).astype(np.float32)
    np.testing.assert_allclose(features_of(grey, images), features_of(narrow, np.repeat(images, 3, 3)), atol=1e-6)


@pytest.mark.parametrize("channels", [2, 4, 9])
def test_three_channels_keep_their_kernel_and_others_have_its_mean(channels):
    narrow, wide = build_backbone(PLAIN), build_backbone(PLAIN, channels=channels)
    widen_backbone(wide, narrow)
    kernel, old = (np.asarray(model.get_layer("conv0").kernel) for model in (wide, narrow))
    np.testing.assert_array_equal(kernel[:, :, :3], old[:, :, :channels])
    for channel in range(3, channels):
        np.testing.assert_allclose(kernel[:, :, channel], old.mean(2), rtol=1e-6)
    assert wide.get_layer("bn_image").moving_mean.shape == (channels,)


def test_normalization_of_channels():
    assert for_channels(PLAIN.mean, 3) == [10, 20, 60]
    assert for_channels(PLAIN.mean, 5) == [10, 20, 60, 30, 30]
    assert for_channels(PLAIN.std, 1) == [3]
    assert for_channels((1.0, 2.0, 3.0, 4.0), 4) == [1, 2, 3, 4]


def test_backbones_of_keras_applications_take_any_channels():
    model = build_backbone("mobilenet_v2", channels=5)
    assert model.input_shape == (None, None, None, 5)
    assert model.weights[0].shape[2] == 5


def test_a_model_keeps_its_channels(tmp_path):
    model = build_fcn("fcn32s", PLAIN, 3, channels="1,2,3,8", input_scale=0.5)
    model.save(tmp_path / "a.keras")
    loaded = keras.models.load_model(tmp_path / "a.keras")
    assert (Parts(loaded).channels.text, loaded.input_shape[-1], Parts(loaded).output_stride) == ("1,2,3,8", 4, 32)
    predictor = Predictor(loaded)
    assert predictor(np.zeros((40, 50, 4), np.uint8)).shape == (40, 50)
    with pytest.raises(UserError, match=r"the model takes images uint8 \[H, W, 4\]. Received: uint8 \[40, 50, 3\]"):
        predictor(np.zeros((40, 50, 3), np.uint8))
    with pytest.raises(UserError, match=r"takes images of 4 channels. Received: channels='5'"):
        predictor.reading("5")
    np.save(tmp_path / "a.npy", np.arange(32 * 32 * 8).reshape(32, 32, 8).astype(np.uint8))
    assert predictor.reading("8,7,6,5")(tmp_path / "a.npy").shape == (32, 32)
    assert "channels" not in Parts(build_fcn("fcn32s", PLAIN, 3)).logits.get_config()
