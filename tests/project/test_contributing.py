"""The worked examples of CONTRIBUTING.md do what it says of them, and the places that it names exist."""

import json
import re
import sys
import types

import numpy as np
import pytest
import tensorflow as tf
import yaml
from conftest import ROOT
from layouts import save, scene

import keras_fcn
from keras_fcn.datasets import LAYOUTS, find_layout, open_pairs
from keras_fcn.errors import UserError
from keras_fcn.network.backbones import build_backbone
from keras_fcn.runs import names
from keras_fcn.training.losses import SegmentationLoss
from keras_fcn.training.losses.cross_entropy import summed_cross_entropy

TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^## (.*)\n(?:(?!## ).*\n)*?```python\n((?s:.*?))```", TEXT, re.MULTILINE)


def run_example(title):
    names = {}
    exec(dict(EXAMPLES)[title], names)
    return names


def test_examples_are_short():
    assert [title for title, _ in EXAMPLES] == ["A backbone", "A data set layout", "A loss"]
    assert all(len(code.splitlines()) < 40 for _, code in EXAMPLES)


def test_the_backbone_has_features_at_three_strides_and_learns(tmp_path):
    plain = run_example("A backbone")["plain"]()
    shapes = build_backbone(plain).compute_output_shape((1, 64, 96, 3))
    assert {level: tuple(shape)[1:3] for level, shape in shapes.items()} == {"P3": (8, 12), "P4": (4, 6), "P5": (2, 3)}
    with pytest.raises(UserError, match=r"fcn4s'? needs a backbone that returns P2, P3, P4 and P5. Received: .*plain"):
        keras_fcn.build_fcn("fcn4s", plain, num_classes=3)
    network = keras_fcn.build_fcn("fcn8s", plain, num_classes=3)
    image = np.random.default_rng(0).integers(0, 256, (1, 33, 65, 3)).astype(np.float32)
    with tf.GradientTape() as tape:
        logits = network(image, training=True)
        loss = tf.reduce_mean(tf.square(logits - 1.0))
    assert logits.shape == (1, 33, 65, 3)
    assert all(gradient is not None for gradient in tape.gradient(loss, network.trainable_variables))
    network.save(tmp_path / "plain.keras")
    assert keras_fcn.Predictor(tmp_path / "plain.keras")(image[0].astype(np.uint8)).shape == (33, 65)


@pytest.mark.parametrize("title", [title for title, _ in EXAMPLES])
def test_the_line_for_the_table_finds_the_example(title, monkeypatch):
    section = re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", TEXT, re.DOTALL | re.MULTILINE)[1]
    (line,) = re.findall(r"^    (\"\w+\": .*),$", section, re.MULTILINE)
    ((name, entry),) = eval(f"{{{line}}}", vars(names)).items()
    monkeypatch.setitem(LAYOUTS, "simulator", None)  # taken out again in the end
    module, _, function = getattr(entry, "function", entry).partition(":")
    example = run_example(title)
    monkeypatch.setitem(sys.modules, module, types.SimpleNamespace(**example))
    assert callable(example[function])
    table = {"A backbone": names.BACKBONES, "A data set layout": names.LAYOUTS, "A loss": names.LOSSES}[title]
    assert (type(entry), module.rpartition(".")[0]) in {
        (type(other), getattr(other, "function", other).partition(":")[0].rpartition(".")[0])
        for other in table.values()
    }
    if title == "A backbone":
        monkeypatch.setitem(names.BACKBONES, name, entry)
        assert build_backbone(name).name == name
    if title == "A loss":
        monkeypatch.setitem(names.LOSSES, name, entry)
        labels, logits = np.zeros((1, 2, 2), np.int32), np.zeros((1, 2, 2, 3), np.float32)
        assert SegmentationLoss([name]).parts(labels, logits)[1].numpy() == [4]


def test_the_layout_is_recognized_and_read(tmp_path, monkeypatch):
    truth = {}
    for seed in range(10):
        photo, truth[f"frame{seed}"] = scene(seed, 3)
        save(tmp_path / f"rgb/frame{seed}.jpg", photo)
        save(tmp_path / f"seg/frame{seed}.png", truth[f"frame{seed}"])
    (tmp_path / "names.json").write_text(json.dumps(["background", "road", "car"]))
    monkeypatch.setitem(LAYOUTS, "simulator", None)
    run_example("A data set layout")
    assert find_layout(tmp_path) == "simulator"
    names = []
    for split in ("train", "val"):
        pairs = open_pairs(tmp_path, split)
        assert pairs.classes.names == ("background", "road", "car")
        for name, path in zip(pairs.names, pairs.labels, strict=True):
            np.testing.assert_array_equal(pairs.read_label(path), truth[name])
        names += pairs.names
    assert sorted(names) == sorted(truth)


def test_the_loss_is_what_numpy_says():
    summed_focal = run_example("A loss")["summed_focal"]
    draw = np.random.default_rng(0)
    labels = draw.choice([0, 1, 2, 255], (2, 5, 7)).astype(np.int32)
    logits = draw.normal(0, 3, (2, 5, 7, 3)).astype(np.float32)
    probabilities = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    right = np.take_along_axis(probabilities, np.minimum(labels, 2)[..., None], -1)[..., 0][labels != 255]
    total, count = summed_focal(labels, logits)
    assert count == right.size
    assert float(total) == pytest.approx(float(np.sum(-((1 - right) ** 2) * np.log(right))), rel=1e-5)
    plain, pixels = summed_cross_entropy(labels, logits)
    assert [float(part) for part in summed_focal(labels, logits, 0.0)] == pytest.approx([float(plain), float(pixels)])


def test_what_it_names_exists():
    for path in re.findall(r"`((?:keras_fcn|tests)/[\w/.]*)`", TEXT):
        assert (ROOT / path).exists(), path
    assert "LOSSES = " in (ROOT / "tests/training/losses/test_losses.py").read_text(encoding="utf-8")
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert set(re.findall(r"\bmake ([a-z-]+)", re.sub(r"\s+#.*", "", TEXT))) <= set(targets)


def test_the_citation_is_of_this_version():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert (citation["version"], citation["license"]) == (keras_fcn.__version__, "Apache-2.0")
    versions = re.findall(r"^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert versions[:2] == ["Unreleased", keras_fcn.__version__]


def test_pre_commit_runs_the_checks_of_make_lint():
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"][0]["hooks"]
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for hook in hooks:
        assert hook["entry"].replace(".venv/bin", "$(BIN)").split(" ")[0] in makefile
    assert [hook["entry"].removeprefix(".venv/bin/") for hook in hooks] == ["ruff format", "ruff check", "mypy"]
