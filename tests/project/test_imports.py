"""The order of the packages is import-linter's, in pyproject.toml; here is what it cannot see."""

import subprocess
import sys

import pytest
from conftest import ROOT

HEAVY = {"tensorflow", "keras"}
LIGHT_COMMANDS = ["train.py", "evaluate.py", "predict.py"]
LIGHT_MODULES = ["keras_fcn.check", "keras_fcn.summary", "export.saved_model", "export.onnx", "export.openvino",
                 "export.litert", "export.serve"]  # fmt: skip


def loaded_after(program):
    """Names of the heavy modules that a program of its own has loaded at its end."""
    look = f"print({HEAVY!r} & set(sys.modules), file=sys.stderr)"
    program = f"import sys\nsys.argv[1:] = ['--help']\n{program}\nfinally: {look}"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert "usage" in done.stdout, done.stderr
    return done.stderr.strip()


@pytest.mark.parametrize("name", [*LIGHT_COMMANDS, *LIGHT_MODULES])
def test_help_loads_neither_tensorflow_nor_keras(name):
    call = f"run_path({name!r}" if name in LIGHT_COMMANDS else f"run_module({name!r}, alter_sys=True"
    assert loaded_after(f"import runpy\ntry: runpy.{call}, run_name='__main__')") == "set()"


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
