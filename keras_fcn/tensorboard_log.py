"""Event files for TensorBoard, written without the tensorboard package."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import tensorflow as tf
from PIL import Image


class TensorBoardLog:
    """Appends scalars and pictures to the event files in a folder.

    Args:
        folder: Where the event files go; one more is made each time, TensorBoard joins them.
    """

    def __init__(self, folder: Path) -> None:
        self._writer = tf.summary.create_file_writer(str(folder))

    def scalars(self, values: dict[str, float], step: int) -> None:
        """Writes one point of each curve."""
        self._write([tf.compat.v1.Summary.Value(tag=tag, simple_value=value) for tag, value in values.items()], step)

    def image(self, tag: str, pixels: np.ndarray, step: int) -> None:
        """Writes a picture, uint8 [H, W, 3]."""
        png = io.BytesIO()
        Image.fromarray(pixels).save(png, format="PNG")
        height, width, _ = pixels.shape
        picture = tf.compat.v1.Summary.Image(
            height=height, width=width, colorspace=3, encoded_image_string=png.getvalue()
        )
        self._write([tf.compat.v1.Summary.Value(tag=tag, image=picture)], step)

    def _write(self, values: list, step: int) -> None:
        summary = tf.compat.v1.Summary(value=values).SerializeToString()
        with self._writer.as_default():
            tf.summary.experimental.write_raw_pb(summary, step)
        self._writer.flush()
