"""What the README promises: its notebook cell runs, its names and options exist."""

import re

import numpy as np
from conftest import ROOT, Call

import keras_fcn

README = (ROOT / "README.md").read_text()


def test_the_notebook_cell_runs(tmp_path, monkeypatch):
    (cell,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
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
    scripts = ("train.py", "predict.py", "evaluate.py", "keras_fcn/summary.py", "export/saved_model.py")
    shown = "".join(Call(script, "--help").out for script in scripts)
    options = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", README)) - {"--logdir"}
    assert len(options) > 8
    assert {option for option in options if option not in shown} == set()
