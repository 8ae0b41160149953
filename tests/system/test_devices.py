"""What is said before TensorFlow computes: a GPU that it does not use, a folder for temporary files that is missing."""

import os
import tempfile

import pytest

from keras_fcn.system import startup
from keras_fcn.system.command_line import run_command


@pytest.fixture
def nvidia_smi(tmp_path, monkeypatch):
    """A program that answers as NVIDIA's driver does."""
    program = tmp_path / "nvidia-smi"
    program.write_text('#!/bin/sh\n[ "$1 $2" = "--query-gpu=name --format=csv,noheader" ] && echo "NVIDIA H200"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    startup.report_unused_gpu.cache_clear()
    yield program
    startup.report_unused_gpu.cache_clear()


@pytest.mark.parametrize(
    ("libraries", "reason"),
    [
        (None, "which finds no CUDA libraries: pip install 'tensorflow[and-cuda]'"),
        ("nvidia", "though CUDA libraries are installed: TF_CPP_MIN_LOG_LEVEL=0 shows why"),
    ],
)
def test_a_gpu_that_is_not_used_is_reported_once(nvidia_smi, capsys, monkeypatch, libraries, reason):
    monkeypatch.setattr("tensorflow.config.list_physical_devices", lambda kind: [])
    monkeypatch.setattr("importlib.util.find_spec", lambda name: libraries)
    monkeypatch.setattr("sys.platform", "linux")
    for _ in range(2):
        startup.report_unused_gpu()
    assert capsys.readouterr().err == f"Devices  NVIDIA H200 is not used by TensorFlow, {reason}\n"


@pytest.mark.parametrize("change", ["seen by TensorFlow", "hidden by the user", "driver without a GPU"])
def test_nothing_is_said_of_other_gpus(nvidia_smi, capsys, monkeypatch, change):
    monkeypatch.setattr("tensorflow.config.list_physical_devices", lambda kind: ["GPU"] * change.startswith("seen"))
    if change == "hidden by the user":
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    if change == "driver without a GPU":
        nvidia_smi.write_text("#!/bin/sh\nexit 9\n")
        monkeypatch.setattr(startup, "DRIVER", nvidia_smi / "gpus")
    startup.report_unused_gpu()
    assert capsys.readouterr().err == ""


def test_a_folder_for_temporary_files_is_asked_for_in_one_line(monkeypatch, capsys):
    with monkeypatch.context() as patch:
        patch.setattr(tempfile, "tempdir", None)
        patch.setattr(tempfile, "_candidate_tempdir_list", lambda: [])
        with pytest.raises(SystemExit) as stop:
            run_command(startup.start_tensorflow)
    message = "error: no folder for temporary files can be written; set TMPDIR to one that can\n"
    assert (stop.value.code, capsys.readouterr().err) == (2, message)
