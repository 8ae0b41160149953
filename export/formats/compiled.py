"""LiteRT files as its CompiledModel computes them, the interface that Google develops further."""

from __future__ import annotations

import importlib.util
import tempfile
from pathlib import Path

import numpy as np

from export.formats.processes import call_elsewhere
from keras_fcn.errors import UserError
from keras_fcn.inference.engines.engine import IDS, PROBABILITIES, Opened, engine_of_file
from keras_fcn.inference.engines.litert import COMMAND, facts_in
from keras_fcn.inference.predictor import Predictor

PROGRAM = "CompiledModel"

_SIGNATURE = "serving_default"
_KINDS = {IDS: np.uint8, PROBABILITIES: np.float32}


def open_compiled(path: Path) -> Predictor | None:
    """Opens a file of `python -m export.litert` whose sizes are all fixed by CompiledModel.

    It allocates its outputs before it runs, so it takes no other files. Each call is a process: it looks for graphics
    processors, and writes to stderr what it finds, also when the process ends.

    Returns:
        The predictor, whose functions raise UserError if CompiledModel does not take the file; None if a size is free,
        or the installed LiteRT has no such interface.
    """
    from ai_edge_litert.interpreter import Interpreter

    details = Interpreter(str(path)).get_input_details()[0]
    shape = tuple(int(length) for length in details["shape_signature"])
    if min(shape) < 0 or importlib.util.find_spec("ai_edge_litert.compiled_model") is None:
        return None

    def run(images: np.ndarray, output: str) -> np.ndarray:
        with tempfile.TemporaryDirectory() as folder:
            given, found = Path(folder) / "images.npy", Path(folder) / "found.npy"
            np.save(given, images)
            try:
                call_elsewhere(f"{__name__}:compute", path, output, given, found)
            except UserError as error:
                raise UserError(f"{path.name}: LiteRT's {PROGRAM} does not compute it: {error}") from None
            return np.load(found)

    engine = engine_of_file(path, Opened(PROGRAM, COMMAND, facts_in(path), run, shape, frozenset(_outputs(path))))
    return Predictor(engine.segment, engine.classes, engine.score, PROGRAM, engine.decide, engine.channels)


def _outputs(path: Path) -> list[str]:
    from ai_edge_litert.interpreter import Interpreter

    return list(Interpreter(str(path)).get_signature_list()[_SIGNATURE]["outputs"])


def compute(path: str, output: str, given: str, found: str) -> None:
    """Computes an output of a file whose sizes are fixed.

    Args:
        path: The file.
        output: The output's name.
        given: The file of the images, uint8 [N, H, W, channels], of NumPy.
        found: The file to write the output to.
    """
    from ai_edge_litert.compiled_model import CompiledModel

    model = CompiledModel.from_file(path)
    entries, results = model.create_input_buffers(0), model.create_output_buffers(0)
    entries[0].write(np.load(given))
    model.run_by_index(0, entries, results)
    shape = tuple(model.get_output_tensor_details(_SIGNATURE)[output]["shape"])
    position = model.get_signature_by_index(0)["outputs"].index(output)
    np.save(found, results[position].read(int(np.prod(shape)), _KINDS[output]).reshape(shape))
