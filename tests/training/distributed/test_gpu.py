"""Checks that need a GPU, in processes that see it; those of other tests do not (conftest.py).

Most are slow: each starts several processes, and in some XLA compiles the step.
"""

import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
from conftest import ROOT, TINY
from PIL import Image
from tiny_runs import assert_same_run

from keras_fcn.runs.folder import RunFolder

pytestmark = pytest.mark.skipif(shutil.which("nvidia-smi") is None, reason="needs an NVIDIA GPU and its nvidia-smi")

STEPS = """
import contextlib, sys
from pathlib import Path
from keras_fcn.system.startup import start_tensorflow
start_tensorflow()
import keras, numpy as np, tensorflow as tf
from keras_fcn.training import build
from keras_fcn.runs.config import TrainConfig
from keras_fcn.datasets.layouts.voc import read_voc
from keras_fcn.training.inputs.data import TrainingData
keras.config.set_floatx("float64")
keras.config.set_dtype_policy("float64")
build.layer_precision = lambda _: contextlib.nullcontext()
pairs = read_voc(Path(sys.argv[1]), "train")
model, loss = sys.argv[3].split(), tuple(sys.argv[4].split())
config = TrainConfig(model=model[0], backbone=model[1], xla=sys.argv[5], loss=loss, batch_size=4, learning_rate=0.01)
keras.utils.set_random_seed(0)
run = build.build_training(config, TrainingData(pairs, pairs, (64, 96)))
before = run.model.get_weights()
run.stream.open(0, Path("none"))
run.make_step(run.stream.next(0), False)
flat = {name: np.concatenate([w.ravel() for w in weights])
        for name, weights in (("before", before), ("after", run.model.get_weights()))}
np.savez(sys.argv[2], loss=run.make_step.loss_sum.numpy(), gpus=len(tf.config.list_logical_devices("GPU")), **flat)
"""


def call(*words, gpu=True):
    """Runs Python in the project's folder, with the first GPU or none, and returns what it printed."""
    environment = {
        **os.environ,
        "CUDA_VISIBLE_DEVICES": "0" if gpu else "-1",
        "TF_FORCE_GPU_ALLOW_GROWTH": "true",  # tests may run side by side
    }
    done = subprocess.run(
        [sys.executable, *map(str, words)], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-6000:]
    return done.stdout


def train(toy, folder, *options):
    """Trains a tiny network on the GPU and returns its run and what was printed."""
    return RunFolder(folder), call("train.py", "--data", toy, "--run-dir", folder, *TINY, *options)


@pytest.mark.slow
@pytest.mark.parametrize("xla", ["off", "on"])
@pytest.mark.parametrize(
    ("model", "loss"), [("fcn8s mobilenet_v2", "cross_entropy"), ("fcn16s resnet18_v2", "cross_entropy dice lovasz")]
)
def test_a_gpu_makes_the_steps_of_a_cpu(toy, tmp_path, model, loss, xla):
    """In float64, to tell rounding from a mistake; the loss itself, and where it is differentiated, is float32."""
    for name, gpu, compiled in (("cpu", False, "off"), ("gpu", True, xla)):
        call("-c", STEPS, toy, tmp_path / f"{name}.npz", model, loss, compiled, gpu=gpu)
    cpu, gpu = (np.load(tmp_path / f"{name}.npz") for name in ("cpu", "gpu"))
    assert (cpu["gpus"], gpu["gpus"]) == (0, 1)
    np.testing.assert_array_equal(gpu["before"], cpu["before"])
    np.testing.assert_allclose(gpu["loss"], cpu["loss"], rtol=1e-5)
    length = np.linalg.norm(cpu["after"] - cpu["before"])
    assert length > 1e-3
    assert np.linalg.norm(gpu["after"] - cpu["after"]) < 1e-5 * length


def test_gpus_that_have_bfloat16_use_it_by_themselves(toy, tmp_path):
    _, said = train(toy, tmp_path / "run")
    asked = "import tensorflow as tf; get = tf.config.experimental.get_device_details"
    major = call("-c", f"{asked}; print(get(tf.config.list_physical_devices('GPU')[0])['compute_capability'][0])")
    assert f"on GPU:0 in {'bfloat16' if int(major) >= 8 else 'float32'}\n" in said


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        ("--loss", "cross_entropy", "dice", "lovasz", "--ohem", 0.25, "--label-smoothing", 0.1, "--xla", "on"),
        ("--model", "fcn8s", "--backbone", "mobilenet_v2", "--context", True, "--input-scale", 0.8, "--average", 0.9),
        ("--freeze-backbone", 1, "--epochs", 2, "--cache-features", 0.1, "--balance", "weights", "--xla", "on"),
        ("--auxiliary", 0.4, "--clip-norm", 1, "--accumulate", 2, "--optimizer", "adamw", "--freeze-batch-norm", True),
        ("--strategy", "mirrored", "--precision", "float32", "--model", "fcn16s", "--rotate", 10),
    ],
)
def test_every_option_of_the_step_runs_on_a_gpu(toy, tmp_path, options):
    run, said = train(toy, tmp_path / "run", *options)
    assert "on GPU:0 in " in said
    assert all(np.isfinite(row.loss) for row in run.read_history())


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        ("--model", "fcn8s", "--backbone", "mobilenet_v2", "--context", True, "--xla", "on"),
        ("--loss", "cross_entropy", "dice", "lovasz", "--precision", "float32"),
    ],
)
def test_deterministic_runs_end_in_the_same_bits(toy, tmp_path, options):
    runs = [train(toy, tmp_path / name, "--deterministic", True, *options)[0] for name in ("one", "two")]
    assert_same_run(*runs)


@pytest.mark.slow
def test_a_run_resumes_exactly_on_a_gpu(toy, tmp_path):
    """Killed after the first epoch, and resumed."""
    options = ("--deterministic", True, "--epochs", 6)
    whole, _ = train(toy, tmp_path / "whole", *options)
    folder = tmp_path / "parted"
    call("-c", KILL_AFTER_AN_EPOCH, "--data", toy, "--run-dir", folder, *TINY, *options)
    assert len(RunFolder(folder).read_history()) < 6
    call("train.py", "--resume", folder)
    assert_same_run(whole, RunFolder(folder))


KILL_AFTER_AN_EPOCH = """
import subprocess, sys
with subprocess.Popen([sys.executable, "-u", "train.py", *sys.argv[1:]], stdout=subprocess.PIPE, text=True) as process:
    for line in process.stdout:
        if line.startswith("loss"):
            process.kill()
            break
assert process.returncode == -9, process.returncode
"""


@pytest.mark.slow
def test_masks_metrics_and_exports_of_a_gpu_are_those_of_a_cpu(toy, tmp_path):
    """All but a few pixels, since convolutions of a GPU round to TensorFloat-32, with 10 bits."""
    run, _ = train(toy, tmp_path / "run", "--model", "fcn8s", "--epochs", 4)
    metrics, masks = {}, {}
    call("export/saved_model.py", run.root, tmp_path / "exported")
    for name, gpu, source in (
        ("cpu", False, run.root), ("gpu", True, run.root), ("exported", True, tmp_path / "exported")
    ):  # fmt: skip
        call("evaluate.py", source, "--data", toy, "--json", tmp_path / f"{name}.json", gpu=gpu)
        metrics[name] = json.loads((tmp_path / f"{name}.json").read_text())["mean_iou"]
        call("predict.py", source, toy / "JPEGImages", "--out", tmp_path / name, gpu=gpu)
        masks[name] = {
            path.name: np.array(Image.open(path)) for path in sorted((tmp_path / name / "masks").glob("*.png"))
        }
    assert len(masks["cpu"]) == 13
    for name in ("gpu", "exported"):
        assert abs(metrics[name] - metrics["cpu"]) < 0.01
        assert masks[name].keys() == masks["cpu"].keys()
        for image, mask in masks["cpu"].items():
            assert (masks[name][image] == mask).mean() > 0.99
