"""Runs in Weights & Biases, in the project that WANDB_PROJECT names."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from keras_fcn.training.records.trackers import PROJECT, TrackedRun


def open_run(name: str, settings: Mapping[str, Any], key: str | None) -> TrackedRun:
    """Begins or continues a run; see `OpenRun`."""
    import wandb

    project = os.environ.get("WANDB_PROJECT", PROJECT)
    return _Run(wandb.init(project=project, name=name, config=dict(settings), id=key, resume="allow"))


class _Run:
    def __init__(self, run: Any) -> None:
        self._run, self.key = run, str(run.id)

    def log(self, step: int, values: Mapping[str, float]) -> None:
        self._run.log(dict(values), step=step)

    def finish(self, files: Sequence[Path], is_finished: bool) -> None:
        for file in files:
            self._run.save(str(file), base_path=str(file.parent), policy="now")
        self._run.finish(exit_code=0 if is_finished else 1)
