"""Runs in Trackio, in the project that TRACKIO_PROJECT names; a run is continued by its name."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import trackio

from keras_fcn.training.records.trackers import PROJECT


class _Run:
    def __init__(self, name: str, settings: Mapping[str, Any], key: str | None) -> None:
        project, self.key = os.environ.get("TRACKIO_PROJECT", PROJECT), key or name
        trackio.init(project=project, name=self.key, config=dict(settings), resume="allow")

    def log(self, step: int, values: Mapping[str, float]) -> None:
        trackio.log(dict(values), step=step)

    def finish(self, files: Sequence[Path], is_finished: bool) -> None:
        trackio.finish()


open_run = _Run
