"""The installable package: its console scripts, its version, and what pyproject.toml takes from other files."""

import importlib
import json
import re
import subprocess
import sys

import pytest
from conftest import ROOT, Call

import keras_fcn
from keras_fcn.system.command_line import command_line

PYPROJECT = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
SCRIPTS = dict(re.findall(r'^(keras-fcn-[a-z]+) = "([\w.:]+)"$', PYPROJECT, re.MULTILINE))


def test_there_is_a_script_for_each_command():
    names = ("benchmark", "check", "convert", "evaluate", "export", "predict", "serve", "summary", "train")
    assert sorted(SCRIPTS) == [f"keras-fcn-{name}" for name in names]


HELP = """
import contextlib, io, json, pkgutil, sys
found = {}
for name, function in json.loads(sys.argv[1]).items():
    shown = io.StringIO()
    sys.argv = ["/bin/" + name, "--help"]
    with contextlib.redirect_stdout(shown), contextlib.suppress(SystemExit):
        pkgutil.resolve_name(function)()
    found[name] = [f"usage: {name} " in shown.getvalue(), sorted({"tensorflow", "keras"} & set(sys.modules))]
print(json.dumps(found))
"""


def test_a_console_script_shows_its_own_help_and_does_not_wait_for_tensorflow():
    """One script after the other, in one process: what any of them loads would stay loaded."""
    words = [sys.executable, "-c", HELP, json.dumps(SCRIPTS)]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {name: [True, []] for name in SCRIPTS}


def test_a_mistake_at_a_console_script_is_one_line(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["/bin/keras-fcn-train", "--epochs", "-1"])
    console = importlib.import_module("keras_fcn.commands.console")
    with pytest.raises(SystemExit) as stop:
        console.train()
    complaint = capsys.readouterr().err
    assert (stop.value.code, len(complaint.splitlines())) == (2, 1)
    assert complaint.startswith("error: --epochs must be greater than 0. Received: -1")


@pytest.mark.parametrize(
    ("called", "shown"),
    [("/usr/bin/keras-fcn-train", "keras-fcn-predict"), ("train.py", "python predict.py"), ("", "python predict.py")],
)
def test_hints_name_commands_as_the_user_calls_them(called, shown, monkeypatch):
    monkeypatch.setattr(sys, "argv", [called])
    assert command_line("predict") == shown


def test_the_scripts_at_the_top_only_start_those_of_the_package():
    for name in ("train", "evaluate", "predict"):
        assert len((ROOT / f"{name}.py").read_text().splitlines()) < 10
        assert Call(f"{name}.py", "--help").out.startswith(f"usage: {name}.py ")


def test_dir_lists_the_public_names():
    assert set(keras_fcn.__all__) <= set(dir(keras_fcn))


def test_the_version_can_be_read_without_importing():
    source = (ROOT / "keras_fcn/__init__.py").read_text(encoding="utf-8")
    assert re.findall(r'^__version__ = "(\d+\.\d+\.\d+)"$', source, re.MULTILINE) == [keras_fcn.__version__]


def test_requirement_files_are_such_as_pyproject_may_take():
    named = re.findall(r'file = "(requirements[\w-]*\.txt)"', PYPROJECT)
    assert len(named) >= 3
    for name in named:
        lines = [line.split("#")[0].strip() for line in (ROOT / name).read_text(encoding="utf-8").splitlines()]
        assert any(lines)
        assert [line for line in lines if line.startswith("-")] == [], f"{name}: setuptools reads no options of pip"
