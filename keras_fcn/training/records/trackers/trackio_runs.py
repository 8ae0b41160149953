"""Runs in Trackio, in the project that TRACKIO_PROJECT names; a run is continued by its name."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from keras_fcn.training.records.trackers import PROJECT, TrackedRun


def open_run(name: str, settings: Mapping[str, Any], key: str | None) -> TrackedRun:
    """Begins or continues a run; see `OpenRun`."""
    import trackio

    project, key = os.environ.get("TRACKIO_PROJECT", PROJECT), key or name
    trackio.init(project=project, name=key, config=dict(settings), resume="allow")
    return _Run(trackio, key)


class _Run:
    def __init__(self, trackio: Any, key: str) -> None:
        self._trackio, self.key = trackio, key

    def log(self, step: int, values: Mapping[str, float]) -> None:
        self._trackio.log(dict(values), step=step)

    def finish(self, files: Sequence[Path], is_finished: bool) -> None:
        self._trackio.finish()
