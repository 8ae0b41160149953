"""The number of devices has no say in what is learned."""

import subprocess
import sys

import numpy as np
import pytest
from conftest import ROOT
from PIL import Image

from keras_fcn import ClassTable
from keras_fcn.datasets.toy import draw_toy_dataset
from keras_fcn.images.masks import write_label

STEPS_ON_REPLICAS = """
import contextlib, sys
from pathlib import Path
sys.path.append("tests/support")
import narrow
from keras_fcn.system.startup import start_tensorflow
import tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_visible_devices([], "GPU")
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 4)
tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})  # a third of the time
import keras, numpy as np
from keras_fcn.training import build
from keras_fcn.runs.config import TrainConfig
from keras_fcn.datasets import inspect_pairs
from keras_fcn.datasets.balance.rare import rare_classes
from keras_fcn.datasets.layouts.voc import read_voc
from keras_fcn.training.inputs.data import TrainingData
from keras_fcn.training.inputs.unlabelled import open_unlabelled
keras.config.set_floatx("float64")
keras.config.set_dtype_policy("float64")
build.layer_precision = lambda _: contextlib.nullcontext()
pairs = read_voc(Path(sys.argv[1]), "train")
alone, _ = open_unlabelled(sys.argv[1] + "/JPEGImages", pairs, (), print)
options = {"batch_size": 4, "epochs": 1, "learning_rate": 0.01, "loss": ("cross_entropy", "dice"), "balance": "windows"}
rare = rare_classes(inspect_pairs(pairs).pixels[:, :21])
config = TrainConfig(model="fcn4s", context=sys.argv[3], unlabelled="them", pseudo_threshold=0.0, **options)
for replicas in map(int, sys.argv[4:]):
    keras.utils.set_random_seed(0)
    devices = [f"CPU:{number}" for number in range(replicas)]
    strategy = tf.distribute.MirroredStrategy(devices) if replicas > 1 else tf.distribute.OneDeviceStrategy("CPU:0")
    run = build.build_training(config, TrainingData(pairs, pairs, (64, 96), rare=rare, unlabelled=alone), strategy)
    before = run.model.get_weights()
    run.stream.open(0, Path(sys.argv[2]))
    for step in range(3):
        run.make_step(run.stream.next(step), False)
    flat = {name: np.concatenate([w.ravel() for w in weights])
            for name, weights in (("before", before), ("after", run.model.get_weights()))}
    np.savez(f"{sys.argv[2]}/{replicas}.npz", loss=run.make_step.loss_sum.numpy(), near=run.stream._rare.ranges, **flat)
"""


@pytest.mark.parametrize("replicas", [2, pytest.param(4, marks=pytest.mark.slow)])
def test_one_device_and_several_train_alike(tmp_path, replicas):
    """Also with images that a teacher labels, crops around rare classes, and void spread unevenly over the replicas.

    Batches go across the end of the pass. A process has one number of replicas beside one device: TensorFlow's
    strategies of several numbers exclude each other (findings/tensorflow_mirrored_groups.sh).

    In float64, to tell rounding from a mistake: float32 differs by 2e-3 of a step's length after one step, and more
    after each. Averaging the replicas' mean losses instead would change the loss by 7e-4 and the step by 3e-3 of its
    length, and batch statistics of one replica alone the step by 0.3.
    """
    data = draw_toy_dataset(tmp_path / "uneven", {"train": 10})
    for path in sorted((data / "SegmentationClass").iterdir())[::2]:
        label = np.array(Image.open(path))
        label[:-8] = 255
        write_label(path, label, ClassTable.voc())
    command = [sys.executable, "-c", STEPS_ON_REPLICAS, data, tmp_path, "aspp", "1", str(replicas)]
    subprocess.run(command, cwd=ROOT, check=True)
    one, more = (np.load(tmp_path / f"{count}.npz") for count in (1, replicas))
    assert one["loss"] > 3 * (np.log(21) + 0.2)  # the cross-entropy of knowing nothing, and dice of at least that
    assert np.abs(one["after"] - one["before"]).max() > 0.01
    assert np.ptp(one["near"], axis=1).max() > 0  # there are positions to draw crops around
    np.testing.assert_array_equal(one["before"], more["before"])
    np.testing.assert_allclose(one["loss"], more["loss"], rtol=1e-6)  # the loss itself is float32
    np.testing.assert_allclose(one["after"], more["after"], rtol=0, atol=1e-7)
