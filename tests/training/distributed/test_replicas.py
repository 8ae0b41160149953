"""The number of devices has no say in what is learned."""

import subprocess
import sys

import numpy as np
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
import keras, numpy as np
from keras_fcn.training import build
from keras_fcn.runs.config import TrainConfig
from keras_fcn.datasets.layouts.voc import read_voc
from keras_fcn.training.inputs.data import TrainingData
from keras_fcn.training.inputs.unlabelled import open_unlabelled
keras.config.set_floatx("float64")
keras.config.set_dtype_policy("float64")
build.layer_precision = lambda _: contextlib.nullcontext()
pairs = read_voc(Path(sys.argv[1]), "train")
alone, _ = open_unlabelled(sys.argv[1] + "/JPEGImages", pairs, (), print)
options = {"batch_size": 4, "epochs": 1, "learning_rate": 0.01, "loss": ("cross_entropy", "dice")}
config = TrainConfig(model="fcn4s", context=sys.argv[3], unlabelled="them", pseudo_threshold=0.0, **options)
for replicas in map(int, sys.argv[4:]):
    keras.utils.set_random_seed(0)
    devices = [f"CPU:{number}" for number in range(replicas)]
    strategy = tf.distribute.MirroredStrategy(devices) if replicas > 1 else tf.distribute.OneDeviceStrategy("CPU:0")
    run = build.build_training(config, TrainingData(pairs, pairs, (64, 96), unlabelled=alone), strategy)
    before = run.model.get_weights()
    run.stream.open(0, Path(sys.argv[2]))
    for step in range(3):
        run.make_step(run.stream.next(step), False)
    flat = {name: np.concatenate([w.ravel() for w in weights])
            for name, weights in (("before", before), ("after", run.model.get_weights()))}
    np.savez(f"{sys.argv[2]}/{replicas}.npz", loss=run.make_step.loss_sum.numpy(), **flat)
"""


def test_one_and_four_devices_train_alike(tmp_path):
    """Also with images that a teacher labels, and where void is spread unevenly over the replicas.

    Batches go across the end of the pass.

    In float64, to tell rounding from a mistake: float32 differs by 2e-3 of a step's length after one step, and more
    after each. Averaging the replicas' mean losses instead would change the loss by 7e-4 and the step by 3e-3 of its
    length, and batch statistics of one replica alone the step by 0.3.
    """
    data = draw_toy_dataset(tmp_path / "uneven", {"train": 10})
    for path in sorted((data / "SegmentationClass").iterdir())[::2]:
        label = np.array(Image.open(path))
        label[:-8] = 255
        write_label(path, label, ClassTable.voc())
    subprocess.run([sys.executable, "-c", STEPS_ON_REPLICAS, data, tmp_path, "aspp", "1", "4"], cwd=ROOT, check=True)
    one, four = (np.load(tmp_path / f"{replicas}.npz") for replicas in (1, 4))
    assert one["loss"] > 3 * (np.log(21) + 0.2)  # the cross-entropy of knowing nothing, and dice of at least that
    assert np.abs(one["after"] - one["before"]).max() > 0.01
    np.testing.assert_array_equal(one["before"], four["before"])
    np.testing.assert_allclose(one["loss"], four["loss"], rtol=1e-6)  # the loss itself is float32
    np.testing.assert_allclose(one["after"], four["after"], rtol=0, atol=1e-7)
