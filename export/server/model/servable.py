"""One version of an exported model, as separate steps for a server.

A SavedModel's signature `serving_default` decodes, segments and encodes file by file, and one bad file fails the call.
Here, threads decode files and encode masks while the network runs, and it gets images of several requests at once.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from export.formats.file_limits import PIXEL_LIMIT
from export.server.model.engine.network import LargeImages, NetworkFacts
from export.server.model.files.decoding import decode
from export.server.model.files.grey_png import encode_grey
from export.server.model.files.header import BadImageError, Header, read_header
from keras_fcn.images.headers.effort import MOST_SCANS
from keras_fcn.inference.batches import stacked


class AnyNetwork(Protocol):
    """A network in this process (`Network`) or in one of its own (`NetworkProcess`)."""

    path: Path
    facts: NetworkFacts

    @property
    def pid(self) -> int | None:
        """The number of its own process, if it has one that runs."""

    def segment(self, images: np.ndarray) -> np.ndarray:
        """Returns the class ids, uint8 [N, H, W], of images uint8 [N, H, W, 3]."""

    def start_tiles(self, image: np.ndarray) -> None:
        """Begins to segment an image uint8 [H, W, 3] tile by tile."""

    def next_tile(self) -> np.ndarray | None:
        """Computes a tile: None, or after the last the class ids, uint8 [H, W]."""


@dataclasses.dataclass(frozen=True)
class Mask:
    """The mask of an image file.

    Attributes:
        png: 8-bit grey PNG of class ids, as large as the (upright) image.
        fractions: Fraction of the pixels of each class, float32 [C].
    """

    png: bytes
    fractions: np.ndarray


class Servable:
    """A loaded version of a model.

    Its methods may be called from several threads at once, those that compute from one at a time.

    Args:
        network: The network.
        version: The version's number.
        large: How large images are segmented.

    Attributes:
        network: As above.
        version: As above.
        facts: What the network is.
        max_pixels: The limit of height times width of an image.
        whole_pixels: The most pixels that go through the network at once, but for networks without tiles.
    """

    def __init__(self, network: AnyNetwork, version: str, large: LargeImages | None = None) -> None:
        large = large or LargeImages()
        self.network, self.version, self.facts = network, version, network.facts
        limits = self.facts.limits._replace(max_scans=min(self.facts.limits.max_scans, MOST_SCANS))
        # Only SavedModels have limits of their own.
        self._note = PIXEL_LIMIT if self.facts.signatures else " (--max-pixels)"
        self.whole_pixels = large.whole_pixels
        if self.facts.whole_reason and limits.max_pixels > large.max_whole_pixels:
            limits = limits._replace(max_pixels=large.max_whole_pixels)
            self._note = f" {self.facts.whole_reason} (--max-whole-mp)"
        self.max_pixels, self._limits = limits.max_pixels, limits

    def read_header(self, data: bytes) -> Header:
        """Reads and checks the header of a file, in microseconds and without memory for its pixels.

        Raises:
            BadImageError: If the file is empty, neither JPEG nor PNG, has no readable size or exceeds a limit, or the
                network takes another size alone.
        """
        try:
            header = read_header(data, self._limits)
        except BadImageError as error:
            raise BadImageError(str(error).replace(PIXEL_LIMIT, self._note)) from None
        if self.facts.size not in (None, tuple(header)):
            height, width = self.facts.size or header
            taken = f"the model takes {height} x {width} alone, as it was exported with --size"
            raise BadImageError(f"has {header.height} x {header.width} pixels, but {taken}; resize it")
        return header

    def decode(self, data: bytes) -> np.ndarray:
        """Returns the upright image of a file, uint8 [H, W, 3]; raises BadImageError if it is damaged."""
        return decode(data)

    def segment(self, images: Sequence[np.ndarray]) -> np.ndarray:
        """Returns the class ids, uint8 [N, H, W], of images uint8 [H, W, 3] of one size."""
        return self.network.segment(stacked(images))

    def goes_in_tiles(self, pixels: int) -> bool:
        """Returns whether an image of so many pixels is segmented tile by tile: if it has more than two tiles'."""
        return not self.facts.whole_reason and pixels > self.whole_pixels

    def segment_in_tiles(self, image: np.ndarray) -> Iterator[np.ndarray | None]:
        """Segments an image uint8 [H, W, 3] tile by tile, as `predict.py --tile` does.

        Yields:
            None after each tile, and in the end the class ids, uint8 [H, W].
        """
        self.network.start_tiles(image)
        ids = None
        while ids is None:
            ids = self.network.next_tile()
            yield ids

    def encode(self, ids: np.ndarray) -> Mask:
        """Returns class ids uint8 [H, W] as a PNG, with the fraction of each class."""
        counts = np.bincount(ids.ravel(), minlength=len(self.facts.names))
        return Mask(encode_grey(ids), (counts / ids.size).astype(np.float32))

    def segment_file(self, data: bytes) -> Mask:
        """Returns the mask of one file, as a SavedModel's `serving_default` does."""
        self.read_header(data)
        return self.encode(self.segment([self.decode(data)])[0])
