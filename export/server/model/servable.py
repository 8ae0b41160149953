"""One version of an exported model, as separate steps for a server.

The signature `serving_default` decodes, segments and encodes file by file, and one bad file fails the call. Here,
threads decode files and encode masks while the network runs, and the network gets images of several requests at once.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from export.graph.image_bytes import decode_file
from export.graph.image_header import read_header
from export.graph.signatures import METADATA_SIGNATURE
from export.server.model.grey_png import encode_grey
from export.server.model.plain_header import read_plain_header
from keras_fcn.errors import UserError
from keras_fcn.inference.batches import stacked
from keras_fcn.inference.models import SIGNATURE, load_saved_model
from keras_fcn.system.text import reason_of

WARM_SIZE = (320, 480)
"""Height and width of the warm-up image, as in TensorFlow Serving's warm-up requests."""

_FILE = tf.TensorSpec([], tf.string)


class BadImageError(ValueError):
    """A file that cannot be segmented, with its fault in one line for the client."""


@dataclasses.dataclass(frozen=True)
class Mask:
    """The mask of an image file.

    Attributes:
        png: 8-bit grey PNG of class ids, as large as the (upright) image.
        fractions: Fraction of the pixels of each class, float32 [C].
    """

    png: bytes
    fractions: np.ndarray


@dataclasses.dataclass(frozen=True)
class FoundHeader:
    """The header of a file without a fault in it.

    Attributes:
        is_png: Whether it is a PNG; else it is a JPEG.
        orientation: Its EXIF orientation, 1 to 8.
        pixels: Height times width.
    """

    is_png: tf.Tensor
    orientation: tf.Tensor
    pixels: int


class Servable:
    """A SavedModel of `python -m export.saved_model`, loaded.

    Its methods may be called from several threads at once.

    Args:
        folder: The version folder with the SavedModel.

    Attributes:
        version: The folder's name.
        names: Class names, by id.
        colors: Class colours, RGB.
        max_pixels: The limit of height times width of an image.

    Raises:
        UserError: If the folder is no such SavedModel or is damaged.
    """

    def __init__(self, folder: Path) -> None:
        try:
            self._model = load_saved_model(folder)
            self._network = self._model.signatures[SIGNATURE]
            found = {name: value.numpy() for name, value in self._model.signatures[METADATA_SIGNATURE]().items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError, tf.errors.OpError) as error:
            raise UserError(
                f"{folder}: is no SavedModel of python -m export.saved_model ({reason_of(error)})"
            ) from None
        self.version = folder.name
        self.names = [name.decode() for name in found["class_names"]]
        self.colors: list[list[int]] = found["class_colors"].tolist()
        self.max_pixels = int(found["max_pixels"])
        self._header = tf.function(lambda data: read_header(data, self.max_pixels), input_signature=[_FILE])

    def warm_up(self, batch_size: int) -> None:
        """Segments grey images, a batch and one file of each kind, so that the first request does not wait."""
        image = np.full((*WARM_SIZE, 3), 128, np.uint8)
        self.segment([image] * batch_size)
        for encode in (tf.io.encode_jpeg, tf.io.encode_png):
            self.segment_file(encode(image).numpy())

    def read_header(self, data: bytes) -> FoundHeader:
        """Reads and checks the header of a file, without memory for its pixels.

        Raises:
            BadImageError: If the file is empty, neither JPEG nor PNG, has no readable size or too many pixels.
        """
        plain = read_plain_header(data)
        if plain and plain.height * plain.width <= self.max_pixels:
            return FoundHeader(tf.constant(plain.is_png), tf.constant(1), plain.height * plain.width)
        header = self._header(tf.constant(data))
        fault = header.fault.numpy().decode()
        if fault:
            raise BadImageError(fault)
        return FoundHeader(header.is_png, header.orientation, int(header.height) * int(header.width))

    def decode(self, data: bytes, header: FoundHeader) -> np.ndarray:
        """Decodes a file.

        Args:
            data: A JPEG or PNG.
            header: Its header, by `read_header`.

        Returns:
            The upright image, uint8 [H, W, 3].

        Raises:
            BadImageError: If its pixels cannot be decoded to their end.
        """
        try:
            # Eagerly: a tf.function wakes threads, which takes longer than these operations.
            return decode_file(tf.constant(data), header.is_png, header.orientation).numpy()
        except tf.errors.InvalidArgumentError:
            raise BadImageError("is damaged: its pixels cannot be decoded to their end") from None

    def segment(self, images: Sequence[np.ndarray]) -> np.ndarray:
        """Returns the class ids, uint8 [N, H, W], of images uint8 [H, W, 3] of one size."""
        return self._network(images=tf.constant(stacked(images)))["classes"].numpy()

    def encode(self, ids: np.ndarray) -> Mask:
        """Returns class ids uint8 [H, W] as a PNG, with the fraction of each class."""
        counts = np.bincount(ids.ravel(), minlength=len(self.names))
        return Mask(encode_grey(ids), (counts / ids.size).astype(np.float32))

    def segment_file(self, data: bytes) -> Mask:
        """Returns the mask of one file, as `serving_default` does."""
        return self.encode(self.segment([self.decode(data, self.read_header(data))])[0])
