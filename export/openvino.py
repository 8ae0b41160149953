"""Exports a trained network for OpenVINO: `python -m export.openvino --help` lists the options."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if not __package__:  # started by its path, this folder would shadow packages of the same names
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from export.formats.conversion import EXACT_CONVOLUTIONS, Format, FormatOptions, export_as
from keras_fcn.system.command_line import parse_options, run_command

if TYPE_CHECKING:
    import keras


def write(graph: Any, path: Path, network: keras.Model, images: Callable[[], Iterable[np.ndarray]] | None) -> None:
    """Writes the function of `class_graph` for OpenVINO, with what it says of the network in `model_info`.

    Args:
        graph: The function.
        path: The .xml file.
        network: The network, whose name and classes are written to the file.
        images: Yields images uint8 [1, H, W, 3] to calibrate int8 with; float32 if not given.
    """
    import openvino
    import tensorflow as tf

    from keras_fcn.inference.engines.keras_model import facts_of

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        tf.saved_model.save(tf.Module(), folder, {"serving_default": graph})
        model = openvino.convert_model(folder)
    if images is not None:
        model = _quantized(model, images())
    facts = facts_of(network)
    labels = " ".join(name.replace(" ", "_") for name in facts.classes.names)  # as OpenVINO's Model API reads them
    for key, value in {"model_type": "Segmentation", "labels": labels, **facts.to_texts()}.items():
        model.set_rt_info(value, ["model_info", key])
    openvino.save_model(model, path, compress_to_fp16=False)


def _quantized(model: Any, images: Iterable[np.ndarray]) -> Any:
    """Returns a model in 8 bits, except the first convolutions, whose error all others would inherit."""
    import nncf

    kinds = ("Convolution", "GroupConvolution")
    convolutions = [node.get_friendly_name() for node in model.get_ordered_ops() if node.get_type_name() in kinds]
    exact = nncf.IgnoredScope(names=convolutions[:EXACT_CONVOLUTIONS])
    return nncf.quantize(model, nncf.Dataset(images), subset_size=sys.maxsize, ignored_scope=exact)


OPENVINO = Format("OpenVINO", ("model.bin", "model.xml"), ("openvino",), ("nncf",), True, write)


def main() -> None:
    """Exports and prints the comparisons."""
    export_as(OPENVINO, parse_options(FormatOptions, sys.argv[1:]))


if __name__ == "__main__":
    run_command(main)
