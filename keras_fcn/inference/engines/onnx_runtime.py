"""ONNX files, computed by ONNX Runtime."""

from __future__ import annotations

from pathlib import Path

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
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = threads, 4
    try:
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its errors have no class in common but this
        raise unreadable(path, PROGRAM, COMMAND, reason_of(error)) from None
    facts = Facts.from_texts(path, session.get_modelmeta().custom_metadata_map, COMMAND)
    (entry,) = session.get_inputs()
    shape = tuple(length if isinstance(length, int) else None for length in entry.shape)
    require_images(path, COMMAND, shape, entry.type == "tensor(uint8)", f"{entry.type} {entry.shape}", facts.channels)
    outputs = {_KINDS[output.type]: output.name for output in session.get_outputs() if output.type in _KINDS}

    def run(images: np.ndarray, output: str) -> np.ndarray:
        try:
            return session.run([outputs[output]], {entry.name: images})[0]
        except Exception as error:
            if "alloc" in str(error):
                raise MemoryError(reason_of(error)) from None
            raise UserError(f"{path}: fails in {PROGRAM} ({reason_of(error)})") from None

    return Opened(PROGRAM, COMMAND, facts, run, shape, frozenset(outputs))
