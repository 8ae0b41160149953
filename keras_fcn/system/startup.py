"""Start of TensorFlow: settings that must be made before its first import."""

from __future__ import annotations

import atexit
import contextlib
import functools
import gc
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from keras_fcn.errors import UserError
from keras_fcn.system.machine import granted_cores

DRIVER = Path("/proc/driver/nvidia/gpus")
"""Where NVIDIA's driver lists GPUs on Linux."""

NOT_OURS = ("cv2", "jax", "matplotlib", "sklearn")
"""What TensorFlow and Keras import, where it is installed, for parts of theirs that no command of ours uses."""


def start_tensorflow(onednn: bool = True, list_devices: bool = True, whole: bool = True) -> None:
    """Imports TensorFlow without its log output, with oneDNN's kernels unless the user turned them off.

    On CPUs without AVX-512, TensorFlow leaves oneDNN off, although training is then about a quarter slower. Keras
    computes by TensorFlow, whatever keras.json or KERAS_BACKEND say.

    Args:
        onednn: Whether to enable it where TF_ENABLE_ONEDNN_OPTS is not set.
        list_devices: Whether to initialize the devices at once; not before several workers are connected.
        whole: Whether Keras' wrappers for scikit-learn and its pictures, and LiteRT's conversion from JAX, are wanted,
            too: importing these packages takes up to a second. A command does without.

    Raises:
        UserError: If TensorFlow is not installed, or Keras was imported before with another backend.
        FileNotFoundError: If no folder for temporary files can be written.
    """
    if importlib.util.find_spec("tensorflow") is None:
        raise UserError(
            "TensorFlow is not installed: pip install -r requirements.txt; without it, predict.py and evaluate.py take "
            "exported .onnx, .xml and .tflite files"
        )
    tempfile.gettempdir()  # or TensorFlow raises the same, with its log output
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if granted_cores() < (os.cpu_count() or 1):
        for threads in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):  # it starts one for each core of the host
            os.environ.setdefault(threads, str(granted_cores()))
    if onednn:
        os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    if "keras" not in sys.modules:
        os.environ["KERAS_BACKEND"] = "tensorflow"
    with contextlib.ExitStack() as stack:
        stack.enter_context(stderr_unless_it_fails())
        if "tensorflow" not in sys.modules:
            stack.enter_context(_without_collections())
            stack.enter_context(_without(() if whole else NOT_OURS))
        import tensorflow as tf

        tf.get_logger().setLevel("ERROR")
        if list_devices:
            tf.config.list_logical_devices()  # the first call logs, too
    require_backend()
    if list_devices:
        report_unused_gpu()


def require_backend() -> None:
    """Raises UserError if Keras computes by another library than TensorFlow."""
    keras = sys.modules.get("keras")  # which TensorFlow imports
    if keras is not None and (received := keras.backend.backend()) != "tensorflow":
        raise UserError(
            "Keras must compute by TensorFlow here: set KERAS_BACKEND=tensorflow before it is imported. "
            f"Received: {received}"
        )


@contextlib.contextmanager
def _without(packages: Sequence[str]) -> Iterator[None]:
    """Lets packages seem to be missing, those that are imported already aside."""
    missing = dict.fromkeys(name for name in packages if name not in sys.modules)
    sys.modules.update(missing)  # type: ignore[arg-type]  # None: Python's own sign for it
    try:
        yield
    finally:
        for name in missing:
            del sys.modules[name]


@contextlib.contextmanager
def _without_collections() -> Iterator[None]:
    """Spares an import of a million objects the search for garbage among them: now, later, and when the process ends.

    With TensorFlow, the three take two seconds of a command, and find nothing. At the end of a process, all its memory
    is the system's again anyway.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
    gc.freeze()
    atexit.register(gc.freeze)


@functools.lru_cache(maxsize=1)  # once in a process
def report_unused_gpu() -> None:
    """Prints a line if this machine has an NVIDIA GPU that TensorFlow does not see; unless the user hides it."""
    import tensorflow as tf

    if os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1") or tf.config.list_physical_devices("GPU"):
        return
    if gpu := _nvidia_gpu():
        if sys.platform != "linux":
            fix = "which uses NVIDIA GPUs on Linux only, also in Windows' WSL2"
        elif importlib.util.find_spec("nvidia"):
            fix = "though CUDA libraries are installed: TF_CPP_MIN_LOG_LEVEL=0 shows why"
        else:
            fix = "which finds no CUDA libraries: pip install 'tensorflow[and-cuda]'"
        print(f"Devices  {gpu} is not used by TensorFlow, {fix}", file=sys.stderr)


def has_gpu() -> bool:
    """Returns whether an NVIDIA driver is loaded that has a GPU, without asking TensorFlow."""
    return any(DRIVER.glob("*"))


def _nvidia_gpu() -> str | None:
    """Returns the name of this machine's first NVIDIA GPU, as its driver tells it; None without any."""
    if program := shutil.which("nvidia-smi"):
        words = [program, "--query-gpu=name", "--format=csv,noheader"]
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            asked = subprocess.run(words, capture_output=True, encoding="utf-8", errors="replace", timeout=20)
            if asked.returncode == 0 and asked.stdout.strip():
                return asked.stdout.splitlines()[0].strip()
    return "an NVIDIA GPU" if has_gpu() else None


_WATCHER = """
import os
if not os.read(0, 1):
    os.write(2, b"error: a library ended this process, and wrote before:\\n")
    os.lseek(1, 0, os.SEEK_SET)
    while written := os.read(1, 1 << 16):
        os.write(2, written)
"""
"""Reads a pipe that ends without a byte if the process at its other end was ended: then shows the file at 1."""


@contextlib.contextmanager
def stderr_unless_it_fails() -> Iterator[None]:
    """Holds back the stderr of the process, native libraries included, and writes it only if the block raises.

    TensorFlow's native code writes there before it reads its own log level. If it ends the process, as it does on a
    processor without AVX, another process writes what was held back.
    """
    if sys.stderr is None:  # it is closed
        yield
        return
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as held_back, _shown_if_killed(held_back.fileno()):
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


@contextlib.contextmanager
def _shown_if_killed(file: int) -> Iterator[None]:
    """Writes a file to stderr if a native library or a signal ends this process in the block."""
    reading, writing = os.pipe()
    words = [sys.executable or "python3", "-I", "-S", "-c", _WATCHER]
    try:
        watcher = subprocess.Popen(words, stdin=reading, stdout=file, start_new_session=True)  # Ctrl-C is not for it
    except OSError:  # no interpreter of its own, or no process left
        watcher = None
    finally:
        os.close(reading)
    try:
        yield
    finally:
        with contextlib.suppress(BrokenPipeError):
            os.write(writing, b".")
        os.close(writing)
        if watcher is not None:
            watcher.wait()
