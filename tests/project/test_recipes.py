"""Every recipe can be run by the command that it opens with."""

import shlex

import pytest
from conftest import ROOT

from keras_fcn.commands.train import parse_train_options
from keras_fcn.runs.names import BACKBONES

RECIPES = sorted((ROOT / "recipes").glob("*.yaml"))


def test_there_are_recipes():
    assert len(RECIPES) >= 3


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_opens_with_its_command_its_time_and_its_result(path, monkeypatch):
    monkeypatch.chdir(ROOT)
    first, second, *_ = path.read_text(encoding="utf-8").split("\n")
    program, script, *words = shlex.split(first.removeprefix("# "))
    assert (program, script, second) == ("python", "train.py", "#")
    assert words[:2] == ["--config", f"recipes/{path.name}"]
    config = parse_train_options(words).settings
    assert config.backbone in BACKBONES
    comments = [line for line in path.read_text(encoding="utf-8").split("\n") if line.startswith("#")]
    assert "Time" in "".join(comments)
    assert "esult" in "".join(comments)
    assert config.weights != "imagenet" or BACKBONES[config.backbone].imagenet
