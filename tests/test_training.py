import csv
import dataclasses
import itertools
import json
import math
import os
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from conftest import ROOT, TINY
from PIL import Image

from keras_fcn import ClassTable, build_fcn
from keras_fcn.config import TrainConfig
from keras_fcn.datasets.toy import draw_toy_dataset
from keras_fcn.datasets.voc import read_voc
from keras_fcn.errors import UserError
from keras_fcn.image_files import write_label
from keras_fcn.inference import load_model
from keras_fcn.run_folder import RunFolder
from keras_fcn.training import Training
from keras_fcn.training_data import TrainingData, default_crop_size
from keras_fcn.training_run import run_training as train
from keras_fcn.training_step import TrainingStep
from keras_fcn.weights import load_backbone_weights

COLUMNS = [
    "epoch", "step", "loss", "learning_rate", "seconds", "images_per_second", "waiting_share",
    "val_pixel_accuracy", "val_mean_accuracy", "val_mean_iou", "val_frequency_weighted_iou",
]  # fmt: skip
"""Those before the IoU of each class."""


def silent(_line):
    pass


@pytest.fixture(scope="module")
def whole(toy, tmp_path_factory):
    """A run of two epochs that nothing disturbed; tests only read it."""
    return train(tiny(toy), tmp_path_factory.mktemp("whole") / "run", report=silent)


def tiny(toy, **settings):
    defaults = {"model": "fcn32s", "crop_size": (64, 96), "batch_size": 4, "epochs": 2}
    return TrainConfig(data=str(toy), **{**defaults, **settings})


def exact_history(run):
    """The history without the columns that measure time, None for NaN, which is not equal to itself."""
    return [
        {key: None if math.isnan(value) else value for key, value in row.items() if key not in COLUMNS[4:7]}
        for row in run.read_history()
    ]


def assert_same_run(run, other):
    assert exact_history(run) == exact_history(other)
    assert run.read_metrics() == other.read_metrics()
    weights, others = load_model(run.best_model).get_weights(), load_model(other.best_model).get_weights()
    for weight, other_weight in zip(weights, others, strict=True):
        np.testing.assert_array_equal(weight, other_weight)


class Interruption:
    """Stands for Ctrl-C before step number `step`, counted from 1 over all epochs."""

    def __init__(self, monkeypatch, step):
        original, self.made = TrainingStep.__call__, 0

        def make_step(*arguments):
            self.made += 1
            if self.made == step:
                raise KeyboardInterrupt
            return original(*arguments)

        monkeypatch.setattr(TrainingStep, "__call__", make_step)
        self.undo = monkeypatch.undo


def test_a_run_folder_holds_everything(trained, toy):
    files = {str(path.relative_to(trained)) for path in trained.rglob("*") if path.is_file()}
    assert {
        "config.json", "best.keras", "history.csv", "metrics.json",
        "curves.png", "predictions.png", "confusion.png", "worst.png",
        "checkpoints/checkpoint", "checkpoints/ckpt-1.index",
    } <= files  # fmt: skip
    assert any(file.startswith("tensorboard/events.out.tfevents") for file in files)
    with (trained / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == [*COLUMNS, *(f"val_iou/{name}" for name in read_voc(toy, "train").classes.names)]
    assert [(row["epoch"], row["step"]) for row in rows] == [("1", "3")]
    figures = json.loads((trained / "metrics.json").read_text())
    assert set(figures) == {
        "pixel_accuracy", "mean_accuracy", "mean_iou", "frequency_weighted_iou", "iou", "precision", "recall",
        "images", "confusion_matrix", "image_mean_iou",
    }  # fmt: skip
    assert list(figures["image_mean_iou"]) == read_voc(toy, "val").names
    assert figures["images"] == 3
    assert figures["mean_iou"] == float(rows[0]["val_mean_iou"])
    assert json.loads((trained / "config.json").read_text())["data"] == str(toy)


def test_the_same_seed_repeats_a_run_exactly(toy, whole, tmp_path):
    assert_same_run(whole, train(tiny(toy), tmp_path / "same", report=silent))
    other = train(tiny(toy, seed=1), tmp_path / "other", report=silent)
    assert exact_history(whole) != exact_history(other)


@pytest.mark.parametrize("step", [1, 3, 5])
def test_an_interrupted_run_goes_on_exactly_where_it_was(toy, whole, tmp_path, monkeypatch, step):
    interruption = Interruption(monkeypatch, step)
    with pytest.raises(KeyboardInterrupt, match=rf"go on with python train.py --resume {tmp_path}/parts"):
        train(tiny(toy), tmp_path / "parts", report=silent)
    interruption.undo()
    parts = train(tiny(toy), resume=tmp_path / "parts", report=silent)
    assert_same_run(whole, parts)


def test_a_finished_run_can_be_given_more_epochs(toy, tmp_path):
    run = train(tiny(toy, epochs=1), tmp_path / "run", report=silent)
    longer = train(tiny(toy, epochs=3), resume=run.root, report=silent)
    assert [row["epoch"] for row in longer.read_history()] == [1, 2, 3]


def test_training_learns_to_tell_a_thing_from_the_background(toy, tmp_path):
    """30 steps on ten images must leave the loss of a guess far behind."""
    run = train(tiny(toy, epochs=10, model="fcn16s"), tmp_path / "run", report=silent)
    losses = [row["loss"] for row in run.read_history()]
    assert losses[-1] < 0.5 * losses[0] < np.log(21)


def test_a_checkpoint_of_another_network_is_refused_and_kept(toy, tmp_path):
    run = train(tiny(toy, epochs=1), tmp_path / "run", report=silent)
    before = {path: path.read_bytes() for path in run.root.rglob("*") if path.is_file()}
    with pytest.raises(UserError, match=r"ckpt-1: is damaged or not a checkpoint of fcn8s over mobilenet_v2"):
        train(tiny(toy, model="fcn8s", backbone="mobilenet_v2"), resume=run.root, report=silent)
    assert {path: path.read_bytes() for path in run.root.rglob("*") if path.is_file()} == before


def test_a_loss_that_is_no_number_stops_the_run(toy, tmp_path):
    with pytest.raises(UserError, match=r"the loss became \S+ in step \d, on (train_\d+.jpg(, )?){4}; try a lower"):
        train(tiny(toy, learning_rate=1e30), tmp_path / "run", report=silent)


def test_more_devices_than_images_in_a_batch_are_refused(toy, monkeypatch):
    devices = tf.config.list_logical_devices("CPU") * 3
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda kind: devices if kind == "CPU" else [])
    pairs = read_voc(toy, "train")
    with pytest.raises(UserError, match=r"--batch-size must be at least 3, one per device. Received: 2"):
        Training(tiny(toy, batch_size=2), TrainingData(pairs, pairs, (64, 96)))


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
    ("weights", "complaint"),
    [
        ("imagenet", "--weights imagenet: none are published for resnet18_v2; they are for resnet50_v2"),
        ("nothing.keras", "there is no such file. Received: nothing.keras"),
        ("vgg16", "--weights takes none, imagenet, or a file: .keras, .weights.h5, .*no such file. Received: vgg16"),
    ],
)
def test_weights_that_cannot_be_had_are_named(weights, complaint):
    backbone = build_fcn("fcn32s", "resnet18_v2", num_classes=5).get_layer("resnet18_v2")
    with pytest.raises(UserError, match=complaint):
        load_backbone_weights(backbone, weights)


@pytest.mark.parametrize(("sent", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_ctrl_c_leaves_a_checkpoint_and_says_how_to_go_on(toy, tmp_path, sent, status):
    run = tmp_path / "run"
    command = [sys.executable, "-u", "train.py", "--data", str(toy), "--run-dir", str(run), *TINY, "--epochs", "500"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            if line.startswith("loss"):  # the first epoch is over
                os.kill(process.pid, sent)
                break
        _, complaint = process.communicate(timeout=120)
    assert process.returncode == status
    assert complaint == f"\ninterrupted: go on with python train.py --resume {run}\n"
    with (run / "history.csv").open() as file:
        done = len(list(csv.DictReader(file)))
    assert done >= 1
    config = dataclasses.replace(tiny(toy), epochs=done + 1)
    resumed = train(config, resume=run, report=silent)
    assert [row["epoch"] for row in resumed.read_history()] == list(range(1, done + 2))


def test_a_killed_run_ends_in_the_weights_of_one_that_was_not(toy, tmp_path):
    """`kill -9` twice, at moments that differ from machine to machine; then to the end."""
    undisturbed = train(tiny(toy, epochs=4), tmp_path / "undisturbed", report=silent)
    run = tmp_path / "killed"
    start = ["--data", str(toy), "--run-dir", str(run), *TINY, "--epochs", "4"]
    for arguments, epochs in ((start, 1), (["--resume", str(run)], 1)):
        command = [sys.executable, "-u", "train.py", *arguments]
        with subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        ) as process:
            lines = (line for line in process.stdout if line.startswith("loss"))
            assert len(list(itertools.islice(lines, epochs))) == epochs
            process.kill()
        assert process.returncode == -signal.SIGKILL
    assert_same_run(undisturbed, train(tiny(toy, epochs=4), resume=run, report=silent))


@pytest.mark.parametrize("cut", [1000, -1000])
def test_a_damaged_checkpoint_is_passed_over_for_the_one_before(toy, whole, tmp_path, cut):
    shutil.copytree(whole.root, tmp_path / "damaged")
    run = RunFolder(tmp_path / "damaged")
    newest = run.checkpoint_paths()[0].with_suffix(".data-00000-of-00001")
    newest.write_bytes(newest.read_bytes()[:cut])
    lines = []
    again = train(tiny(toy), resume=run.root, report=lines.append)
    assert any(line.startswith(f"Warning  {run.checkpoints}/ckpt-2: cannot be restored") for line in lines)
    assert_same_run(whole, again)


def test_a_long_epoch_leaves_checkpoints_in_its_middle(toy, whole, tmp_path):
    settings = tiny(toy, checkpoint_minutes=0.0)
    run = train(settings, tmp_path / "run", report=silent)
    # After each of 3 steps and after the epoch, twice.
    assert [path.name for path in run.checkpoint_paths()] == ["ckpt-8", "ckpt-7"]
    for path in run.checkpoints.glob("ckpt-8.*"):
        path.unlink()
    assert_same_run(whole, train(settings, resume=run.root, report=silent))


STEPS_ON_REPLICAS = """
import contextlib, sys
from pathlib import Path
from keras_fcn.environment import start_tensorflow
import tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_visible_devices([], "GPU")
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 4)
import keras, numpy as np
from keras_fcn import training
from keras_fcn.config import TrainConfig
from keras_fcn.datasets.voc import read_voc
from keras_fcn.training_data import TrainingData
keras.config.set_floatx("float64")
keras.config.set_dtype_policy("float64")
training.layer_precision = lambda _: contextlib.nullcontext()
pairs = read_voc(Path(sys.argv[1]), "train")
config = TrainConfig(model="fcn16s", batch_size=4, epochs=1, learning_rate=0.01, loss=("cross_entropy", "dice"))
for replicas in map(int, sys.argv[3:]):
    keras.utils.set_random_seed(0)
    devices = [f"CPU:{number}" for number in range(replicas)]
    strategy = tf.distribute.MirroredStrategy(devices) if replicas > 1 else tf.distribute.OneDeviceStrategy("CPU:0")
    run = training.Training(config, TrainingData(pairs, pairs, (64, 96)), strategy)
    before = run.model.get_weights()
    run.stream.open(0, run.model, Path(sys.argv[2]))
    for step in range(3):
        run.make_step(run.stream.next(step), False)
    flat = {name: np.concatenate([w.ravel() for w in weights])
            for name, weights in (("before", before), ("after", run.model.get_weights()))}
    np.savez(f"{sys.argv[2]}/{replicas}.npz", loss=run.make_step.loss_sum.numpy(), **flat)
"""


def test_one_two_and_four_devices_train_alike(tmp_path):
    """Also where void is spread unevenly over the replicas, and batches go across the end of the pass.

    In float64, to tell rounding from a mistake: float32 differs by 2e-3 of a step's length after one step, and more
    after each. Averaging the replicas' mean losses instead would change the loss by 7e-4 and the step by 3e-3 of its
    length, and batch statistics of one replica alone the step by 0.3.
    """
    data = draw_toy_dataset(tmp_path / "uneven", {"train": 10})
    for path in sorted((data / "SegmentationClass").iterdir())[::2]:
        label = np.array(Image.open(path))
        label[:-8] = 255
        write_label(path, label, ClassTable.voc())
    for numbers in (("1", "2"), ("4",)):  # a process of its own, since devices stay in the group that they first join
        subprocess.run([sys.executable, "-c", STEPS_ON_REPLICAS, data, tmp_path, *numbers], cwd=ROOT, check=True)
    one, *others = (np.load(tmp_path / f"{replicas}.npz") for replicas in (1, 2, 4))
    assert one["loss"] > 3 * (np.log(21) + 0.2)  # the cross-entropy of knowing nothing, and dice of at least that
    assert np.abs(one["after"] - one["before"]).max() > 0.01
    for other in others:
        np.testing.assert_array_equal(one["before"], other["before"])
        np.testing.assert_allclose(one["loss"], other["loss"], rtol=1e-6)  # the loss itself is float32
        np.testing.assert_allclose(one["after"], other["after"], rtol=0, atol=1e-7)
