"""What the README promises: its notebook cell runs, its names and options exist."""

import ast
import re

import numpy as np
from conftest import ROOT, Call

import keras_fcn

README = (ROOT / "README.md").read_text(encoding="utf-8")
CHINESE = (ROOT / "README.zh-CN.md").read_text(encoding="utf-8")
CELL = r"```python\n(.*?)```"


def test_the_notebook_cell_runs(tmp_path, monkeypatch):
    (cell,) = re.findall(CELL, README, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("keras_fcn.datasets.toy.TOY_IMAGES", {"train": 8, "val": 1})
    names = {}
    exec(cell.replace("steps_per_epoch=80", "verbose=0, steps_per_epoch=1"), names)
    assert (names["ids"].dtype, names["rgb"].shape) == (np.uint8, (*names["ids"].shape, 3))
    assert (tmp_path / "my.keras").is_file()


def test_every_public_name_can_be_had():
    for name in keras_fcn.__all__:
        assert getattr(keras_fcn, name) is not None
    assert not hasattr(keras_fcn, "nothing")


def test_every_option_in_the_readme_exists():
    scripts = (
        "train.py",
        "predict.py",
        "evaluate.py",
        "keras_fcn/summary.py",
        "export/saved_model.py",
        "export/serve.py",
        "export/onnx.py",
    )
    shown = "".join(Call(script, "--help").out for script in scripts)
    options = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", README)) - {"--logdir", "--threads"}
    assert len(options) > 8
    assert {option for option in options if option not in shown} == set()


def test_the_chinese_readme_has_the_same_code():
    (cell,), (chinese,) = (re.findall(CELL, text, re.DOTALL) for text in (README, CHINESE))
    assert ast.dump(ast.parse(chinese)) == ast.dump(ast.parse(cell))
    commands, theirs = (
        {
            line.split("#")[0].strip()
            for line in re.findall(r"^ {4}(\S.*)$", re.sub(CELL, "", text, flags=re.DOTALL), re.M)
        }
        for text in (README, CHINESE)
    )
    assert len(theirs) > 15
    assert theirs - commands == set()


def test_the_chinese_readme_says_nothing_that_the_readme_does_not():
    for code in re.findall(r"(?<!`)`([^`\n]+)`(?!`)", CHINESE):
        assert code in README or code in ("void", "logits"), code
    assert set(re.findall(r"\d[\d.,]*\d|\d{2,}", CHINESE)) <= set(re.findall(r"\d[\d.,]*\d|\d{2,}", README))
    for one, other in (("README.md", CHINESE), ("README.zh-CN.md", README)):
        assert f"]({one})" in other
    assert not re.search(r"[\u3001-\uffef]\n[\u3001-\uffef]", CHINESE), "a line break is shown as a gap between words"


def test_links_lead_to_files():
    for text in (README, CHINESE):
        for link in re.findall(r"\]\((?!https?:)([^)#]+)", text):
            assert (ROOT / link).exists(), link
