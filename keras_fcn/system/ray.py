"""A connection to a Ray cluster, without log output, with this package on all of its nodes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import keras_fcn
from keras_fcn.errors import UserError
from keras_fcn.system.signals import handling
from keras_fcn.system.startup import start_tensorflow
from keras_fcn.system.text import reason_of


def connect() -> Any:
    """Returns the module `ray`, connected to the cluster at RAY_ADDRESS or, if that is not set, to a local one.

    Raises:
        UserError: If no cluster answers at RAY_ADDRESS.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    start_tensorflow(list_devices=False)  # Ray imports it, with its log output
    import ray

    address = os.environ.get("RAY_ADDRESS") or "local"
    package = str(Path(keras_fcn.__file__).parent)
    try:
        with handling():  # Ray's own handlers would end the process with a backtrace
            ray.init(address, log_to_driver=False, logging_level="ERROR", runtime_env={"py_modules": [package]})
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise UserError(f"RAY_ADDRESS: no Ray cluster answers at {address} ({reason_of(error)})") from None
    return ray


def last_line(error: BaseException) -> str:
    """Returns the last line of an error of Ray: the failed worker's message, after the traceback."""
    return str(error).strip().splitlines()[-1]
