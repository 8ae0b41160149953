"""SavedModels, computed by TensorFlow."""

from __future__ import annotations

from pathlib import Path

from keras_fcn.inference.engines.bfloat16 import in_bfloat16, pays
from keras_fcn.inference.engines.engine import Engine, program_in
from keras_fcn.inference.large import WholeImages
from keras_fcn.inference.models import load_saved_functions
from keras_fcn.runs.names import PrecisionName


def open_saved_model(path: Path, threads: int = 0, precision: PrecisionName = "auto") -> Engine:
    """Opens a SavedModel of `python -m export.saved_model`.

    Args:
        path: Its folder.
        threads: Is TensorFlow's own choice, which is made when it starts.
        precision: What it computes in; see `bfloat16.pays`.

    Raises:
        UserError: If it is damaged, or was not written by this program.
    """
    segment, classes, score, decide, scale, channels, depthwise = load_saved_functions(path)
    whole = WholeImages.of(classes.num_classes, scale) if score else None
    is_lower = pays(precision, depthwise)
    if is_lower:
        segment, score = in_bfloat16(segment), score and in_bfloat16(score)
    return Engine(program_in("TensorFlow", is_lower), classes, segment, score, whole, decide=decide, channels=channels)
