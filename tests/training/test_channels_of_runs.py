"""A run on images of four channels: trained, evaluated, predicted and exported, or refused by a line."""

import json

import numpy as np
import pytest
import tensorflow as tf
from conftest import TINY, Call
from geotiffs import write_geotiff
from PIL import Image

from export.saved_model import export_saved_model
from export.server.model.engine.network import LargeImages
from export.server.model.engine.worker import open_network
from keras_fcn import Predictor, build_fcn
from keras_fcn.errors import UserError
from keras_fcn.inference.models import load_model
from keras_fcn.network.parts import Parts
from keras_fcn.pipeline.transforms import pad_to_size, random_color_jitter
from keras_fcn.training.inputs.initial_weights import load_matching_layers

BANDS = np.random.default_rng(0).integers(0, 256, (40, 60, 8), np.uint8)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    root = tmp_path_factory.mktemp("bands")
    (root / "masks").mkdir()
    for number in range(5):
        write_geotiff(root / f"images/{number}.tif", np.roll(BANDS, number, axis=2))
        Image.fromarray((BANDS[..., number] > 200).astype(np.uint8)).save(root / f"masks/{number}.png")
    return root


@pytest.fixture(scope="module")
def run(data, tmp_path_factory):
    root = tmp_path_factory.mktemp("runs") / "of bands"
    small = "--crop-size", "32", "32", "--batch-size", "2", "--color-jitter", "0.2", "--rotate", "5"
    call = Call("train.py", "--data", data, "--run-dir", root, *TINY, *small, "--channels", "1,2,3,8")
    assert call.status in (None, 0), call.err
    return root


def test_a_run_keeps_its_channels_and_is_evaluated_with_them(run, data):
    assert json.loads((run / "config.json").read_text())["channels"] == "1,2,3,8"
    assert Parts(load_model(run / "best.keras")).channels.text == "1,2,3,8"
    metrics = json.loads((run / "metrics.json").read_text())
    call = Call("evaluate.py", run, "--json", run.parent / "again.json")
    assert (call.status in (None, 0), call.err) == (True, "")
    assert json.loads((run.parent / "again.json").read_text())["mean_iou"] == pytest.approx(metrics["mean_iou"])
    call = Call("evaluate.py", run / "best.keras", "--data", data, "--channels", "1,2,3")
    assert (call.status, call.err.count("takes images of 4 channels. Received: --channels 1,2,3")) == (2, 1)


def test_rasters_arrays_and_pictures_are_predicted_alike(run, data, tmp_path):
    four = BANDS[..., [0, 1, 2, 7]]
    expected = Predictor(str(run))(four)
    np.save(tmp_path / "a.npy", BANDS)
    Image.fromarray(four).save(tmp_path / "b.png")
    write_geotiff(tmp_path / "c.tif", BANDS)
    arguments = "--write", "masks", "overlays", "--out", tmp_path / "out"
    assert Call("predict.py", run, tmp_path / "a.npy", tmp_path / "c.tif", *arguments).status == 0
    for name in ("a.png", "c.tif"):
        np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "out/masks" / name)), expected)
    call = Call("predict.py", run, tmp_path / "b.png", *arguments)
    assert (call.status, call.err) == (
        2,
        f"error: {tmp_path}/b.png: has 4 channels, there is no 8 of --channels 1,2,3,8; name channels from 1 to 4\n",
    )
    assert Call("predict.py", run, tmp_path / "b.png", *arguments, "--channels", "4").status == 0
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "out/masks/b.png")), expected)


def test_a_saved_model_takes_arrays_and_no_files(run, tmp_path):
    folder, _ = export_saved_model(load_model(run / "best.keras"), tmp_path)
    predictor = Predictor(folder)
    assert predictor.channels.text == "1,2,3,8"
    np.testing.assert_array_equal(predictor(BANDS[..., :4]), Predictor(run)(BANDS[..., :4]))
    with pytest.raises(UserError, match="takes images of 4 channels; the server reads JPEGs and PNGs of three"):
        open_network(folder, LargeImages())


def test_the_check_says_which_channels_there_are_and_which_are_read(data):
    call = Call("keras_fcn/check.py", data, "--channels", "8")
    assert "Channels: train 8 in 4 images; val 8 in 1 images; read as 8 channels (--channels 8).\n" in call.out
    call = Call("keras_fcn/check.py", data)
    assert call.status == 1
    assert "not all of red, green and blue among them; --channels 1,2,3 reads these three, --channels 8 all" in call.out


def test_other_weights_are_widened_or_refused(run, trained):
    network = build_fcn("fcn32s", "resnet18_v2", 2, channels="8")
    loaded = load_matching_layers(network, trained)
    assert "; the first kernel kept for three channels, channels 4 to 8 have its mean" in loaded.description
    with pytest.raises(UserError, match="is of images of 4 channels, these have 8; choose channels='1,2,3,8'"):
        load_matching_layers(network, run)


def test_padding_and_jitter_of_four_channels():
    image = tf.constant(BANDS[..., :4])
    padded, label = pad_to_size(image, tf.zeros((40, 60), tf.uint8), (41, 60))
    assert (padded[40, 0].numpy().tolist(), int(label[40, 0])) == ([115] * 4, 255)
    jittered = random_color_jitter(image, 0.3, tf.constant([1, 2])).numpy().astype(float)
    brightness, contrast, _ = tf.random.stateless_uniform([3], [1, 2], 0.7, 1.3).numpy()
    pixels = BANDS[..., :4] * brightness
    expected = np.clip(np.round((pixels - pixels.mean()) * contrast + pixels.mean()), 0, 255)
    np.testing.assert_allclose(jittered, expected, atol=1)
