"""Running ONNX files by ONNX Runtime."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np


def onnx_session(path: Path, threads: int = 0) -> Callable[[np.ndarray], np.ndarray]:
    """Returns the function of a file from its input "images" to its first output.

    Args:
        path: The file.
        threads: Number of threads; one per core if 0.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return lambda images: session.run(None, {"images": images})[0]
