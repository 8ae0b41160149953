"""Runs in MLflow: in the store that MLFLOW_TRACKING_URI names, in mlruns or mlflow.db without it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import mlflow

from keras_fcn.training.records.trackers import PROJECT


class _Run:
    def __init__(self, name: str, settings: Mapping[str, Any], key: str | None) -> None:
        if not os.environ.get("MLFLOW_EXPERIMENT_NAME") and not os.environ.get("MLFLOW_EXPERIMENT_ID"):
            mlflow.set_experiment(PROJECT)
        # Of one that was interrupted, MLflow refuses other values of parameters, as more epochs.
        started = mlflow.start_run(run_id=key, run_name=None if key else name)
        self.key = started.info.run_id
        if key is None:
            mlflow.log_params(dict(settings))

    def log(self, step: int, values: Mapping[str, float]) -> None:
        mlflow.log_metrics(dict(values), step=step, run_id=self.key)

    def finish(self, files: Sequence[Path], is_finished: bool) -> None:
        for file in files:
            mlflow.log_artifact(str(file), run_id=self.key)
        mlflow.end_run("FINISHED" if is_finished else "KILLED")


open_run = _Run
