"""Exports a trained network for LiteRT: `python -m export.litert --help` lists the options."""

from __future__ import annotations

import json
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if not __package__:  # started by its path, this folder would shadow packages of the same names
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from export.formats.conversion import Format, FormatOptions, export_as
from keras_fcn.system.command_line import parse_options, run_command

if TYPE_CHECKING:
    import keras


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

    with tempfile.TemporaryDirectory() as folder:
        # From a concrete function, the converter makes a file that computes NaN.
        tf.saved_model.save(tf.Module(), folder, {"serving_default": graph})
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
        if images is not None:
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.representative_dataset = lambda: ({"images": image} for image in images())
        path.write_bytes(converter.convert())
    facts = facts_of(network)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(LABELS_IN_FILE, "".join(f"{name}\n" for name in facts.classes.names))
        archive.writestr(FACTS_IN_FILE, json.dumps(facts.to_texts(), ensure_ascii=False))


LITERT = Format("LiteRT", ("model.tflite",), ("ai_edge_litert",), (), False, write)


def main() -> None:
    """Exports and prints the comparisons."""
    export_as(LITERT, parse_options(FormatOptions, sys.argv[1:]))


if __name__ == "__main__":
    run_command(main)
