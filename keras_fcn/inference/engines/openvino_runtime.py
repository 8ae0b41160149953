"""OpenVINO's files, computed by OpenVINO on the processor."""

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
    program_in,
    require_images,
    unreadable,
)
from keras_fcn.inference.engines.facts import Facts
from keras_fcn.runs.names import PrecisionName
from keras_fcn.system.machine import has_bfloat16
from keras_fcn.system.text import reason_of

PROGRAM, COMMAND = "OpenVINO", "export.openvino"

_KINDS = {"u8": IDS, "f32": PROBABILITIES}


def open_openvino(path: Path, threads: int, precision: PrecisionName = "auto") -> Engine:
    """Opens a file of `python -m export.openvino`.

    Args:
        path: The .xml file; the .bin file lies beside it.
        threads: Number of threads.
        precision: What it computes in; "auto" is bfloat16 on processors that multiply in it.

    Raises:
        UserError: If one of the files is missing or damaged, or was not written by this program.
    """
    if not path.with_suffix(".bin").is_file():
        raise UserError(f"{path.with_suffix('.bin')}: no such file; the weights of {path.name} must lie beside it")
    import openvino

    bfloat16 = has_bfloat16() if precision == "auto" else precision == "bfloat16"
    settings = {
        "INFERENCE_PRECISION_HINT": "bf16" if bfloat16 else "f32",
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": threads,
    }
    core = openvino.Core()
    try:
        model = core.read_model(path)
    except Exception as error:  # its errors have no class in common but this
        raise unreadable(path, PROGRAM, COMMAND, _reason(error)) from None
    facts = Facts.from_texts(path, _texts(model), COMMAND)
    entry = model.inputs[0]
    shape = tuple(None if length.is_dynamic else length.get_length() for length in entry.get_partial_shape())
    kind = entry.get_element_type().get_type_name()
    require_images(path, COMMAND, shape, kind == "u8", f"{kind} {entry.get_partial_shape()}", facts.channels)
    outputs = {_KINDS.get(output.get_element_type().get_type_name(), ""): output for output in model.outputs}
    compiled: dict[str, Any] = {}

    def run(images: np.ndarray, output: str) -> np.ndarray:
        try:
            if output not in compiled:  # each for itself: what another output takes is not computed
                part = openvino.Model([outputs[output]], model.get_parameters())
                compiled[output] = core.compile_model(part, "CPU", settings)
            return compiled[output]([images])[0]
        except Exception as error:
            if "alloc" in str(error):
                raise MemoryError(_reason(error)) from None
            raise UserError(f"{path}: fails in {PROGRAM} ({_reason(error)})") from None

    return engine_of_file(path, Opened(program_in(PROGRAM, bfloat16), COMMAND, facts, run, shape, frozenset(outputs)))


def _texts(model: Any) -> dict[str, str]:
    """Returns the texts of a file; none if it was not written by this program."""
    return model.get_rt_info(["model_info"]).value if model.has_rt_info(["model_info"]) else {}


def _reason(error: BaseException) -> str:
    """Returns what OpenVINO says after the places in its own source."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[-1] if lines else reason_of(error))[:200]
