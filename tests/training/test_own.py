"""One's own names and colours appear from labelmap.txt in every output file; one's own parts are used."""

import json

import numpy as np
import pytest
import tensorflow as tf
from conftest import TINY, Call
from keras import layers
from layouts import CVAT_COLORS, CVAT_NAMES, CVAT_VOID, NAMES, write_camvid, write_cvat
from PIL import Image
from tiny_runs import eagerly, silent, tiny

import keras_fcn
from keras_fcn.commands.evaluate import EvaluateOptions
from keras_fcn.commands.train import parse_train_options
from keras_fcn.errors import UserError
from keras_fcn.inference.models import load_model
from keras_fcn.network.backbones import Backbone


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A data set in CVAT's layout, whose names need every kind of letter; tests only read it."""
    root = tmp_path_factory.mktemp("data") / "my export"
    write_cvat(root)
    return root


@pytest.fixture(scope="module")
def run(data, tmp_path_factory):
    """The folder of a finished run on it; tests only read it."""
    folder = tmp_path_factory.mktemp("runs") / "own"
    with eagerly():
        call = Call("train.py", "--data", data, "--run-dir", folder, *TINY)
    assert (call.status, call.err) == (0, "")
    return folder


def test_the_model_knows_them(run):
    classes = keras_fcn.class_table(load_model(run / "best.keras"))
    assert (classes.names, classes.colors, classes.void_color) == (CVAT_NAMES, CVAT_COLORS, CVAT_VOID)
    assert load_model(run / "best.keras").output_shape == (None, None, None, 4)
    assert list(json.loads((run / "metrics.json").read_text())["iou"]) == list(CVAT_NAMES)
    assert (run / "predictions.png").is_file()


def test_saved_model_and_masks_have_them(run, data, tmp_path):
    call = Call("export/saved_model.py", run, tmp_path / "model")
    assert call.status == 0, call.err
    labels = json.loads((tmp_path / "model/1/assets.extra/labels.json").read_text(encoding="utf-8"))
    assert tuple(labels["names"]) == CVAT_NAMES
    assert [tuple(color) for color in labels["colors"]] == list(CVAT_COLORS)
    assert tuple(labels["void_color"]) == CVAT_VOID
    for source, out in ((run, "out1"), (tmp_path / "model", "out2")):
        call = Call("predict.py", source, data / "JPEGImages", "--out", tmp_path / out)
        assert (call.status, call.err) == (0, "")
        for name in NAMES:
            with (
                Image.open(tmp_path / out / f"masks/{name}.png") as mask,
                Image.open(data / f"JPEGImages/{name}.jpg") as photo,
            ):
                assert mask.size == photo.size
                assert int(np.asarray(mask).max()) < 4
                palette = np.reshape(mask.getpalette(), (256, 3)).tolist()
            assert [tuple(color) for color in palette[:4]] == list(CVAT_COLORS)
            assert tuple(palette[255]) == CVAT_VOID


def test_it_is_evaluated_on_data_with_the_same_classes_only(run, data, tmp_path):
    written = ["--json", tmp_path / "metrics.json", "--out", tmp_path / "out"]
    call = Call("evaluate.py", run, "--data", data, "--split", "val", *written)
    divided = f"a fifth of the images of {data}/ImageSets/Segmentation, chosen by their names, is val\n"
    assert (call.status, call.err) == (0, f"{divided}labelmap.txt: '__ignore__' is void: it counts nowhere\n")
    assert "猫 🐈" in call.out
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert set(metrics.pop("trimap")["iou"]) == set(metrics["iou"])
    assert metrics == json.loads((run / "metrics.json").read_text())
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"confusion.png", "worst.png"}
    write_camvid(tmp_path / "camvid")
    call = Call("evaluate.py", run, "--data", tmp_path / "camvid", "--split", "val")
    assert call.status == 2
    assert (
        "the model has 4 classes, the data 11: class 0 is 'background' in the model and 'Sky' in the data" in call.err
    )
    assert len(call.err.splitlines()) == 1


def build_plain(image):
    x, features = image, []
    for stage, filters in enumerate((8, 8, 8, 16, 16), start=1):
        x = layers.Conv2D(filters, 3, 2, padding="same", activation="relu", name=f"conv{stage}")(x)
        features.append(x)
    return features[2:]


def summed_errors(labels, logits):
    valid = tf.not_equal(labels, 255)
    number = tf.reduce_sum(tf.cast(valid, tf.float32))
    if number == 0:  # a tensor, which only a function that TensorFlow rewrites can ask
        return 0.0, number
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(tf.where(valid, tf.cast(labels, tf.int32), 0), logits)
    return tf.reduce_sum(tf.where(valid, losses, 0.0)), number


def darken(image, label, seed):
    return image // 2, label


def test_a_run_takes_parts_of_ones_own_and_is_resumed_with_the_same(toy, tmp_path, no_pictures):
    run, lines, config = tmp_path / "run", [], tiny(toy, epochs=1, flip=False)
    own = {"backbone": Backbone(build_plain, name="plain"), "loss": summed_errors, "augment": darken}
    trained = keras_fcn.train(config, **own, run_dir=run, report=lines.append)
    (description,) = (line for line in lines if "fcn32s over plain" in line)
    assert "\nLoss     summed_errors\n" in description
    assert trained.model.name == "fcn32s_plain"
    kept = json.loads((run / "config.json").read_text())
    assert kept["own"] == {"loss": "summed_errors", "augment": "darken", "backbone": "plain"}
    assert kept["epochs"] == 1
    again = keras_fcn.train(config, epochs=2, **own, resume=run, report=silent)
    assert again.history["epoch"] == [1, 2]
    parts = "loss=summed_errors, augment=darken, backbone=plain"
    with pytest.raises(UserError, match=f"the run began with {parts} of one's own; hand in the same"):
        keras_fcn.train(config, epochs=3, resume=run, report=silent)
    with pytest.raises(UserError, match=rf"only Python can hand in: keras_fcn.train\(..., {parts}\)"):
        parse_train_options(["--resume", str(run)])
    (tmp_path / "config.json").write_text(json.dumps(config.to_dict()))
    with pytest.raises(UserError, match=r"began with no parts of one's own; .* Received: augment=darken"):
        keras_fcn.train(config, augment=darken, resume=tmp_path, report=silent)
    assert EvaluateOptions(models=(run,)).dataset().data == str(toy)


def test_a_loss_of_ones_own_is_minimized_as_ours_are(toy, tmp_path, plain, no_pictures):
    run = keras_fcn.train(tiny(toy, epochs=1), loss=[summed_errors], run_dir=tmp_path / "run", report=silent).run
    (ours,), (row,) = plain.read_history(), run.read_history()
    assert row.loss == pytest.approx(ours.loss, rel=1e-4)


def test_a_loss_without_a_number_is_refused_before_anything_is_trained(toy, tmp_path):
    with pytest.raises(UserError, match=r"^loss must return a sum and the number of its .* Received of <lambda>: 0.0$"):
        keras_fcn.train(tiny(toy), loss=lambda labels, logits: tf.reduce_mean(logits), run_dir=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_backbone_that_could_not_be_loaded_is_not_trained(toy, tmp_path):
    def build(image):
        return [layers.Lambda(lambda feature: feature)(feature) for feature in build_plain(image)]

    with pytest.raises(UserError, match=r"fcn32s_own: holds a layer Lambda of keras.layers, which"):
        keras_fcn.train(tiny(toy), backbone=Backbone(build, name="own"), run_dir=tmp_path / "run", report=silent)
    assert not (tmp_path / "run/best.keras").exists()
