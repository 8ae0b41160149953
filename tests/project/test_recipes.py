"""Every recipe can be run by the command that it opens with."""

import shlex

import pytest
from conftest import ROOT

from keras_fcn.commands.train import parse_train_options
from keras_fcn.errors import UserError
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


@pytest.mark.parametrize("name", ["half_an_hour", "recipes/half_an_hour.yaml"])
def test_a_recipe_is_found_by_its_name_from_anywhere_unless_there_is_such_a_file(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert parse_train_options(["--config", name]).settings.epochs == 12
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("epochs: 3")
    assert parse_train_options(["--config", name]).settings.epochs == 3


def test_a_recipe_that_is_not_there_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="half_a_day: cannot be read"):
        parse_train_options(["--config", "half_a_day"])
