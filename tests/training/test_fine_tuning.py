"""Frozen backbones, learning rates of their own, and initial weights."""

from pathlib import Path

import keras
import numpy as np
import pytest
from tiny_runs import Interruption, assert_same_run, eagerly, silent, tiny

from keras_fcn import ClassTable, build_fcn
from keras_fcn.datasets.layouts.voc import read_voc
from keras_fcn.errors import UserError
from keras_fcn.training.build import build_training
from keras_fcn.training.inputs.data import TrainingData
from keras_fcn.training.inputs.initial_weights import load_matching_layers
from keras_fcn.training.train import run_training as train

pytestmark = pytest.mark.usefixtures("no_pictures")


@pytest.fixture
def training(toy):
    def make(**settings):
        keras.utils.set_random_seed(0)
        pairs = read_voc(toy, "train")
        return build_training(tiny(toy, **settings), TrainingData(pairs, pairs, (64, 96)))

    return make


def step(training, is_backbone_frozen=False):
    """Makes a step; returns, by path, by how much it changed each variable."""
    before = {variable.path: np.asarray(variable) for variable in training.model.variables}
    training.stream.open(0, Path("unused"))
    training.make_step(training.stream.next(0), is_backbone_frozen)
    return {variable.path: np.asarray(variable) - before[variable.path] for variable in training.model.variables}


def is_head(path):
    return path.startswith(("score", "upscore"))


def changed(changes):
    """The paths of what changed in the head, and in the backbone."""
    paths = {path for path, change in changes.items() if change.any()}
    head = {path for path in paths if is_head(path)}
    return head, paths - head


def test_a_frozen_backbone_stays_as_it_is_and_the_head_does_not(training):
    frozen = training(freeze_backbone=1)
    assert changed(step(frozen, is_backbone_frozen=True)) == (
        {"score_fr/kernel", "score_fr/bias", "upscore32/kernel"}, set()
    )  # fmt: skip
    _, thawed = changed(step(frozen))
    assert {"conv1/kernel", "bn1/moving_mean", "bn1/gamma"} <= thawed
    assert frozen.model.get_layer("resnet18_v2").trainable


def test_frozen_batch_norm_keeps_its_statistics_and_the_rest_is_trained(training):
    _, backbone = changed(step(training(freeze_batch_norm=True)))
    assert not [path for path in backbone if "moving" in path]
    assert {"conv1/kernel", "bn1/gamma"} <= backbone


def test_the_backbone_steps_by_its_rate(training):
    with eagerly():
        whole = step(training(weight_decay=0.0))
    tenth = step(training(weight_decay=0.0, backbone_rate=0.1))
    for path, change in whole.items():
        if "moving" not in path:
            factor = 1.0 if is_head(path) else 0.1
            np.testing.assert_allclose(tenth[path], factor * change, rtol=0.02, atol=1e-7)


@pytest.mark.usefixtures("eager")
def test_a_run_with_a_frozen_start_is_resumed_exactly(toy, tmp_path, monkeypatch):
    settings = {"freeze_backbone": 1, "optimizer": "adamw", "warmup_steps": 2}
    whole = train(tiny(toy, **settings), tmp_path / "whole", report=silent)
    interruption = Interruption(monkeypatch, step=2)
    with pytest.raises(KeyboardInterrupt):
        train(tiny(toy, **settings), tmp_path / "parts", report=silent)
    interruption.undo()
    assert_same_run(whole, train(tiny(toy, **settings), resume=tmp_path / "parts", report=silent))


def randomized(model, seed=0):
    rng = np.random.default_rng(seed)
    for layer in model.layers:
        if not isinstance(layer, keras.Model):
            layer.set_weights([rng.normal(size=weight.shape) for weight in layer.weights])
    return model


@pytest.mark.usefixtures("full_width")
def test_fcn16s_starts_from_fcn32s_and_fcn8s_from_fcn16s(tmp_path):
    keras.utils.set_random_seed(0)
    image = np.random.default_rng(1).uniform(0, 255, (1, 64, 96, 3)).astype(np.float32)
    source = randomized(build_fcn("fcn32s", num_classes=4))
    source.get_layer("upscore32").set_weights(build_fcn("fcn32s", num_classes=4).get_layer("upscore32").get_weights())
    source.save(tmp_path / "32.keras")
    middle = build_fcn("fcn16s", num_classes=4)
    randomized(middle, 2)
    loaded = load_matching_layers(middle, tmp_path / "32.keras")
    assert loaded.description == (
        f"{tmp_path}/32.keras: resnet18_v2, score_fr; upscore2, score_pool4, upscore16 start anew"
    )
    for layer in ("resnet18_v2", "score_fr"):
        for weight, expected in zip(middle.get_layer(layer).get_weights(), source.get_layer(layer).get_weights()):
            np.testing.assert_array_equal(weight, expected)
    assert not np.any(middle.get_layer("score_pool4").kernel)

    middle = build_fcn("fcn16s", num_classes=4)
    load_matching_layers(middle, tmp_path / "32.keras")
    # Away from the border, upsampling twice bilinearly is upsampling once, up to the kernels' discretization: 0.04 of
    # the largest score with this seed, 0.11 with the worst of eight; another function would differ by all of it.
    theirs, ours = (model.predict(image, verbose=0)[0, 24:-24, 24:-24] for model in (source, middle))
    assert np.abs(theirs - ours).max() < 0.05 * np.abs(theirs).max()

    middle.get_layer("score_pool4").kernel.assign(np.ones(middle.get_layer("score_pool4").kernel.shape))
    middle.save(tmp_path / "16.keras")
    last = build_fcn("fcn8s", num_classes=4)
    loaded = load_matching_layers(last, tmp_path / "16.keras")
    assert "upscore2, score_pool4; upscore_pool4, score_pool3, upscore8 start anew" in loaded.description
    np.testing.assert_array_equal(last.get_layer("score_pool4").kernel, middle.get_layer("score_pool4").kernel)


def test_scores_of_classes_of_the_same_name_are_kept_and_others_start_at_0(tmp_path):
    three = ClassTable.named(["background", "cat", "dog"])
    source = build_fcn("fcn32s", classes=three)
    randomized(source, 3)
    source.save(tmp_path / "three.keras")
    model = build_fcn("fcn32s", classes=ClassTable.named(["dog", "bird", "background", "cow"]))
    loaded = load_matching_layers(model, tmp_path / "three.keras")
    assert loaded.description.endswith(
        "three.keras: resnet18_v2, score_fr; upscore32 start anew; scores are kept for dog, background, and start at 0 "
        "for bird, cow"
    )
    for weight, theirs in zip(model.get_layer("score_fr").get_weights(), source.get_layer("score_fr").get_weights()):
        np.testing.assert_array_equal(weight[..., [0, 2]], theirs[..., [2, 0]])
        assert not np.any(weight[..., [1, 3]])
    assert np.any(model.get_layer("upscore32").kernel)


def test_scores_of_other_classes_start_at_0(tmp_path):
    build_fcn("fcn32s", num_classes=3, auxiliary=True).save(tmp_path / "three.keras")
    model = build_fcn("fcn32s", classes=ClassTable(("a", "b", "c"), ClassTable.numbered(3).colors), auxiliary=True)
    loaded = load_matching_layers(model, tmp_path / "three.keras")
    assert loaded.description.endswith(
        "three.keras: resnet18_v2, auxiliary_conv, auxiliary_bn; score_fr, auxiliary_score, upscore32 start anew"
    )
    assert not np.any(model.get_layer("score_fr").kernel)
    assert np.any(model.get_layer("auxiliary_conv").kernel)


def test_a_run_of_another_backbone_is_refused(tmp_path):
    build_fcn("fcn32s", "mobilenet_v2", num_classes=3).save(tmp_path / "other.keras")
    with pytest.raises(UserError, match=r"other.keras: is fcn32s_mobilenet_v2, without the backbone resnet18_v2"):
        load_matching_layers(build_fcn("fcn32s", num_classes=3), tmp_path / "other.keras")


def test_a_run_starts_from_another(toy, trained, tmp_path):
    lines = []
    run = train(tiny(toy, model="fcn16s", epochs=1, init_from=trained), tmp_path / "run", report=lines.append)
    assert any(f"Weights  {trained}/best.keras: resnet18_v2, score_fr; upscore2" in line for line in lines)
    assert run.best_model.is_file()
