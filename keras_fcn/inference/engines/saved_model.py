"""SavedModels, computed by TensorFlow."""

from __future__ import annotations

from pathlib import Path

from keras_fcn.inference.engines.engine import Engine
from keras_fcn.inference.large import WholeImages
from keras_fcn.inference.models import load_saved_functions


def open_saved_model(path: Path, threads: int = 0) -> Engine:
    """Opens a SavedModel of `python -m export.saved_model`.

    Args:
        path: Its folder.
        threads: Is TensorFlow's own choice, which is made when it starts.

    Raises:
        UserError: If it is damaged, or was not written by this program.
    """
    segment, classes, score, decide, scale, channels = load_saved_functions(path)
    whole = WholeImages.of(classes.num_classes, scale) if score else None
    return Engine("TensorFlow", classes, segment, score, whole, decide=decide, channels=channels)
