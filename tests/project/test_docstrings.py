"""The examples in docstrings run, and give what they say."""

import doctest
import importlib
import shutil

import pytest
from conftest import ROOT

import keras_fcn

WITH_EXAMPLES = [path for path in sorted((ROOT / "keras_fcn").rglob("*.py")) if "    >>> " in path.read_text("utf-8")]


@pytest.mark.usefixtures("full_width")
@pytest.mark.parametrize("path", WITH_EXAMPLES, ids=lambda path: str(path.relative_to(ROOT)))
def test_examples_run(path, trained, toy, tmp_path, monkeypatch):
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs/NAME").symlink_to(trained)
    (tmp_path / "my_data").symlink_to(toy)
    for name in ("a.jpg", "b.jpg"):
        shutil.copy(toy / "JPEGImages/val_0000.jpg", tmp_path / name)
    monkeypatch.chdir(tmp_path)
    module = importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"))
    model = (
        keras_fcn.build_fcn("fcn32s", "mobilenet_v2", num_classes=3) if "model." in path.read_text("utf-8") else None
    )
    names = {"keras_fcn": keras_fcn, "build_fcn": keras_fcn.build_fcn, "model": model, **vars(module)}
    tests = [test for test in doctest.DocTestFinder().find(module, globs=names) if test.examples]
    for test in tests:
        for example in test.examples:
            example.source = example.source.replace("epochs=20", "epochs=1, report=str")
        assert doctest.DocTestRunner(verbose=False).run(test).failed == 0
    assert tests


def test_there_are_examples():
    assert len(WITH_EXAMPLES) >= 5
