"""The plan at the end of a check: a command line for `train.py`, and the reason of each of its options."""

from __future__ import annotations

import importlib.util
import os
import shlex
from pathlib import Path

from keras_fcn.datasets import Inspection, Pairs
from keras_fcn.runs.names import BACKBONES
from keras_fcn.system.command_line import command_line
from keras_fcn.system.startup import has_gpu
from keras_fcn.training.inputs.cost import matrix_rate
from keras_fcn.training.inputs.plan import Plan, Planner

_INSTALLED, _DOWNLOADED = "efficientnet_lite2", "mobilenet_v2"


def propose(data: list[str], pairs: Pairs, inspection: Inspection, validation: int) -> Plan | None:
    """Returns a plan; None without a pair, or with nothing but void.

    Args:
        data: The options that say which data they are, as words.
        pairs: The split to train on.
        inspection: The result of `inspect_pairs` for it, with thumbnails.
        validation: Number of validation images.
    """
    if not inspection.pixels[:, : pairs.classes.num_classes].any():
        return None
    rate = None if has_gpu() else matrix_rate()
    return Planner(data, pairs, inspection, validation, rate, _backbone()).plan()


def _backbone() -> tuple[str, str]:
    """Returns the best backbone whose weights are installed or, if none is, one whose weights are downloaded."""
    if importlib.util.find_spec(str(BACKBONES[_INSTALLED].arguments[-1])):
        return _INSTALLED, "ImageNet's weights are installed"
    home = Path(os.environ.get("KERAS_HOME", "~/.keras")).expanduser()
    has_it = any(home.glob(f"models/{_DOWNLOADED}_weights*"))
    how = "were downloaded before" if has_it else "are downloaded at the first run"
    return _DOWNLOADED, f"ImageNet's weights {how}; those of {_INSTALLED} are better: requirements-pretrained.txt"


def format_plan(plan: Plan | None) -> str:
    """Returns a plan's command and the reasons of its settings, those of the recipe in parentheses."""
    if plan is None:
        return "\nA plan follows when the findings are mended."
    rows = [(" ".join(choice.words), choice.reason) for choice in plan.choices]
    rows += [(f"({' '.join(choice.words)})", choice.reason) for choice in plan.kept]
    width = max(len(words) for words, _ in rows)
    reasons = [f"  {words.ljust(width)}  {reason}" for words, reason in rows]
    command = f"  {command_line('train')} {shlex.join(plan.words)}"
    title = "A plan for these data; in parentheses what its recipe says already:"
    return "\n".join(["", title, "", command, "", *reasons])
