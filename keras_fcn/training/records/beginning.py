"""What a run began with: its data must still be the same when it is resumed, and another machine is reported."""

from __future__ import annotations

import os
from collections.abc import Callable

import keras
import numpy as np
import PIL
import tensorflow as tf

import keras_fcn
from keras_fcn.images.classes import ClassTable
from keras_fcn.runs.fingerprint import Fingerprint, describe_other_machine
from keras_fcn.runs.folder import RunFolder
from keras_fcn.runs.known_files import KnownFiles
from keras_fcn.system.machine import granted_cores, processor_model
from keras_fcn.training.distributed.devices import describe_devices

_READERS = f"keras-fcn {keras_fcn.__version__}, Pillow {PIL.__version__}, NumPy {np.__version__}"


class Beginning:
    """The data and the machine that a run began with.

    Args:
        run: The run to resume, or another that a new one has to begin like; None for any.

    Attributes:
        known: What the run knows about the files of its data.

    Raises:
        UserError: If the run's fingerprint is damaged.
    """

    def __init__(self, run: RunFolder | None) -> None:
        self._begun: tuple[RunFolder, Fingerprint] | None = None
        self._machine: dict[str, str] = {}
        self.known = KnownFiles(_READERS)
        if run is not None:
            self.known = KnownFiles.read(run.checked_files, _READERS)
            kept, self._machine = (
                Fingerprint.read(run.fingerprint) if run.fingerprint.is_file() else (_of_early_run(run), {})
            )
            self._begun = run, kept

    def require_classes(self, classes: ClassTable) -> None:
        """Raises UserError unless the data have the classes that the run began with."""
        if self._begun:
            run, kept = self._begun
            kept.require_classes(classes.to_dict(), run)

    def require_same_data(self, data: Fingerprint, report: Callable[[str], None]) -> None:
        """Compares the data with those that the run began with.

        Args:
            data: The fingerprint of the data.
            report: Called with a line if little is known about those of the beginning.

        Raises:
            UserError: If they are others.
        """
        if not self._begun:
            return
        run, kept = self._begun
        kept.require_same(data, run)
        if not run.fingerprint.is_file():
            report(
                f"Warning  {run.root}: was begun by a version that kept no fingerprint of its data: only names "
                "are compared, and it is kept from now on"
            )

    def compare_machine(self, machine: dict[str, str], report: Callable[[str], None]) -> None:
        """Reports in a line how the machine differs from that of the beginning."""
        before = self._machine
        if before.get("devices", "").startswith("CPU"):  # processors computed in float32 before this was kept
            before = {"precision": "float32", **before}
        if line := describe_other_machine(before, machine):
            report(f"Warning  {line}")

    def write(self, run: RunFolder, data: Fingerprint, machine: dict[str, str]) -> None:
        """Keeps the data and the machine with a run that begins, and what is known about the files.

        Raises:
            UserError: If a file cannot be written.
        """
        if not run.fingerprint.is_file():
            data.write(run.fingerprint, machine)
        self.known.write(run.checked_files)


def _of_early_run(run: RunFolder) -> Fingerprint:
    """Returns what is known of the data of a run that keeps no fingerprint."""
    names = next((list(row.val_iou) for row in run.read_history() if row.val_iou), None)
    validation = [(name, "", "") for name in run.validation_images()]
    return Fingerprint({} if names is None else {"names": names}, [], validation, {})


def describe_machine(strategy: tf.distribute.Strategy, precision: str) -> dict[str, str]:
    """Returns on what, and by which programs, a training is computed: all that may change the last bits of its weights.

    Args:
        strategy: The devices.
        precision: What the layers compute in.
    """
    threads = os.environ.get("TF_NUM_INTRAOP_THREADS") or tf.config.threading.get_intra_op_parallelism_threads()
    return {
        "keras-fcn": keras_fcn.__version__,
        "TensorFlow": tf.__version__,
        "Keras": keras.__version__,
        "NumPy": np.__version__,
        "Pillow": PIL.__version__,
        "cores": str(threads or granted_cores()),
        "oneDNN": {"0": "off", "1": "on"}.get(os.environ.get("TF_ENABLE_ONEDNN_OPTS", ""), "by default"),
        "devices": describe_devices(strategy),
        "precision": precision,
        "processor": processor_model(),
    }
