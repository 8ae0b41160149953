"""A served network, as the process has it that computes it."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from export.formats.file_limits import MAX_PIXELS, FileLimits
from keras_fcn.errors import UserError
from keras_fcn.inference.batches import BATCH_PIXELS
from keras_fcn.inference.engines.engine import Engine
from keras_fcn.inference.options import InferenceOptions
from keras_fcn.inference.tiling import Tiled

WARM_SIZE = (320, 480)
"""Height and width of the warm-up image, as in TensorFlow Serving's warm-up requests."""

MOST_WARM_LOGITS = 1 << 26
"""The most logits of the warm-up: with many classes, memory is taken when images are large enough for it."""

TIMED = 3
"""Calls of which the fastest tells an engine's speed."""


@dataclasses.dataclass(frozen=True)
class LargeImages:
    """How large images are segmented.

    Attributes:
        tiles: Options with a tile; images of more pixels than two tiles go tile by tile.
        max_whole_pixels: The limit of height times width for a network that has no tiles.
        max_pixels: The limit of height times width for files that say none.
    """

    tiles: InferenceOptions = dataclasses.field(default_factory=lambda: InferenceOptions(tile=(768, 768)))
    max_whole_pixels: int = BATCH_PIXELS
    max_pixels: int = MAX_PIXELS

    @property
    def tile(self) -> tuple[int, int]:
        """Height and width of a tile."""
        assert self.tiles.tile is not None
        return self.tiles.tile

    @property
    def whole_pixels(self) -> int:
        """The most pixels of an image that is not segmented in tiles."""
        return 2 * self.tile[0] * self.tile[1]


@dataclasses.dataclass(frozen=True)
class NetworkFacts:
    """What the server must know of a network.

    Attributes:
        program: The program that computes it, such as "ONNX Runtime".
        names: Class names, by id.
        colors: Class colours, RGB.
        thresholds: The least probability of classes, by name, with which a pixel is theirs; of those that have one.
        limits: The limits of image files.
        whole_reason: Why large images do not go tile by tile; empty if they do.
        size: Height and width of all images; None for any.
        batch_size: The most images in a call: 8 on a GPU, else 4.
        network: The fingerprint of the network that the file was compared with; "" if it does not say.
        signatures: TensorFlow's signatures, as JSON of `SignatureDef` by name; empty for other programs.
    """

    program: str
    names: list[str]
    colors: list[list[int]]
    thresholds: Mapping[str, float]
    limits: FileLimits
    whole_reason: str
    size: tuple[int, int] | None
    batch_size: int
    network: str
    signatures: Mapping[str, Any]


class Network:
    """A network and the program that computes it; its methods take one call at a time.

    Args:
        path: The file or SavedModel.
        engine: The engine.
        large: How large images are segmented.
        limits: The limits of image files that the export says.
        whole_reason: Why it has no tiles whatever the engine says; empty if it may have.
        batch_size: The most images in a call.
        signatures: As in `NetworkFacts`.

    Attributes:
        path: As above.
        facts: What the server must know.

    Raises:
        UserError: If it takes other images than JPEGs and PNGs hold.
    """

    def __init__(
        self,
        path: Path,
        engine: Engine,
        large: LargeImages,
        limits: FileLimits | None = None,
        whole_reason: str = "",
        batch_size: int = 4,
        signatures: Mapping[str, Any] | None = None,
    ) -> None:
        if engine.channels.count != 3:
            what = f"takes images of {engine.channels.count} channels"
            raise UserError(f"{path}: {what}; the server reads JPEGs and PNGs of three")
        self.path, self._engine, self._large = path, engine, large
        self._tiled: Tiled | None = None
        self._tiles: Iterator[np.ndarray | None] = iter(())
        reason = whole_reason or _whole_reason(engine)
        if not reason:
            assert engine.score is not None
            self._tiled = Tiled(engine.score, large.tile, large.tiles.tile_overlap)
        self.facts = NetworkFacts(
            engine.program,
            list(engine.classes.names),
            [list(map(int, color)) for color in engine.classes.colors],
            engine.decide.by_name(engine.classes),
            limits or FileLimits(large.max_pixels),
            reason,
            engine.size,
            batch_size,
            engine.network,
            signatures or {},
        )

    @property
    def pid(self) -> None:
        """The number of a process of its own, of which it has none."""

    def segment(self, images: np.ndarray) -> np.ndarray:
        """Returns the class ids, uint8 [N, H, W], of images uint8 [N, H, W, 3]."""
        batch = self._engine.batch or len(images)
        parts = [images[start : start + batch] for start in range(0, len(images), batch)]
        missing = batch * len(parts) - len(images)
        parts[-1] = np.concatenate([parts[-1], *[images[-1:]] * missing]) if missing else parts[-1]
        ids = [np.asarray(self._engine.segment(part)) for part in parts]
        return ids[0] if len(ids) == 1 and not missing else np.concatenate(ids)[: len(images)]

    def start_tiles(self, image: np.ndarray) -> None:
        """Begins to segment an image uint8 [H, W, 3] tile by tile, as `predict.py --tile` does; gives up another."""
        self._tiles = self._segment_tiles(image.copy())  # it may lie in memory that the next call writes to

    def next_tile(self) -> np.ndarray | None:
        """Computes a tile: None, or after the last the class ids of the image, uint8 [H, W]."""
        return next(self._tiles)

    def _segment_tiles(self, image: np.ndarray) -> Iterator[np.ndarray | None]:
        assert self._tiled is not None
        ids = np.empty(image.shape[:2], np.uint8)
        for rows, columns, block in self._tiled.blocks(image):
            ids[rows, columns] = self._engine.decide(block)
            yield None
        yield ids

    def warm_up(self, batch_size: int, takes_memory: bool) -> float:
        """Segments grey images, so that the first request does not wait.

        Args:
            batch_size: The most images in a batch.
            takes_memory: Whether the largest image that goes whole and a whole tile follow, so that later images take
                no more memory, where a program keeps it. Others have probabilities, by which tiles are computed, from
                weights of their own, which no request may ask for.

        Returns:
            The seconds of one image.
        """
        height, width = self._engine.size or WARM_SIZE
        image = np.full((1, height, width, 3), 128, np.uint8)
        self.segment(np.repeat(image, batch_size, axis=0))
        seconds = min(self._seconds(image) for _ in range(TIMED))
        tile_height, tile_width = self._large.tile
        if self._engine.size is None and takes_memory:
            most = max(1, MOST_WARM_LOGITS // (tile_width * len(self.facts.names)))
            self.segment(np.full((1, min(2 * tile_height, most), tile_width, 3), 128, np.uint8))
            if self._tiled is not None:
                list(self._segment_tiles(np.full((min(tile_height, most), tile_width, 3), 128, np.uint8)))
        return seconds

    def _seconds(self, image: np.ndarray) -> float:
        started = time.perf_counter()
        self.segment(image)
        return time.perf_counter() - started


def _whole_reason(engine: Engine) -> str:
    """Returns why an engine's images do not go tile by tile; empty if they do."""
    if engine.size is not None:
        return "all images have one size"
    if engine.score is None:
        return "for a file without probabilities, which has no tiles"
    if engine.sight is not None and engine.sight() == float("inf"):
        return "for this network, which sees the whole image"
    return ""
