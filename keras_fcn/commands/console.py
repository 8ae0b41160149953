"""The console scripts `keras-fcn-train`, `keras-fcn-evaluate`, ...: pyproject.toml names these functions."""

from __future__ import annotations

import importlib
from collections.abc import Callable

from keras_fcn.system.command_line import run_command


def _script(name: str) -> Callable[[], None]:
    """Returns what runs a command, and imports it only then: none waits for the imports of another."""
    return lambda: run_command(importlib.import_module(f"keras_fcn.commands.{name}").main)


train, evaluate, predict, check, convert, summary = map(
    _script, ("train", "evaluate", "predict", "check", "convert", "summary")
)
