"""Runs in MLflow: in the store that MLFLOW_TRACKING_URI names, in mlruns or mlflow.db without it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from keras_fcn.training.records.trackers import PROJECT, TrackedRun


def open_run(name: str, settings: Mapping[str, Any], key: str | None) -> TrackedRun:
    """Begins or continues a run; see `OpenRun`."""
    import mlflow

    if not os.environ.get("MLFLOW_EXPERIMENT_NAME") and not os.environ.get("MLFLOW_EXPERIMENT_ID"):
        mlflow.set_experiment(PROJECT)
    started = mlflow.start_run(run_id=key, run_name=None if key else name)
    if key is None:  # of a run that goes on, MLflow refuses other values of parameters, as more epochs
        mlflow.log_params(dict(settings))
    return _Run(mlflow, started.info.run_id)


class _Run:
    def __init__(self, mlflow: Any, key: str) -> None:
        self._mlflow, self.key = mlflow, key

    def log(self, step: int, values: Mapping[str, float]) -> None:
        self._mlflow.log_metrics(dict(values), step=step, run_id=self.key)

    def finish(self, files: Sequence[Path], is_finished: bool) -> None:
        for file in files:
            self._mlflow.log_artifact(str(file), run_id=self.key)
        self._mlflow.end_run("FINISHED" if is_finished else "KILLED")
