"""Exports a trained network for LiteRT: `python -m export.litert --help` lists the options."""

from __future__ import annotations

import itertools
import json
import re
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if not __package__:  # started by its path, this folder would shadow packages of the same names
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from export.formats.compiled import PROGRAM, open_compiled
from export.formats.conversion import EXACT_CONVOLUTIONS, Format, FormatOptions, Other, export_as
from keras_fcn.system.command_line import parse_options, run_command
from keras_fcn.system.machine import granted_cores

if TYPE_CHECKING:
    import keras

_SIGNATURE = "serving_default"
_AT_ONCE = 8
"""Number of images to calibrate with that are in memory; for each such part, LiteRT prepares anew."""


def write(graph: Any, path: Path, network: keras.Model, images: Callable[[], Iterable[np.ndarray]] | None) -> None:
    """Writes the function of `class_graph` as a LiteRT file that says what it holds of the network.

    Args:
        graph: The function.
        path: The file.
        network: The network, whose name and classes are written to the file.
        images: Yields images uint8 [1, H, W, 3] to calibrate int8 with; float32 if not given.
    """
    import tensorflow as tf

    from keras_fcn.inference.engines.keras_model import facts_of
    from keras_fcn.inference.engines.litert import FACTS_IN_FILE, LABELS_IN_FILE

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        # From a concrete function, the converter makes a file that computes NaN.
        tf.saved_model.save(tf.Module(), folder, {_SIGNATURE: graph})
        written = tf.lite.TFLiteConverter.from_saved_model(folder).convert()
    path.write_bytes(written if images is None else _quantized(written, images()))
    facts = facts_of(network)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(LABELS_IN_FILE, "".join(f"{name}\n" for name in facts.classes.names))
        archive.writestr(FACTS_IN_FILE, json.dumps(facts.to_texts(), ensure_ascii=False))


def _quantized(written: bytes, images: Iterable[np.ndarray]) -> bytes:
    """Returns a file in 8 bits.

    The first convolutions are not, as all others would inherit their error, nor what becomes of the logits:
    probabilities would be bytes.
    """
    from ai_edge_quantizer.qtyping import TFLOperationName
    from ai_edge_quantizer.quantizer import AlgorithmName, Quantizer

    quantizer = Quantizer(written)
    quantizer.add_static_config(".*", "*", activation_num_bits=8, weight_num_bits=8)
    exact = "|".join(map(re.escape, _exact_operations(written)))
    for names, kind in ((f"^({exact})$", "*"), (".*", TFLOperationName.OUTPUT)):
        quantizer.update_quantization_recipe(names, kind, algorithm_key=AlgorithmName.NO_QUANTIZE)
    remaining, ranges = iter(images), None
    while part := [{"images": image} for image in itertools.islice(remaining, _AT_ONCE)]:
        ranges = quantizer.calibrate({_SIGNATURE: part}, ranges, num_threads=granted_cores())
    return bytes(quantizer.quantize(ranges, enable_progress_report=False).quantized_model)


def _exact_operations(written: bytes) -> list[str]:
    """Returns the names of a file's operations in float32, as the quantizer has them.

    They are those up to the last of the exact convolutions, and those after the last of all, which gives the logits.
    """
    from ai_edge_quantizer.qtyping import TFLOperationName
    from ai_edge_quantizer.utils import tfl_flatbuffer_utils as files

    model = files.read_model(written)
    (graph,) = model.subgraphs
    kinds = [files.TFL_OP_NAME_TO_CODE[name] for name in (TFLOperationName.CONV_2D, TFLOperationName.DEPTHWISE_CONV_2D)]
    codes = [model.operatorCodes[operation.opcodeIndex].builtinCode for operation in graph.operators]
    convolutions = [index for index, code in enumerate(codes) if code in kinds]
    first, last = convolutions[:EXACT_CONVOLUTIONS][-1], convolutions[-1]
    exact = graph.operators[: first + 1] + graph.operators[last + 1 :]
    return [files.get_op_scope(operation, graph.tensors) for operation in exact]


OTHER = Other(PROGRAM, open_compiled)
LITERT = Format("LiteRT", ("model.tflite",), ("ai_edge_litert",), ("ai_edge_quantizer",), False, write, other=OTHER)


def main() -> None:
    """Exports and prints the comparisons."""
    export_as(LITERT, parse_options(FormatOptions, sys.argv[1:]))


if __name__ == "__main__":
    run_command(main)
