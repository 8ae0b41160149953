"""What native code writes while TensorFlow starts: held back, and shown if it fails or ends the process."""

import os
import subprocess
import sys

import pytest
from conftest import ROOT

STAND_IN = """
import os
os.write(2, b"F0000 needs instructions of AVX\\n")
{end}
"""

REST = "class get_logger:\n    setLevel = id\nclass config:\n    list_logical_devices = list"
"""What is asked of TensorFlow when it starts."""


def start(folder, end, program="start()"):
    """Starts a stand-in for TensorFlow, which writes as native code does and then ends as told."""
    (folder / "tensorflow.py").write_text(STAND_IN.format(end=end))
    words = [sys.executable, "-c", f"from keras_fcn.system.startup import start_tensorflow as start\n{program}"]
    path = os.pathsep.join([str(folder), str(ROOT)])
    return subprocess.run(words, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": path})


@pytest.mark.parametrize("end", ["os.abort()", "os.kill(os.getpid(), 4)"])
def test_what_was_written_before_an_abort_is_shown(tmp_path, end):
    ended = start(tmp_path, end)
    assert ended.returncode < 0
    assert ended.stderr == "error: a library ended this process, and wrote before:\nF0000 needs instructions of AVX\n"


def test_it_is_shown_with_an_exception_and_not_without(tmp_path):
    failed = start(tmp_path, "raise ImportError('of no use')")
    assert failed.returncode == 1
    assert failed.stderr.startswith("F0000 needs instructions of AVX\nTraceback")
    assert failed.stderr.endswith("ImportError: of no use\n")
    assert (start(tmp_path, REST).returncode, start(tmp_path, REST).stderr) == (0, "")


COUNTED = """
collections = []
gc.callbacks.append(lambda phase, _: collections.append(phase))
start()
print(collections, gc.isenabled(), gc.get_freeze_count() > 100_000)
more = [[number] for number in range(100_000)]
"""


def test_nothing_is_searched_for_garbage_while_it_is_imported_nor_afterwards(tmp_path):
    """What it consists of is frozen, and so is all that there is when the process ends, before the last search."""
    program = "import atexit, gc\natexit.register(lambda: print(gc.get_freeze_count() > 200_000))\n" + COUNTED
    ended = start(tmp_path, f"{REST}\nobjects = [[number] for number in range(100_000)]", program)
    assert (ended.stderr, ended.stdout) == ("", "[] True True\nTrue\n")


def test_a_command_spares_itself_packages_that_only_other_users_of_keras_need(tmp_path):
    for name in ("sklearn", "jax"):
        (tmp_path / f"{name}.py").write_text("")
    asked = """
try:
    import sklearn, jax
    print("there")
except ImportError:
    print("missing")
"""
    program = "start(whole=False)\nimport sklearn, jax\nprint('afterwards')"
    assert start(tmp_path, REST + asked, program).stdout == "missing\nafterwards\n"
    assert start(tmp_path, REST + asked).stdout == "there\n"
    assert start(tmp_path, REST + asked, f"import sklearn, jax\n{program}").stdout == "there\nafterwards\n"


KERAS = """
import os
class backend:
    backend = staticmethod(lambda: os.environ.get("KERAS_BACKEND"))
"""


def test_keras_computes_by_tensorflow_whatever_the_user_has_set(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    (tmp_path / "keras.py").write_text(KERAS)
    (tmp_path / "wrapt.py").write_text("raise ImportError")  # nothing of ours is registered with this Keras
    brings = f"{REST}\nimport keras"
    asked = start(tmp_path, brings, "start()\nimport keras\nprint(keras.backend.backend())")
    assert (asked.stderr, asked.stdout) == ("", "tensorflow\n")
    late = start(tmp_path, brings, "import keras\nstart()")
    assert late.stderr.splitlines()[-1].endswith(
        "UserError: Keras must compute by TensorFlow here: set KERAS_BACKEND=tensorflow before it is imported. "
        "Received: jax"
    )
