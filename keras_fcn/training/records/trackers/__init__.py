"""Experiment trackers, one a file, each a function `open_run` that begins or continues a run there."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

PROJECT = "keras-fcn"
"""The project, or experiment, of runs where the tracker's own environment variable names none."""


class TrackedRun(Protocol):
    """A run in a tracker.

    Attributes:
        key: What continues it later.
    """

    key: str

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Writes values of a step by name."""

    def finish(self, files: Sequence[Path], is_finished: bool) -> None:
        """Ends the run, or interrupts it, with some files of it."""


OpenRun = Callable[[str, Mapping[str, Any], str | None], TrackedRun]
"""Takes the run's name, its settings, and the key of what it continues, None for a new one."""
