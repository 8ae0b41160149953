"""Start of TensorFlow: settings that must be made before its first import."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator

from keras_fcn.system.machine import granted_cores


def start_tensorflow(onednn: bool = True, list_devices: bool = True) -> None:
    """Imports TensorFlow without its log output, with oneDNN's kernels unless the user turned them off.

    On CPUs without AVX-512, TensorFlow leaves oneDNN off, although training is then about a quarter slower.

    Args:
        onednn: Whether to enable it where TF_ENABLE_ONEDNN_OPTS is not set.
        list_devices: Whether to initialize the devices at once; not before several workers are connected.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if granted_cores() < (os.cpu_count() or 1):
        for threads in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):  # it starts one for each core of the host
            os.environ.setdefault(threads, str(granted_cores()))
    if onednn:
        os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    with stderr_unless_it_fails():
        import tensorflow as tf

        tf.get_logger().setLevel("ERROR")
        if list_devices:
            tf.config.list_logical_devices()  # the first call logs, too


@contextlib.contextmanager
def stderr_unless_it_fails() -> Iterator[None]:
    """Holds back the stderr of the process, native libraries included, and writes it only if the block raises.

    TensorFlow's native code writes there before it reads its own log level.
    """
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as held_back:
        os.dup2(held_back.fileno(), 2)
        try:
            yield
        except BaseException:
            held_back.seek(0)
            os.write(kept, held_back.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)
