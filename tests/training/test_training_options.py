"""Compares the options of a step and of a run with plain arithmetic."""

import dataclasses
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from test_fine_tuning import step, training  # noqa: F401 - a fixture
from tiny_runs import assert_same_run, eagerly, silent, tiny

import keras_fcn
from keras_fcn import ClassTable, Predictor, build_fcn
from keras_fcn.datasets import open_pairs
from keras_fcn.errors import UserError
from keras_fcn.evaluation.evaluate import evaluate
from keras_fcn.evaluation.results import Evaluation
from keras_fcn.inference.models import load_model
from keras_fcn.network.parts import Parts
from keras_fcn.runs.folder import RunFolder
from keras_fcn.runs.names import BACKBONES
from keras_fcn.training.distributed import devices
from keras_fcn.training.distributed.devices import XLA_STEPS, uses_bfloat16, uses_xla
from keras_fcn.training.records.checkpoints import Checkpoints
from keras_fcn.training.train import run_training

pytestmark = pytest.mark.usefixtures("no_pictures")


def length(changes):
    return np.sqrt(sum(np.square(change.astype(np.float64)).sum() for change in changes.values()))


def test_a_clipped_gradient_has_the_length_that_was_asked_for(training):  # noqa: F811
    """The first step of SGD is the gradient times the rate."""
    settings = {"weight_decay": 0.0, "learning_rate": 0.1, "freeze_batch_norm": True}
    clipped = step(training(**settings, clip_norm=0.05))
    with eagerly():
        free, loose = step(training(**settings)), step(training(**settings, clip_norm=1e6))
    assert length(free) > 0.01
    assert length(clipped) == pytest.approx(0.1 * 0.05, rel=1e-3)
    for path, change in free.items():
        expected = change * (0.005 / length(free))
        np.testing.assert_allclose(clipped[path], expected, rtol=0.02, atol=1e-3 * np.abs(expected).max() + 1e-7)
    for path, change in free.items():
        np.testing.assert_allclose(loose[path], change, rtol=1e-3, atol=1e-6)


def test_accumulated_batches_step_by_the_mean_of_their_gradients(training):  # noqa: F811
    settings = {"weight_decay": 0.0, "freeze_batch_norm": True, "batch_size": 2}
    alone = []
    for number in range(2):
        single = training(**settings)
        single.stream.open(number, Path("unused"))
        before = {variable.path: np.asarray(variable) for variable in single.model.variables}
        with eagerly():
            single.make_step(single.stream.next(number), False)
        alone.append(
            {variable.path: np.asarray(variable) - before[variable.path] for variable in single.model.variables}
        )
    both = training(**settings, accumulate=2)
    assert (single.stream.steps_per_epoch, both.stream.steps_per_epoch) == (5, 3)
    for path, change in step(both).items():
        expected = (alone[0][path] + alone[1][path]) / 2
        np.testing.assert_allclose(change, expected, rtol=0.02, atol=1e-3 * np.abs(expected).max() + 1e-7)
    assert both.step == 1


def test_the_average_follows_the_weights(training):  # noqa: F811
    averaged = training(average=0.6)
    kernel = averaged.model.get_layer("score_fr").kernel
    number = [weight.path for weight in averaged.model.weights].index(kernel.path)
    expected = np.asarray(kernel)
    for made in range(8):
        step(averaged)
        decay = min(0.6, (1 + made) / (10 + made))
        expected = decay * expected + (1 - decay) * np.asarray(kernel)
        np.testing.assert_allclose(averaged.make_step.average.variables[number], expected, rtol=1e-4, atol=1e-7)
    assert np.abs(expected - np.asarray(kernel)).max() > 0


def test_the_averaged_network_is_kept_and_training_is_as_without(plain, toy, tmp_path):
    averaged = run_training(tiny(toy, average=0.9, epochs=1), tmp_path / "averaged", report=silent)
    assert [row.loss for row in averaged.read_history()] == [row.loss for row in plain.read_history()]
    kernels = [load_model(run.best_model).get_layer("score_fr").kernel for run in (averaged, plain)]
    assert np.abs(np.asarray(kernels[0]) - np.asarray(kernels[1])).max() > 1e-6


def test_the_input_scale_is_saved_and_training_is_as_without(plain, toy, tmp_path):
    scaled = run_training(tiny(toy, epochs=1, input_scale=0.6), tmp_path / "scaled", report=silent)
    ours, other = load_model(scaled.best_model), load_model(plain.best_model)
    for weight, same in zip(ours.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, same)
    expected = evaluate(Predictor(ours).segment, open_pairs(toy, "val")).confusion_matrix.tolist()
    assert Evaluation.read(scaled.metrics)["confusion_matrix"] == expected
    assert Evaluation.read(plain.metrics)["confusion_matrix"] != expected


def test_a_model_keeps_its_input_scale_when_it_is_trained_again(toy, tmp_path):
    model = build_fcn("fcn32s", "resnet18_v2", num_classes=21, input_scale=0.6)
    settings = {"crop_size": (64, 96), "batch_size": 4, "epochs": 1}
    trained = keras_fcn.train(model, toy, run_dir=tmp_path / "run", report=silent, **settings)
    assert Parts(trained.model).logits.input_scale == 0.6


def test_the_auxiliary_heads_loss_counts_by_its_weight(training, toy, tmp_path):  # noqa: F811
    with_head, without = training(auxiliary=0.4), training()
    own = [v for v in with_head.make_step.groups[0].variables if v.path.startswith("auxiliary")]
    assert [v.path.split("/")[0] for v in own] == [
        "auxiliary_conv", "auxiliary_bn", "auxiliary_bn", "auxiliary_score", "auxiliary_score",
    ]  # fmt: skip
    before = [np.asarray(variable) for variable in own]
    step(with_head)
    step(without)
    assert all((np.asarray(variable) != old).any() for variable, old in zip(own, before))
    assert float(with_head.make_step.loss_sum) > float(without.make_step.loss_sum) + 0.1
    config = tiny(toy, auxiliary=0.4, epochs=1)
    kept = load_model(run_training(config, tmp_path / "run", report=silent).best_model)
    assert not [layer.name for layer in kept.layers if layer.name.startswith("auxiliary")]
    assert kept.output_shape == (None, None, None, 21)


def test_the_auxiliary_head_scores_p4_at_the_size_of_the_image():
    model = build_fcn("fcn32s", "mobilenet_v2", num_classes=5, auxiliary=True)
    image = np.random.default_rng(0).integers(0, 256, (1, 45, 70, 3)).astype(np.float32)
    logits, auxiliary = model(image)
    assert logits.shape == auxiliary.shape == (1, 45, 70, 5)
    np.testing.assert_array_equal(logits, keras.Model(model.input, model.output[0])(image))


def test_training_stops_when_nothing_gets_better(toy, tmp_path):
    """Of equal mean IoUs none is better than another, also where float32 rounds them down."""
    lazy = tiny(toy, epochs=9, patience=2, learning_rate=1e-12, freeze_batch_norm=True, keep_checkpoints=3)
    run = run_training(lazy, tmp_path / "run", report=silent)
    assert [row.epoch for row in run.read_history()] == [1, 2, 3]
    assert [path.name for path in Checkpoints.paths(run)] == ["ckpt-3", "ckpt-2", "ckpt-1"]
    lines = []
    run_training(lazy, resume=run.root, report=lines.append)
    assert lines[-1] == f"Run      {run.root}, finished in epoch 3"
    assert len(run.read_history()) == 3


def test_the_same_command_resumes_the_same_run(plain, toy, tmp_path):
    config = tiny(toy, epochs=1)
    run = RunFolder(shutil.copytree(plain.root, tmp_path / "run"))
    before = {path: path.read_bytes() for path in run.root.rglob("ckpt*")}
    lines = []
    assert run_training(config, tmp_path / "run", report=lines.append).root == run.root
    assert any("finished in epoch 1" in line for line in lines)
    assert {path: path.read_bytes() for path in run.root.rglob("ckpt*")} == before
    with pytest.raises(UserError, match=r"run: already exists, with another epochs, seed; choose another run_dir"):
        run_training(dataclasses.replace(config, epochs=2, seed=1), tmp_path / "run", report=silent)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/notes.txt").write_text("mine")
    with pytest.raises(UserError, match="mine: already exists and is not a run"):
        run_training(config, tmp_path / "mine", report=silent)


def test_a_run_that_was_killed_between_the_files_of_its_first_epoch_and_their_checkpoint_is_resumed(
    plain, toy, tmp_path
):
    run = RunFolder(shutil.copytree(plain.root, tmp_path / "run"))
    for path in run.checkpoints.glob("ckpt-1.*"):
        path.unlink()
    assert [path.name for path in Checkpoints.paths(run)] == ["ckpt-0"]
    assert_same_run(plain, run_training(tiny(toy, epochs=1), tmp_path / "run", report=silent))


class Recorder(keras.callbacks.Callback):
    def __init__(self, replaced):
        super().__init__()
        self.calls, self.replaced = [], replaced

    def on_train_begin(self, logs=None):
        self.calls.append("begin")

    def on_train_batch_end(self, batch, logs=None):
        self.calls.append((batch, sorted(logs)))

    def on_epoch_end(self, epoch, logs=None):
        self.replaced.write_bytes(b"while it trained")
        self.calls.append((epoch, logs["val_mean_iou"]))
        self.model.stop_training = epoch == 0

    def on_train_end(self, logs=None):
        self.calls.append("end")


def test_one_call_trains_in_a_notebook(toy, tmp_path):
    """From a model's own weights, with callbacks; afterwards it has the best weights. A file that changed is named."""
    data = shutil.copytree(toy, tmp_path / "data")
    model = build_fcn("fcn32s", "resnet18_v2", classes=ClassTable.voc())
    given = model.get_weights()
    recorder, lines = Recorder(data / "JPEGImages/train_0003.jpg"), []
    trained = keras_fcn.train(
        model, data, run_dir=tmp_path / "run", callbacks=[recorder], report=lines.append,
        epochs=5, batch_size=4, crop_size=(64, 96), learning_rate=1e-6,
    )  # fmt: skip
    assert "Weights  those of the model that was given" in "\n".join(lines)
    assert [line.split(": ")[0] for line in lines if "Warning" in line] == [f"Warning  {recorder.replaced}"]
    assert recorder.calls[0] == "begin"
    assert recorder.calls[-1] == "end"
    assert recorder.calls[1:4] == [(number, ["loss"]) for number in range(3)]
    assert recorder.calls[4] == (0, trained.history["val_mean_iou"][0])
    assert trained.history["epoch"] == [1]  # the callback stopped it
    for weight, before, best in zip(model.get_weights(), given, trained.model.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, best)
        np.testing.assert_allclose(weight, before, atol=3)
    with pytest.raises(ValueError, match="'mine' was not built by"):
        keras_fcn.train(keras.Model(model.input, model.input, name="mine"), toy)


@pytest.mark.parametrize(
    ("capabilities", "precision", "expected"),
    [
        ([], "auto", False),
        ([(7, 5)], "auto", False),
        ([(8, 0), (9, 0)], "auto", True),
        ([(9, 0), (7, 0)], "auto", False),
        ([], "bfloat16", True),
        ([(9, 0)], "float32", False),
    ],
)
def test_bfloat16_is_for_gpus_that_have_it(monkeypatch, capabilities, precision, expected):
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: capabilities)
    monkeypatch.setattr(tf.config.experimental, "get_device_details", lambda device: {"compute_capability": device})
    assert uses_bfloat16(precision) == expected


@pytest.mark.parametrize("backbone", ["resnet18_v2", "vgg16", "mobilenet_v2", "efficientnet_lite2"])
def test_bfloat16_is_for_processors_that_are_faster_in_it(monkeypatch, backbone):
    depthwise = BACKBONES[backbone].depthwise
    assert not uses_bfloat16("auto", depthwise)
    monkeypatch.setattr(devices, "has_bfloat16", lambda: True)
    assert uses_bfloat16("auto", depthwise) == (backbone in ("resnet18_v2", "vgg16"))
    assert not uses_bfloat16("float32", depthwise)


def test_xla_is_for_a_single_gpu_and_long_runs(monkeypatch):
    one, two = tf.distribute.get_strategy(), tf.distribute.MirroredStrategy(["CPU:0", "CPU:0"][:1])
    assert not uses_xla("auto", one, XLA_STEPS)
    assert not uses_xla("off", one, XLA_STEPS)
    assert uses_xla("on", one, 1)
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda kind: ["a GPU"])
    assert uses_xla("auto", one, XLA_STEPS)
    assert not uses_xla("auto", one, XLA_STEPS - 1)
    monkeypatch.setattr(type(two), "num_replicas_in_sync", 2)
    assert not uses_xla("auto", two, XLA_STEPS)
    with pytest.raises(UserError, match="xla='on' works on one device only"):
        uses_xla("on", two, XLA_STEPS)


def test_what_was_trained_in_bfloat16_is_kept_in_float32(toy, tmp_path):
    run = run_training(tiny(toy, epochs=1, precision="bfloat16"), tmp_path / "run", report=silent)
    model = load_model(run.best_model)
    assert {layer.dtype_policy.name for layer in model.layers} == {"float32"}
    assert np.isfinite(model(np.zeros((1, 64, 96, 3), np.float32))).all()
    assert keras.config.dtype_policy().name == "float32"


def test_xla_makes_the_same_step(training):  # noqa: F811
    plain, compiled = step(training(weight_decay=0.0)), step(training(weight_decay=0.0, xla="on"))
    for path, change in plain.items():
        np.testing.assert_allclose(compiled[path], change, rtol=0.05, atol=1e-2 * np.abs(change).max() + 1e-8)


def test_wrong_options_are_refused():
    for words, message in (
        ({"clip_norm": -1.0}, "clip_norm must not be negative. Received: -1.0"),
        ({"accumulate": 0}, "accumulate must be greater than 0. Received: 0"),
        ({"average": 1.0}, "average must be at least 0 and less than 1. Received: 1.0"),
        ({"keep_checkpoints": 0}, "keep_checkpoints must be greater than 0"),
    ):
        with pytest.raises(UserError, match=message):
            keras_fcn.runs.config.TrainConfig(**words)
