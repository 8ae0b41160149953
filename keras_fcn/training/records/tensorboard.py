"""Event files for TensorBoard, written without the tensorboard package."""

from __future__ import annotations

import math
import os
import socket
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import tensorflow as tf
from PIL import Image

from keras_fcn.images.pillow import encoded

_EVENT, _SUMMARY, _SESSION_LOG = tf.compat.v1.Event, tf.compat.v1.Summary, tf.compat.v1.SessionLog


class TensorBoardLog:
    """Writes a new event file beside the existing ones of a folder; TensorBoard reads all as one log.

    An event file is a TFRecord file of `Event` messages, the first of which holds the version of the format (2). At a
    `SessionLog` with the status START, TensorBoard drops the earlier files' values of its step and later ones. (Its
    fast loader instead drops such points of a curve when the curve continues.)

    Args:
        folder: The folder of the event files.
        first_step: The first step whose values in earlier files are dropped: n + 1 for a run that resumes at step n, 0
            to drop none.
    """

    def __init__(self, folder: Path, first_step: int = 0) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._writer = tf.io.TFRecordWriter(os.fsencode(_new_file(folder)))
        self._write(_EVENT(file_version="brain.Event:2"))
        if first_step:
            self._write(_EVENT(step=first_step, session_log=_SESSION_LOG(status=_SESSION_LOG.START)))

    def scalars(self, values: Mapping[str, float | None], step: int) -> None:
        """Writes one point of each curve, all in one event: after a crash, either all exist or none.

        Args:
            values: By the name of the curve; None and NaN are left out.
            step: Number of training steps so far.
        """
        points = {tag: value for tag, value in values.items() if value is not None and not math.isnan(value)}
        self._summary([_SUMMARY.Value(tag=tag, simple_value=value) for tag, value in points.items()], step)

    def image(self, tag: str, pixels: np.ndarray, step: int) -> None:
        """Writes an image, uint8 [H, W, 3]."""
        png, (height, width, _) = encoded(Image.fromarray(pixels), format="PNG"), pixels.shape
        image = _SUMMARY.Image(height=height, width=width, colorspace=3, encoded_image_string=png)
        self._summary([_SUMMARY.Value(tag=tag, image=image)], step)

    def _summary(self, values: list, step: int) -> None:
        self._write(_EVENT(step=step, summary=_SUMMARY(value=values)))

    def _write(self, event: tf.compat.v1.Event) -> None:
        event.wall_time = time.time()
        self._writer.write(event.SerializeToString())
        self._writer.flush()


def _new_file(folder: Path) -> Path:
    """Returns a new name that sorts after all existing ones, as TensorBoard reads files in the order of names.

    Names begin with the time in seconds; a file that is begun in the same second, or after the clock was set back, gets
    a later time.
    """
    times = [path.name.split(".")[3] for path in folder.glob("events.out.tfevents.*")]
    seconds = max([int(time.time()), *(int(text) + 1 for text in times if text.isdigit())])
    return folder / f"events.out.tfevents.{seconds:010d}.{socket.gethostname()}.{os.getpid()}"
