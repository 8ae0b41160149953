"""A connection to a Ray cluster, quiet, with this package on all of its nodes."""

from __future__ import annotations

import importlib.util
import os
import signal
import threading
from pathlib import Path
from typing import Any

import keras_fcn
from keras_fcn.errors import UserError
from keras_fcn.system.startup import start_tensorflow


def require_ray(option: str) -> None:
    """Raises UserError if Ray is not installed.

    Args:
        option: What needs it.
    """
    if importlib.util.find_spec("ray") is None:
        raise UserError(f"{option} needs Ray, which is not installed: pip install -r requirements-ray.txt")


def connect() -> Any:
    """Returns the module `ray`, connected to the cluster at RAY_ADDRESS or, if that is not set, to one of its own.

    Raises:
        UserError: If no cluster answers at RAY_ADDRESS.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    start_tensorflow(look_at_devices=False)  # Ray imports it, with its chatter
    import ray

    address = os.environ.get("RAY_ADDRESS") or "local"
    package = str(Path(keras_fcn.__file__).parent)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        ray.init(address, log_to_driver=False, logging_level="ERROR", runtime_env={"py_modules": [package]})
    except (ConnectionError, ValueError, RuntimeError) as error:
        reason = str(error).strip().splitlines()[0][:200]
        raise UserError(f"RAY_ADDRESS: no Ray cluster answers at {address} ({reason})") from None
    if threading.current_thread() is threading.main_thread():
        for number, handler in handlers.items():
            signal.signal(number, handler)  # Ray's own would end the process with a backtrace
    return ray
