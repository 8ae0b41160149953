"""Locales whose encoding lacks letters: GBK, ASCII."""

import ast
import os
import subprocess
import sys

import pytest
from conftest import ROOT

HISTORY = """
import sys
from pathlib import Path
from keras_fcn.runs.folder import RunFolder
from keras_fcn.runs.history import EpochRow
from keras_fcn.system.command_line import run_command

def main():
    run, row = RunFolder(Path(sys.argv[1])), EpochRow(1, 9, *[0.5] * 9, {"猫": 0.25})
    run.write_history([row])
    print(*run.read_history()[0].val_iou, "café")

run_command(main)
"""


def test_a_locale_without_utf_8_changes_no_file_and_ends_no_run(tmp_path):
    environment = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONPATH": str(ROOT)}
    script = tmp_path / "script.py"
    script.write_text(HISTORY, encoding="utf-8")
    ran = subprocess.run([sys.executable, script, tmp_path], env=environment, capture_output=True, check=False)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, rb"\u732b caf\xe9" + b"\n", b"")
    assert (tmp_path / "history.csv").read_text(encoding="utf-8").splitlines()[0].endswith(",val_iou/猫")


def is_of_text(call):
    """Whether a call reads or writes text, as far as its own words tell: `Image.open(file)` does not."""
    name, keywords = getattr(call.func, "attr", getattr(call.func, "id", "")), {word.arg for word in call.keywords}
    if name == "open":
        mode = call.args[0] if call.args else ast.Constant("r")
        is_mode = isinstance(mode, ast.Constant) and isinstance(mode.value, str) and set(mode.value) <= set("rwax+")
        return is_mode and not {"fileobj", "driver"} & keywords
    return name in ("read_text", "write_text") or "text" in keywords


@pytest.mark.parametrize("folder", ["keras_fcn", "export", "docs", "benchmarks", "notebooks", ""])
def test_every_text_file_is_opened_as_utf_8(folder):
    unnamed = [
        f"{file}:{call.lineno}"
        for file in (ROOT / folder).glob("**/*.py" if folder else "*.py")
        for call in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(call, ast.Call) and is_of_text(call)
        if "encoding" not in [keyword.arg for keyword in call.keywords]
    ]
    assert unnamed == []
