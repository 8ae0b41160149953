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
