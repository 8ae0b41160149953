"""Computing TensorFlow's graphs in bfloat16 on processors that multiply in it."""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Callable, Iterator
from typing import ParamSpec, TypeVar

import tensorflow as tf

from keras_fcn.runs.names import PrecisionName
from keras_fcn.system.machine import has_bfloat16

_Parameters = ParamSpec("_Parameters")
_Result = TypeVar("_Result")

_REWRITE = "auto_mixed_precision_onednn_bfloat16"
"""The option by which TensorFlow lets oneDNN's convolutions and products in a graph compute in bfloat16."""

_lock = threading.Lock()
_depth, _before = 0, False


def pays(precision: PrecisionName, depthwise: Callable[[], bool]) -> bool:
    """Returns whether a graph is to be computed in bfloat16: "bfloat16", or "auto" where that is faster.

    It is on processors that multiply in bfloat16, but not on GPUs (TensorFlow uses TF32 there), and not for networks of
    depthwise convolutions, which took 1.4 times as long in it.

    Args:
        precision: What the user wants.
        depthwise: The function that tells whether the network has depthwise convolutions.
    """
    if precision != "auto":
        return precision == "bfloat16"
    return has_bfloat16() and not tf.config.list_logical_devices("GPU") and not depthwise()


def in_bfloat16(function: Callable[_Parameters, _Result]) -> Callable[_Parameters, _Result]:
    """Returns a function whose graphs TensorFlow rewrites to bfloat16; weights, inputs and outputs stay as they are.

    TensorFlow knows this option for a whole process alone; outside of its calls it is as the user has set it.
    """

    @functools.wraps(function)
    def compute(*args: _Parameters.args, **kwargs: _Parameters.kwargs) -> _Result:
        with _rewriting():
            return function(*args, **kwargs)

    return compute


@contextlib.contextmanager
def _rewriting() -> Iterator[None]:
    global _depth, _before
    with _lock:
        if not _depth:
            _before = bool(tf.config.optimizer.get_experimental_options().get(_REWRITE, False))
        _depth += 1
        tf.config.optimizer.set_experimental_options({_REWRITE: True})  # in each thread: it keeps what it read
    try:
        yield
    finally:
        with _lock:
            _depth -= 1
            tf.config.optimizer.set_experimental_options({_REWRITE: _before or _depth > 0})
