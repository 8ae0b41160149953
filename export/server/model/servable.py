"""One version of an exported model, as separate steps for a server.

The signature `serving_default` decodes, segments and encodes file by file, and one bad file fails the call. Here,
threads decode files and encode masks while the network runs, and the network gets images of several requests at once.
"""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf
from PIL import Image

from export.formats.graph.image_bytes import decode_file
from export.formats.graph.image_header import PIXEL_LIMIT, FileLimits, read_header
from export.formats.graph.signatures import METADATA_SIGNATURE, sees_whole_image
from export.server.model.grey_png import encode_grey
from export.server.model.plain_header import read_plain_header
from keras_fcn.errors import UserError
from keras_fcn.inference.batches import BATCH_PIXELS, stacked
from keras_fcn.inference.decision import Decision
from keras_fcn.inference.models import PROBABILITIES_SIGNATURE, SIGNATURE, load_saved_model
from keras_fcn.inference.options import InferenceOptions
from keras_fcn.inference.tiling import Tiled
from keras_fcn.system.text import reason_of

WARM_SIZE = (320, 480)
"""Height and width of the warm-up image, as in TensorFlow Serving's warm-up requests."""

MOST_WARM_LOGITS = 1 << 26
"""The most logits of the warm-up: with many classes, memory is taken when images are large enough for it."""

_FILE = tf.TensorSpec([], tf.string)
_ORIENTATION, _TURNED = 0x0112, 6


@dataclasses.dataclass(frozen=True)
class LargeImages:
    """How large images are segmented.

    Attributes:
        tiles: Options with a tile; images of more pixels than two tiles go tile by tile.
        max_whole_pixels: The limit of height times width for a network that has no tiles, as it sees the whole image.
    """

    tiles: InferenceOptions = dataclasses.field(default_factory=lambda: InferenceOptions(tile=(768, 768)))
    max_whole_pixels: int = BATCH_PIXELS

    @property
    def tile(self) -> tuple[int, int]:
        """Height and width of a tile."""
        assert self.tiles.tile is not None
        return self.tiles.tile

    @property
    def whole_pixels(self) -> int:
        """The most pixels of an image that is not segmented in tiles."""
        return 2 * self.tile[0] * self.tile[1]


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
        large: How large images are segmented.

    Attributes:
        version: The folder's name.
        names: Class names, by id.
        colors: Class colours, RGB.
        thresholds: The least probability of classes, by name, with which a pixel is theirs; of those that have one.
        max_pixels: The limit of height times width of an image.
        whole_pixels: The most pixels that go through the network at once, but for networks that see whole images.

    Raises:
        UserError: If the folder is no such SavedModel or is damaged.
    """

    def __init__(self, folder: Path, large: LargeImages | None = None) -> None:
        large = large or LargeImages()
        try:
            self._model = load_saved_model(folder)
            self._network = self._model.signatures[SIGNATURE]
            found = {name: value.numpy() for name, value in self._model.signatures[METADATA_SIGNATURE]().items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError, tf.errors.OpError) as error:
            raise UserError(
                f"{folder}: is no SavedModel of python -m export.saved_model ({reason_of(error)})"
            ) from None
        channels = self._network.structured_input_signature[1]["images"].shape[-1]
        if channels != 3:
            raise UserError(f"{folder}: takes images of {channels} channels; the server reads JPEGs and PNGs of three")
        self.version = folder.name
        self.names = [name.decode() for name in found["class_names"]]
        # Exports of before have no thresholds.
        thresholds = [float(f"{value:.6g}") for value in found.get("class_thresholds", np.zeros(len(self.names)))]
        self.thresholds = {name: value for name, value in zip(self.names, thresholds) if value}
        self._decide = Decision(thresholds=tuple(value or None for value in thresholds) if self.thresholds else ())
        self.colors: list[list[int]] = found["class_colors"].tolist()
        # Exports of before have no other limits than of pixels.
        limits = FileLimits(**{name: int(found[name]) for name in FileLimits._fields if name in found})
        self._large, self._note = large, ""
        self.whole_pixels, self._tiled = large.whole_pixels, self._with_tiles()
        if self._tiled is None and limits.max_pixels > large.max_whole_pixels:
            limits = limits._replace(max_pixels=large.max_whole_pixels)
            self._note = " for this network, which sees the whole image (--max-whole-mp)"
        self.max_pixels, self._limits = limits.max_pixels, limits
        self._header = tf.function(lambda data: read_header(data, limits), input_signature=[_FILE])

    def _with_tiles(self) -> Tiled | None:
        """Returns the network on tiles; None if it sees the whole image, or gives no probabilities (older exports)."""
        if PROBABILITIES_SIGNATURE not in self._model.signatures or sees_whole_image(self._network):
            return None
        scores = self._model.signatures[PROBABILITIES_SIGNATURE]

        def probabilities(images: np.ndarray) -> tf.Tensor:
            return scores(images=tf.constant(images))[PROBABILITIES_SIGNATURE]

        return Tiled(probabilities, self._large.tile, self._large.tiles.tile_overlap)

    def warm_up(self, batch_size: int, takes_memory: bool = True) -> None:
        """Segments grey images, so that the first request does not wait.

        They are a batch, one file of each kind, and an image in tiles.

        Args:
            batch_size: The most images in a batch.
            takes_memory: Whether these are followed by the largest image that goes whole, and the tile is a whole one,
                so that later images take no more memory. TensorFlow keeps it for all models of the process.
        """
        image = np.full((*WARM_SIZE, 3), 128, np.uint8)
        self.segment([image] * batch_size)
        exif, turned = Image.Exif(), io.BytesIO()
        exif[_ORIENTATION] = _TURNED
        Image.fromarray(image).save(turned, "JPEG", exif=exif)
        for data in (tf.io.encode_jpeg(image).numpy(), tf.io.encode_png(image).numpy(), turned.getvalue()):
            self.segment_file(data)
        height, width = self._large.tile
        tile = image[:height, :width]
        if takes_memory:
            most = max(1, MOST_WARM_LOGITS // (width * len(self.names)))
            self.segment([np.full((min(2 * height, most), width, 3), 128, np.uint8)])
            tile = np.full((min(height, most), width, 3), 128, np.uint8)
        if self._tiled is not None:
            list(self.segment_in_tiles(tile))

    def plain_header(self, data: bytes) -> FoundHeader | None:
        """Returns the header of a plain file within the limits, in microseconds; None for `read_header`."""
        plain = read_plain_header(data, self._limits)
        if plain and plain.height * plain.width <= self.max_pixels:
            return FoundHeader(tf.constant(plain.is_png), tf.constant(1), plain.height * plain.width)
        return None

    def read_header(self, data: bytes) -> FoundHeader:
        """Reads and checks the header of a file, without memory for its pixels.

        Raises:
            BadImageError: If the file is empty, neither JPEG nor PNG, has no readable size or too many pixels.
        """
        if plain := self.plain_header(data):
            return plain
        header = self._header(tf.constant(data))
        fault = header.fault.numpy().decode()
        if fault:
            raise BadImageError(fault.replace(PIXEL_LIMIT, self._note) if self._note else fault)
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

    def goes_in_tiles(self, pixels: int) -> bool:
        """Returns whether an image of so many pixels is segmented tile by tile: if it has more than two tiles'."""
        return self._tiled is not None and pixels > self.whole_pixels

    def segment_in_tiles(self, image: np.ndarray) -> Iterator[np.ndarray | None]:
        """Segments an image tile by tile, as `predict.py --tile` does.

        Args:
            image: uint8 [H, W, 3].

        Yields:
            None after each tile, and in the end the class ids, uint8 [H, W].
        """
        assert self._tiled is not None
        ids = np.empty(image.shape[:2], np.uint8)
        for rows, columns, block in self._tiled.blocks(image):
            ids[rows, columns] = self._decide(block)
            yield None
        yield ids

    def encode(self, ids: np.ndarray) -> Mask:
        """Returns class ids uint8 [H, W] as a PNG, with the fraction of each class."""
        counts = np.bincount(ids.ravel(), minlength=len(self.names))
        return Mask(encode_grey(ids), (counts / ids.size).astype(np.float32))

    def segment_file(self, data: bytes) -> Mask:
        """Returns the mask of one file, as `serving_default` does."""
        return self.encode(self.segment([self.decode(data, self.read_header(data))])[0])
