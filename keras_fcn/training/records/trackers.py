"""Experiment trackers, one a class, which begins or continues a run there."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

PROJECT = "keras-fcn"
"""The project, or experiment, of runs where the tracker's own environment variable names none."""


class TrackedRun(Protocol):
    """A run in a tracker.

    Args:
        name: The run's name.
        settings: Its settings.
        key: The key of the run that it continues; None for a new one.

    Attributes:
        key: What continues it later.
    """

    key: str

    def __init__(self, name: str, settings: Mapping[str, Any], key: str | None) -> None: ...

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Writes values of a step by name."""

    def finish(self, files: Sequence[Path], is_finished: bool) -> None:
        """Ends the run, or interrupts it, with some files of it."""


class MlflowRun(TrackedRun):
    """A run in MLflow: in the store that MLFLOW_TRACKING_URI names, in mlruns or mlflow.db without it."""

    def __init__(self, name: str, settings: Mapping[str, Any], key: str | None) -> None:
        import mlflow

        if not os.environ.get("MLFLOW_EXPERIMENT_NAME") and not os.environ.get("MLFLOW_EXPERIMENT_ID"):
            mlflow.set_experiment(PROJECT)
        started = mlflow.start_run(run_id=key, run_name=None if key else name)
        if key is None:  # of a run that goes on, MLflow refuses other values of parameters, as more epochs
            mlflow.log_params(dict(settings))
        self._mlflow, self.key = mlflow, started.info.run_id

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """See `TrackedRun`."""
        self._mlflow.log_metrics(dict(values), step=step, run_id=self.key)

    def finish(self, files: Sequence[Path], is_finished: bool) -> None:
        """See `TrackedRun`."""
        for file in files:
            self._mlflow.log_artifact(str(file), run_id=self.key)
        self._mlflow.end_run("FINISHED" if is_finished else "KILLED")


class WandbRun(TrackedRun):
    """A run in Weights & Biases, in the project that WANDB_PROJECT names."""

    def __init__(self, name: str, settings: Mapping[str, Any], key: str | None) -> None:
        import wandb

        project = os.environ.get("WANDB_PROJECT", PROJECT)
        self._run = wandb.init(project=project, name=name, config=dict(settings), id=key, resume="allow")
        self.key = str(self._run.id)

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """See `TrackedRun`."""
        self._run.log(dict(values), step=step)

    def finish(self, files: Sequence[Path], is_finished: bool) -> None:
        """See `TrackedRun`."""
        for file in files:
            self._run.save(str(file), base_path=str(file.parent), policy="now")
        self._run.finish(exit_code=0 if is_finished else 1)


class TrackioRun(TrackedRun):
    """A run in Trackio, in the project that TRACKIO_PROJECT names; it is continued by its name."""

    def __init__(self, name: str, settings: Mapping[str, Any], key: str | None) -> None:
        import trackio

        project, self.key = os.environ.get("TRACKIO_PROJECT", PROJECT), key or name
        trackio.init(project=project, name=self.key, config=dict(settings), resume="allow")
        self._trackio = trackio

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """See `TrackedRun`."""
        self._trackio.log(dict(values), step=step)

    def finish(self, files: Sequence[Path], is_finished: bool) -> None:
        """See `TrackedRun`."""
        self._trackio.finish()
