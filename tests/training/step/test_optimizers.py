import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_fcn.network.fcn import build_fcn
from keras_fcn.runs.config import OptimizerOptions
from keras_fcn.training.step.optimizers import SGD, AdamW, Schedule, build_parameter_groups
from keras_fcn.training.step.weight_average import WeightAverage


def rates(schedule, steps):
    return np.array([float(schedule(step)) for step in range(steps)])


def test_poly_falls_with_the_power_0_9():
    steps = np.arange(51)
    np.testing.assert_allclose(rates(Schedule("poly", 0.2, 50), 51), 0.2 * (1 - steps / 50) ** 0.9, rtol=1e-5)


def test_cosine_is_keras_own():
    theirs = keras.optimizers.schedules.CosineDecay(0.2, 50)
    np.testing.assert_allclose(rates(Schedule("cosine", 0.2, 50), 51), rates(theirs, 51), rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("kind", ["poly", "cosine", "constant"])
def test_a_warm_up_rises_to_the_peak_and_the_rest_is_the_schedule_over_fewer_steps(kind):
    found = rates(Schedule(kind, 1.0, 14, warmup_steps=4), 14)
    np.testing.assert_allclose(found[:4], [0.25, 0.5, 0.75, 1.0], rtol=1e-6)
    np.testing.assert_allclose(found[4:], rates(Schedule(kind, 1.0, 10), 10), rtol=1e-6)
    assert math.isclose(found.max(), 1.0)


def test_an_optimizer_that_starts_later_is_on_the_same_schedule():
    whole = rates(Schedule("poly", 0.2, 50), 50)
    np.testing.assert_allclose(rates(Schedule("poly", 0.2, 50, first_step=20), 30), whole[20:], rtol=1e-5)


def test_a_schedule_survives_its_config():
    schedule = Schedule("cosine", 0.2, 50, 5, 3)
    assert Schedule(**schedule.get_config()).get_config() == schedule.get_config()


@pytest.mark.parametrize("backbone", ["resnet18_v2", "mobilenet_v2"])
@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_decay_pulls_on_convolution_kernels_only(backbone, optimizer):
    """With gradients of zero, a step leaves everything as it was but what decays, at the rate of its group."""
    keras.utils.set_random_seed(0)
    model = build_fcn("fcn8s", backbone, num_classes=3)
    model.get_layer("score_pool3").kernel.assign(keras.ops.ones_like(model.get_layer("score_pool3").kernel))
    options = OptimizerOptions(optimizer, learning_rate=0.1, weight_decay=0.01, backbone_rate=0.5)
    before = {variable.path: np.asarray(variable) for variable in model.trainable_variables}
    for group in build_parameter_groups(options, model, 10**6, 1):
        group.optimizer.apply([keras.ops.zeros_like(variable) for variable in group.variables], group.variables)
    in_backbone = {variable.path for variable in model.get_layer(backbone).trainable_variables}
    for variable in model.trainable_variables:
        decays = "kernel" in variable.name and not variable.path.split("/")[-2].startswith("upscore")
        kept = 1 - 0.001 * decays * (0.5 if variable.path in in_backbone else 1)
        np.testing.assert_allclose(np.asarray(variable), before[variable.path] * kept, rtol=1e-5)


@pytest.mark.parametrize(
    ("ours", "kind", "options"),
    [(SGD, keras.optimizers.SGD, {"momentum": 0.9}), (AdamW, keras.optimizers.AdamW, {"epsilon": 1e-3})],
)
def test_the_optimizers_are_those_of_keras(ours, kind, options):
    rng = np.random.default_rng(0)
    start, gradients = rng.normal(size=(3, 4)), rng.normal(size=(20, 3, 4))
    found = []
    for optimizer_class in (ours, kind):
        variable = keras.Variable(start, dtype="float32")
        optimizer = optimizer_class(Schedule("poly", 0.3, 20), weight_decay=0.01, **options)
        for gradient in gradients:
            optimizer.apply([keras.ops.cast(gradient, "float32")], [variable])
        found.append(np.asarray(variable))
    assert np.abs(found[0] - start).min() > 0.01
    np.testing.assert_allclose(*found, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_what_a_step_changes_is_changed_in_place(optimizer):
    """Assigned tensors, instead of added ones, would make TensorFlow's pool of memory grow with the steps."""
    model = build_fcn("fcn8s", num_classes=3)
    average = WeightAverage(model, 0.9)
    groups = build_parameter_groups(OptimizerOptions(optimizer), model, 8, 7)

    @tf.function
    def update(step):
        for group in groups:
            group.optimizer.apply([keras.ops.ones_like(variable) for variable in group.variables], group.variables)
        average.update(step)

    operations = update.get_concrete_function(tf.constant(0)).graph.get_operations()
    kernels = {"sgd": "ResourceApplyKerasMomentum", "adamw": "ResourceApplyAdam"}
    updates = [operation for operation in operations if operation.type == kernels[optimizer]]
    assert len(updates) == len(model.trainable_variables)
    assigned = [operation.inputs[1].shape for operation in operations if operation.type == "AssignVariableOp"]
    assert all(shape.rank == 0 for shape in assigned), assigned


def test_every_variable_is_in_one_group():
    model = build_fcn("fcn8s", "resnet18_v2", num_classes=3)
    head, backbone = build_parameter_groups(OptimizerOptions(), model, 8, 1)
    paths = [variable.path for group in (head, backbone) for variable in group.variables]
    assert sorted(paths) == sorted(variable.path for variable in model.trainable_variables)
    assert {variable.path.split("/")[0] for variable in head.variables} == {
        "score_fr", "upscore2", "score_pool4", "upscore_pool4", "score_pool3", "upscore8",
    }  # fmt: skip


def test_rates_and_momentum_of_the_groups():
    model = build_fcn("fcn32s", num_classes=2)
    options = OptimizerOptions(backbone_rate=0.1, freeze_backbone=3)
    head, backbone = (group.optimizer for group in build_parameter_groups(options, model, epochs=10, steps_per_epoch=7))
    assert isinstance(head, keras.optimizers.SGD)
    assert head.momentum == backbone.momentum == 0.9
    assert math.isclose(float(head.learning_rate), 0.05, rel_tol=1e-6)
    assert math.isclose(float(backbone.learning_rate), 0.005 * (1 - 21 / 70) ** 0.9, rel_tol=1e-6)
    adamw, _ = build_parameter_groups(OptimizerOptions("adamw"), model, 8, 7)
    assert math.isclose(float(adamw.optimizer.learning_rate), 0.001, rel_tol=1e-6)
    assert adamw.optimizer.weight_decay == 0.01
