"""The process that computes a network: it answers the calls of `export.server.model.engine.process.NetworkProcess`.

A program of native code that fails may end its process: then it is this one, and the server goes on.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import traceback
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from export.server.model.engine.network import LargeImages, Network
from export.server.model.engine.shared import SharedPixels, Stored, in_memory
from keras_fcn.errors import UserError
from keras_fcn.inference.engines.opening import open_engine, uses_tensorflow
from keras_fcn.inference.large import is_out_of_memory
from keras_fcn.runs.names import PrecisionName
from keras_fcn.system.machine import return_free_memory
from keras_fcn.system.startup import start_tensorflow

DONE, MISTAKE, MEMORY, FAILED = "done", "mistake", "memory", "failed"
"""What became of a call: a value; a `UserError`, its marked line; too little memory; any other error, its traceback."""

MUCH_MEMORY, RETURN_SECONDS = 1 << 21, 1.0
"""Bytes of images whose memory is returned to the system, and seconds without a call until then."""


def open_network(path: Path, large: LargeImages, precision: PrecisionName = "auto") -> Network:
    """Opens a file of any engine, or a SavedModel.

    Args:
        path: The file or version folder.
        large: How large images are segmented.
        precision: What layers compute in, as in `open_engine`.

    Raises:
        UserError: If its program is not installed or does not compute in this precision, it is damaged, or it was not
            written by this program.
    """
    if not uses_tensorflow(path):
        return Network(path, open_engine(path, precision=precision), large)
    start_tensorflow(whole=False)
    from export.server.model.engine.saved_model import open_saved_model

    return open_saved_model(path, large, precision)


def main() -> None:
    """Answers calls, each a method's name and its arguments, until the server ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the server ends this process when all is answered
    threading.Thread(target=_end_with_server, daemon=True).start()
    connection, pixels = Connection(int(sys.argv[-2])), SharedPixels(int(sys.argv[-1]))
    network: Network | None = None
    has_much = False
    while True:
        if has_much and not connection.poll(RETURN_SECONDS):
            return_free_memory()
            has_much = False
        try:
            method, arguments = connection.recv()
        except EOFError:
            os._exit(0)
        arguments = [pixels.get(one.stored) if isinstance(one, Stored) else one for one in arguments]
        has_much |= any(getattr(argument, "nbytes", 0) >= MUCH_MEMORY for argument in arguments)
        try:
            if method == "open":
                network = open_network(*arguments)
                answer: tuple[str, Any] = DONE, network.facts
            else:
                answer = DONE, in_memory(getattr(network, method)(*arguments), pixels)
        except Exception as error:
            answer = outcome_of(error)
        connection.send(answer)


def outcome_of(error: Exception) -> tuple[str, str]:
    """Returns what became of a call that raised an error: of what is a bug, or the engine's, the server logs all."""
    if isinstance(error, UserError):
        return MISTAKE, error.marked
    if isinstance(error, OSError) and error.filename:
        return MISTAKE, f"{error.filename}: cannot be read ({error.strerror})"
    return MEMORY if is_out_of_memory(error) else FAILED, traceback.format_exc()


def _end_with_server() -> None:
    """Ends this process when the server's is gone, which holds the other end of stdin."""
    while os.read(0, 1):
        pass
    os._exit(0)
