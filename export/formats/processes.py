"""Calling a function of these packages in a process of its own, from wherever they lie."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from keras_fcn.errors import UserError

_ROOT = str(Path(__file__).resolve().parents[2])


def call_elsewhere(
    function: str, *arguments: object, given: str = "", variables: Mapping[str, str] | None = None
) -> str:  # fmt: skip
    """Calls a function in a new process, whose output to stderr is only of interest if it fails.

    Args:
        function: "module:function", which takes texts.
        *arguments: Its arguments, as texts.
        given: What it reads on stdin.
        variables: Environment variables beside those of this process.

    Returns:
        What it wrote to stdout.

    Raises:
        UserError: If the process fails or is ended, with the last line that it wrote.
    """
    module, _, name = function.partition(":")
    code = f"import sys; from {module} import {name}; {name}(*sys.argv[1:])"
    path = os.pathsep.join(filter(None, (_ROOT, os.environ.get("PYTHONPATH"))))
    environment = {**os.environ, "PYTHONPATH": path, **(variables or {})}
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        env=environment, input=given, capture_output=True, encoding="utf-8", errors="replace",
    )  # fmt: skip
    if done.returncode:
        raise UserError((done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1])
    return done.stdout
