"""Every command in README.md, CONTRIBUTING.md, docs/ and the hints of train.py is one that the program understands."""

import dataclasses
import importlib
import re
import shlex
import sys

import pytest
from conftest import ROOT, Call

from export.benchmark import BenchmarkOptions
from export.formats.conversion import FormatOptions
from export.hub import HubOptions
from export.onnx import OnnxOptions
from export.server.options import ServeOptions
from export.web.__main__ import WebOptions
from keras_fcn.commands.check import CheckOptions
from keras_fcn.commands.convert import ConvertOptions
from keras_fcn.commands.evaluate import EvaluateOptions
from keras_fcn.commands.predict import PredictOptions
from keras_fcn.commands.summary import SummaryOptions
from keras_fcn.commands.train import NEXT_STEPS, TrainOptions, parse_train_options
from keras_fcn.system.command_line import parse_options

PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
PROGRAM = r"python (?:[a-z]+\.py|benchmarks/[a-z_]+\.py|-m (?:keras_fcn|export)\.[a-z_.]+)(?=\s|$|`)"
OPTIONS = {
    "train.py": TrainOptions,
    "evaluate.py": EvaluateOptions,
    "predict.py": PredictOptions,
    "keras_fcn.check": CheckOptions,
    "keras_fcn.convert": ConvertOptions,
    "keras_fcn.summary": SummaryOptions,
    "export.serve": ServeOptions,
    "export.benchmark": BenchmarkOptions,
    "export.web": WebOptions,
    "export.hub": HubOptions,
    "export.onnx": OnnxOptions,
    **dict.fromkeys(("export.openvino", "export.litert"), FormatOptions),
}
STANDS_FOR = {"N": "2", "OPTIONS": "", "...": "", "…": ""}
"""Words of pages that stand for something that an option's own type would refuse."""


def commands_of(text):
    """The commands in the code blocks of a page, without what is piped into them, and in its text."""
    text = re.sub(r"\s*\\\n\s*", " ", text)
    blocks = re.findall(r"^(?: {4}|\t)(.*)$", text, re.MULTILINE)
    for fenced in re.findall(r"^```(?:bash|sh|console)?\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
        blocks += fenced.splitlines()
    lines = [" ".join(span.split()) for span in re.findall(r"(?<!`)`([^`]+)`(?!`)", text)] + blocks
    for line in lines:
        command = re.match(rf"(?:.*\| |[A-Z_]+=\S+ )*({PROGRAM}.*)", line.strip())
        if command:
            yield command[1]


def all_commands():
    hints = [line.split(": ", 1)[1].strip() for line in NEXT_STEPS.strip().splitlines()]
    names = {"run": "RUN", **{name: f"python {name}.py" for name in ("train", "evaluate", "predict")}}
    found = {re.split(r"\s{4}", hint.format(**names))[0]: "train.py" for hint in hints}
    for page in PAGES:
        found.update(dict.fromkeys(commands_of(page.read_text(encoding="utf-8")), page.name))
    return [pytest.param(command, id=f"{page}: {command}") for command, page in sorted(found.items())]


def options_of(program):
    """The dataclass of the options of a module that is called as `python -m PROGRAM`."""
    found = [
        value
        for name, value in vars(importlib.import_module(program)).items()
        if name.endswith("Options") and dataclasses.is_dataclass(value) and value.__module__ == program
    ]
    assert len(found) == 1, f"{program} has the options {found}"
    return found[0]


@pytest.mark.parametrize("command", all_commands())
def test_the_program_understands(command, monkeypatch):
    monkeypatch.chdir(ROOT)
    _, *words = [STANDS_FOR.get(word, word) for word in shlex.split(command, comments=True)]
    program, *words = [word for word in words if word and word != "-m"]
    if "--help" in words:
        assert words == ["--help"]
        words = []
    if program.startswith(("benchmarks/", "docs/")):
        monkeypatch.setattr(sys, "path", [str(ROOT / "benchmarks"), *sys.path])
        shown = Call(program, "--help").out
        ours = words[: words.index("--")] if "--" in words else words
        assert [word for word in ours if word.startswith("--") and word not in shown] == []
    elif program == "train.py" and "recipes/" in command:
        parse_train_options(words)
    elif words:
        parse_options(OPTIONS.get(program) or options_of(program), words)
    else:
        assert program in OPTIONS or (ROOT / program).is_file() or options_of(program)


def test_commands_are_found():
    page = (
        "Text `python train.py\n--resume RUN` and\n\n    find x | python predict.py A - \\\n        --out B   # why\n"
    )
    assert list(commands_of(page)) == ["python train.py --resume RUN", "python predict.py A - --out B   # why"]
    assert len(all_commands()) > 40


def test_a_wrong_option_would_be_found(monkeypatch):
    with pytest.raises(Exception, match="--epoch-count"):
        test_the_program_understands("python train.py --epoch-count 3", monkeypatch)


def test_files_and_targets_that_pages_name_exist():
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for name in re.findall(r"pip install -r ([\w./-]+\.txt)", text):
            assert (ROOT / name).is_file(), f"{page.name}: {name}"
        for target in re.findall(r"`make ([a-z-]+)`|^    make ([a-z-]+)", text, re.MULTILINE):
            assert "".join(target) in targets, f"{page.name}: make {''.join(target)}"
