"""ONNX files, computed by ONNX Runtime."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from keras_fcn.errors import UserError
from keras_fcn.inference.engines.engine import (
    IDS,
    PROBABILITIES,
    Engine,
    Opened,
    engine_of_file,
    require_images,
    unreadable,
)
from keras_fcn.inference.engines.facts import Facts
from keras_fcn.inference.engines.parts.content import mapped
from keras_fcn.inference.engines.parts.onnx import part_of
from keras_fcn.runs.names import PrecisionName
from keras_fcn.system.text import reason_of

PROGRAM, COMMAND = "ONNX Runtime", "export.onnx"

_KINDS = {"tensor(uint8)": IDS, "tensor(float)": PROBABILITIES}


def open_onnx(path: Path, threads: int, precision: PrecisionName = "auto") -> Engine:
    """Opens a file of `python -m export.onnx`.

    Args:
        path: The file.
        threads: Number of threads.
        precision: Is float32 in any case.

    Raises:
        UserError: If it is damaged, or was not written by this program.
    """
    return engine_of_file(path, opened_onnx(path, threads))


def opened_onnx(path: Path, threads: int) -> Opened:
    """Opens a file as `open_onnx` does; returns what is in it."""
    session = _session(path, path, threads)
    facts = Facts.from_texts(path, session.get_modelmeta().custom_metadata_map, COMMAND)
    (entry,) = session.get_inputs()
    shape = tuple(length if isinstance(length, int) else None for length in entry.shape)
    require_images(path, COMMAND, shape, entry.type == "tensor(uint8)", f"{entry.type} {entry.shape}", facts.channels)
    name, outputs = entry.name, {_KINDS.get(output.type, ""): output.name for output in session.get_outputs()}
    # Of several outputs each has a session of its own from when it is asked for: that of the file computes them all.
    sessions = dict.fromkeys(outputs, session) if len(outputs) == 1 else {}
    content = memoryview(b"") if sessions else mapped(path)

    def run(images: np.ndarray, output: str) -> np.ndarray:
        if output not in sessions:
            sessions[output] = _session_of(path, content, outputs[output], threads)
        try:
            return sessions[output].run([outputs[output]], {name: images})[0]
        except Exception as error:
            if "alloc" in str(error):
                raise MemoryError(reason_of(error)) from None
            raise UserError(f"{path}: fails in {PROGRAM} ({reason_of(error)})") from None

    return Opened(PROGRAM, COMMAND, facts, run, shape, frozenset(outputs))


def _session(path: Path, content: Path | bytes, threads: int) -> Any:
    """Returns a session of a file or a content; raises UserError, which names the path, if there is none."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = threads, 4
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its errors have no class in common but this
        raise unreadable(path, PROGRAM, COMMAND, reason_of(error)) from None


def _session_of(path: Path, content: memoryview, output: str, threads: int) -> Any:
    """Returns a session that computes an output of a file alone."""
    try:
        part: Path | bytes = part_of(content, output)
    except LookupError:
        part = path
    return _session(path, part, threads)
