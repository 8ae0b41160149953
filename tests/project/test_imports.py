"""The order of the packages is import-linter's, in pyproject.toml; here is what it cannot see."""

import json
import subprocess
import sys

import pytest
from conftest import ROOT

LIGHT_COMMANDS = ["train.py", "evaluate.py", "predict.py"]
LIGHT_MODULES = ["keras_fcn.check", "keras_fcn.convert", "keras_fcn.summary", "export.saved_model", "export.onnx",
                 "export.openvino", "export.litert", "export.hub", "export.serve",
                 "export.benchmark", "export.web"]  # fmt: skip


HELP = """
import contextlib, io, json, runpy, sys
found = {}
for name in sys.argv[1:]:
    shown, status = io.StringIO(), None
    sys.argv = [name, "--help"]
    try:
        with contextlib.redirect_stdout(shown):
            if name.endswith(".py"):
                runpy.run_path(name, run_name="__main__")
            else:
                runpy.run_module(name, {}, "__main__", True)
    except SystemExit as stop:
        status = stop.code
    found[name] = [status, "usage" in shown.getvalue(), sorted({"tensorflow", "keras"} & set(sys.modules))]
print(json.dumps(found))
"""


def test_help_loads_neither_tensorflow_nor_keras():
    """One command after the other, in one process: what any of them loads would stay loaded."""
    names = [*LIGHT_COMMANDS, *LIGHT_MODULES]
    words = [sys.executable, "-c", HELP, *names]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {name: [0, True, []] for name in names}


IMPORT_ALL = """
import os, pkgutil, signal, sys, warnings
import keras, matplotlib, PIL.Image, tensorflow
asked = []
def noting(change):
    def noted(*arguments, **options):
        asked.append(sys._getframe(1).f_globals["__name__"])
        return change(*arguments, **options)
    return noted
warnings.filterwarnings, warnings.simplefilter = noting(warnings.filterwarnings), noting(warnings.simplefilter)
def state():
    return (
        PIL.Image.MAX_IMAGE_PIXELS, sys.path[:], os.getcwd(), dict(os.environ),
        [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)],
        [entry for entry in warnings.filters if issubclass(entry[2], PIL.Image.DecompressionBombWarning)],
        keras.config.dtype_policy().name, keras.config.floatx(),
    )
before = state()
import keras_fcn
names = [module.name for module in pkgutil.walk_packages(keras_fcn.__path__, "keras_fcn.")]
for name in names:
    __import__(name)
assert state() == before, (before, state())
assert not [name for name in asked if name.startswith("keras_fcn")], asked
print(len(names))
"""


def test_importing_every_module_changes_nothing_for_the_process():
    done = subprocess.run([sys.executable, "-c", IMPORT_ALL], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 100


@pytest.mark.parametrize("folder", ["keras_fcn", "export", "tests"])
def test_folders_can_be_overlooked(folder):
    for path in [ROOT / folder, *(ROOT / folder).rglob("*/")]:
        if path.name != "__pycache__":
            entries = [entry.name for entry in path.iterdir() if entry.name != "__pycache__"]
            assert len(entries) <= (18 if path == ROOT / folder else 12), (path, sorted(entries))
