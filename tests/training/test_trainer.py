import csv
import json

import numpy as np
import pytest
import tensorflow as tf
from tiny_runs import assert_same_run, exact_history, silent, tiny

from keras_fcn import build_fcn
from keras_fcn.datasets import inspect_pairs, open_pairs
from keras_fcn.datasets.layouts.voc import read_voc
from keras_fcn.errors import UserError
from keras_fcn.inference.models import load_model
from keras_fcn.training.build import build_training
from keras_fcn.training.inputs.data import TrainingData, default_crop_size
from keras_fcn.training.inputs.initial_weights import load_backbone_weights
from keras_fcn.training.train import run_training as train

pytestmark = pytest.mark.usefixtures("no_pictures")

COLUMNS = [
    "epoch", "step", "loss", "learning_rate", "seconds", "images_per_second", "waiting_share",
    "val_pixel_accuracy", "val_mean_accuracy", "val_mean_iou", "val_frequency_weighted_iou", "val_watched", "val_tile",
]  # fmt: skip
"""Those before the IoU of each class."""


def test_a_run_folder_holds_everything(trained, toy):
    files = {str(path.relative_to(trained)) for path in trained.rglob("*") if path.is_file()}
    assert {
        "config.json", "best.keras", "history.csv", "metrics.json",
        "curves.png", "predictions.png", "confusion.png", "worst.png",
        "checkpoints/ckpt-1.index",
    } <= files  # fmt: skip
    assert any(file.startswith("tensorboard/events.out.tfevents") for file in files)
    with (trained / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == [*COLUMNS, *(f"val_iou/{name}" for name in read_voc(toy, "train").classes.names)]
    assert [(row["epoch"], row["step"]) for row in rows] == [("1", "3")]
    metrics = json.loads((trained / "metrics.json").read_text())
    assert set(metrics) == {
        "pixel_accuracy", "mean_accuracy", "mean_iou", "frequency_weighted_iou", "iou", "precision", "recall",
        "images", "confusion_matrix", "image_mean_iou",
    }  # fmt: skip
    assert list(metrics["image_mean_iou"]) == read_voc(toy, "val").names
    assert metrics["images"] == 3
    assert metrics["mean_iou"] == float(rows[0]["val_mean_iou"])
    assert json.loads((trained / "config.json").read_text())["data"] == str(toy)


def test_the_best_model_is_that_of_the_classes_that_validation_images_show(whole, toy):
    """Of three images, each class of a thousand pixels counts; the others decide by chance."""
    shown = inspect_pairs(open_pairs(toy, "val")).pixels.sum(axis=0)[:21] >= 1000
    rows, matrix = whole.read_history(), np.array(json.loads(whole.metrics.read_text())["confusion_matrix"])
    assert 1 < shown.sum() < 21
    by_hand = [np.mean([iou for iou, counts in zip(row.val_iou.values(), shown) if counts]) for row in rows]
    np.testing.assert_allclose([row.val_watched for row in rows], by_hand, rtol=1e-12)
    note = json.loads(whole.best_note.read_text())
    best = int(np.argmax(by_hand))
    assert (note["epoch"], note["by"]) == (best + 1, f"mean IoU of {shown.sum()} of 21 classes")
    assert f"the other {21 - shown.sum()} are in fewer than 1 image or 1,000 pixels of val" in note["why"]
    hits = matrix.diagonal()
    iou = hits[shown] / (matrix.sum(axis=0) + matrix.sum(axis=1) - hits)[shown]
    assert iou.mean() == pytest.approx(note["value"]) == by_hand[best]


@pytest.mark.usefixtures("eager")
def test_the_same_seed_repeats_a_run_exactly(toy, whole, tmp_path):
    assert_same_run(whole, train(tiny(toy), tmp_path / "same", report=silent))
    other = train(tiny(toy, seed=1), tmp_path / "other", report=silent)
    assert exact_history(whole) != exact_history(other)


def test_training_learns_to_tell_a_thing_from_the_background(toy, tmp_path):
    """30 steps on ten images must leave the loss of a guess far behind."""
    run = train(tiny(toy, epochs=10, model="fcn16s"), tmp_path / "run", report=silent)
    losses = [row.loss for row in run.read_history()]
    assert losses[-1] < 0.5 * losses[0] < np.log(21)


def test_a_loss_that_is_no_number_stops_the_run(toy, tmp_path):
    with pytest.raises(UserError, match=r"the loss became \S+ in step \d, on (train_\d+.jpg(, )?){4}; try a lower"):
        train(tiny(toy, learning_rate=1e30), tmp_path / "run", report=silent)


def test_more_devices_than_images_in_a_batch_are_refused(toy, monkeypatch):
    devices = tf.config.list_logical_devices("CPU") * 3
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda kind: devices if kind == "CPU" else [])
    pairs = read_voc(toy, "train")
    with pytest.raises(UserError, match=r"batch_size must be at least 3, one per device. Received: 2"):
        build_training(tiny(toy, batch_size=2), TrainingData(pairs, pairs, (64, 96)))


def test_crops_are_as_large_as_the_images_but_no_larger_than_the_tutorials():
    assert default_crop_size(np.array([[300, 200], [100, 449]])) == (320, 480 - 32 + 32 * (449 > 448))
    assert default_crop_size(np.array([[128, 160], [97, 99]])) == (128, 160)
    assert default_crop_size(np.array([[2000, 3000]])) == (320, 480)


def test_a_backbone_starts_from_a_trained_run(trained, toy, tmp_path):
    source = load_model(trained / "best.keras").get_layer("resnet18_v2").get_weights()
    for model in ("fcn8s", "fcn32s"):
        backbone = build_fcn(model, "resnet18_v2", num_classes=5).get_layer("resnet18_v2")
        load_backbone_weights(backbone, str(trained / "best.keras"))
        for weight, expected in zip(backbone.get_weights(), source, strict=True):
            np.testing.assert_array_equal(weight, expected)
    run = train(tiny(toy, epochs=1, weights=str(trained / "best.keras")), tmp_path / "run", report=silent)
    assert run.best_model.is_file()


def test_weights_of_another_backbone_are_refused(trained, tmp_path):
    backbone = build_fcn("fcn32s", "mobilenet_v2", num_classes=5).get_layer("mobilenet_v2")
    with pytest.raises(UserError, match=r"best.keras: is fcn32s_resnet18_v2, without the backbone mobilenet_v2"):
        load_backbone_weights(backbone, str(trained / "best.keras"))
    other = build_fcn("fcn32s", "resnet18_v2", num_classes=5).get_layer("resnet18_v2")
    other.save_weights(tmp_path / "resnet.weights.h5")
    with pytest.raises(UserError, match=r"resnet.weights.h5: does not hold weights of mobilenet_v2"):
        load_backbone_weights(backbone, str(tmp_path / "resnet.weights.h5"))
    before = other.get_weights()
    for variable in other.weights:
        variable.assign(np.zeros(variable.shape))
    load_backbone_weights(other, str(tmp_path / "resnet.weights.h5"))
    for weight, expected in zip(other.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, expected)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ("imagenet", "weights='imagenet': none are published for resnet18_v2; they are for resnet50_v2"),
        ("nothing.keras", "there is no such file. Received: nothing.keras"),
        ("vgg16", "weights takes none, imagenet, or a file: .keras, .weights.h5, .*no such file. Received: vgg16"),
    ],
)
def test_weights_that_cannot_be_had_are_named(weights, message):
    backbone = build_fcn("fcn32s", "resnet18_v2", num_classes=5).get_layer("resnet18_v2")
    with pytest.raises(UserError, match=message):
        load_backbone_weights(backbone, weights)
