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


def start(folder, end):
    """Starts a stand-in for TensorFlow, which writes as native code does and then ends as told."""
    (folder / "tensorflow.py").write_text(STAND_IN.format(end=end))
    words = [sys.executable, "-c", "from keras_fcn.system.startup import start_tensorflow as start; start()"]
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
    rest = "class get_logger:\n    setLevel = id\nclass config:\n    list_logical_devices = list"
    assert (start(tmp_path, rest).returncode, start(tmp_path, rest).stderr) == (0, "")
