"""Predicting images of any size in bounded memory: tile by tile, blended where tiles overlap."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import numpy as np

from keras_fcn.inference.arrays import Array, ProbabilityFunction, likeliest
from keras_fcn.system.files import written

_IN_MEMORY = 1 << 26
"""Bytes of a seam that are kept in memory; those of wider images are in a temporary file."""


class Pixels(Protocol):
    """An image, read tile by tile: an array, or a file that is read by windows."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Returns height, width, and 3."""

    def __getitem__(self, window: tuple[slice, slice]) -> np.ndarray:
        """Returns the pixels of some rows and columns, uint8 [rows, columns, 3]."""


class Tiled:
    """Predicts images tile by tile.

    Every tile's probabilities are weighted: towards an edge with a neighbour, weights fall off linearly from 1 to 0
    over the middle half of the overlap, so that those of all tiles add up to 1 at every pixel. The quarter at the edge,
    where a tile sees least context, has weight 0. Tiles begin at multiples of 32, the network's largest stride: a pixel
    whose receptive field lies within its tile has the same probabilities as in the whole image.

    Memory holds the image, the result, one tile and a strip as high as the overlap. With `blocks` it holds one tile and
    what fits of the strip into 64 MiB; a larger one is in a temporary file.

    Args:
        probabilities: The function from a batch of tiles to probabilities.
        tile: Height and width of a tile, multiples of 32.
        overlap: Pixels by which neighbouring tiles overlap, a multiple of 32, at most half of a tile.
        decide: The function from probabilities [..., C] to class ids uint8 [...].

    Attributes:
        tile: Height and width of a tile.
    """

    def __init__(
        self,
        probabilities: ProbabilityFunction,
        tile: tuple[int, int],
        overlap: int,
        decide: Callable[[Array], Array] = likeliest,
    ) -> None:
        self._decide = decide
        self._probabilities, self.tile, self._overlap = probabilities, tile, overlap

    def segment(self, images: Array) -> np.ndarray:
        """Returns the most probable class of every pixel, uint8 [N, H, W], for images uint8 [N, H, W, 3]."""
        images = np.asarray(images)
        ids = np.empty(images.shape[:3], np.uint8)
        for image, result in zip(images, ids):
            for rows, columns, block in self.blocks(image):
                result[rows, columns] = self._decide(block)
        return ids

    def probabilities(self, images: Array) -> np.ndarray:
        """Returns the probabilities float32 [N, H, W, C] for images uint8 [N, H, W, 3]."""
        images = np.asarray(images)
        if not images.size:
            return np.asarray(self._probabilities(images))
        return np.stack([self._whole(image) for image in images])

    def _whole(self, image: np.ndarray) -> np.ndarray:
        probabilities = np.empty((*image.shape[:2], 0), np.float32)
        for rows, columns, block in self.blocks(image):
            if not probabilities.size:
                probabilities = np.empty((*image.shape[:2], block.shape[-1]), np.float32)
            probabilities[rows, columns] = block
        return probabilities

    def number(self, height: int, width: int) -> int:
        """Returns the number of blocks of an image."""
        return len(self._spans(height, self.tile[0])) * len(self._spans(width, self.tile[1]))

    def blocks(self, image: Pixels) -> Iterator[tuple[slice, slice, np.ndarray]]:
        """Yields an image's probabilities in blocks that cover each pixel once, row after row of tiles.

        Args:
            image: The image; an array is one, too.

        Yields:
            The block's rows, its columns, and float32 [rows, columns, C].
        """
        height, predict = image.shape[0], _OncePerColor(self._probabilities)
        with _Seam(self._overlap) as seam:  # for the first rows of the tiles below
            for top, bottom in self._spans(height, self.tile[0]):
                for left, block in self._row_of_blocks(image, slice(top, bottom), predict):
                    columns = slice(left, left + block.shape[1])
                    # The tiles above contribute to a block's first rows; its last rows stay in the seam until the tiles
                    # below are added.
                    if top > 0 and self._overlap:
                        block[: self._overlap] += seam.read(columns)
                    end = len(block)
                    if bottom < height and self._overlap:
                        end -= self._overlap
                        seam.write(columns, block[end:])
                    yield slice(top, top + end), columns, block[:end]

    def _row_of_blocks(
        self, image: Pixels, rows: slice, predict: Callable[[np.ndarray], np.ndarray]
    ) -> Iterator[tuple[int, np.ndarray]]:
        """Yields the weighted probabilities of a row of tiles in blocks that cover each column once.

        Args:
            image: The image.
            rows: Its rows that the tiles cover.
            predict: From a tile uint8 [h, w, 3] to its probabilities float32 [h, w, C], which may be changed.

        Yields:
            The block's first column, and float32 [rows, columns, C].
        """
        (height, width, _), overlap = image.shape, self._overlap
        seam = None  # weighted probabilities for the first columns of the next tile, [rows, overlap, C]
        for left, right in self._spans(width, self.tile[1]):
            block = predict(image[rows, left:right])
            block *= self._weights(len(block), rows.start > 0, rows.stop < height)[:, None, None]
            block *= self._weights(right - left, left > 0, right < width)[:, None]
            if seam is not None:
                block[:, :overlap] += seam
            if right < width:
                end = right - left - overlap
                block, seam = block[:, :end], block[:, end:].copy()
            yield left, block

    def _spans(self, size: int, tile: int) -> list[tuple[int, int]]:
        """Returns begin and end of the tiles along one axis; the last is at least as long as the overlap."""
        starts = range(0, max(size - self._overlap, 1), tile - self._overlap)
        return [(start, min(start + tile, size)) for start in starts]

    def _weights(self, size: int, has_before: bool, has_after: bool) -> np.ndarray:
        """Returns the weights of a tile along one axis, float32 [size]."""
        positions = (np.arange(self._overlap, dtype=np.float32) + 0.5) / self._overlap  # none without one
        rise = np.clip(2 * positions - 0.5, 0, 1)  # adds up to 1 with its mirror image
        weights = np.ones(size, np.float32)
        if has_before:
            weights[: self._overlap] = rise
        if has_after:
            weights[size - self._overlap :] = rise[::-1]
        return weights


class _OncePerColor:
    """Predicts tiles, those of a single colour once: outside of what was photographed, rasters are black or white.

    Args:
        probabilities: The function from a batch of tiles to probabilities.
    """

    def __init__(self, probabilities: ProbabilityFunction) -> None:
        self._probabilities = probabilities
        self._known: dict[tuple, np.ndarray] = {}

    def __call__(self, tile: np.ndarray) -> np.ndarray:
        """Returns the probabilities of a tile uint8 [h, w, 3], float32 [h, w, C], which may be changed."""
        if not tile.size or not (tile == tile[:1, :1]).all():
            return np.array(self._probabilities(tile[None])[0])
        key = (*tile.shape, *tile[0, 0].tolist())
        if key not in self._known:
            self._known = {key: np.array(self._probabilities(tile[None])[0])}  # the last one alone
        return self._known[key].copy()


class _Seam(contextlib.AbstractContextManager):
    """The weighted probabilities of the rows where two rows of tiles overlap, in memory or in a temporary file.

    Args:
        overlap: The number of rows.
    """

    def __init__(self, overlap: int) -> None:
        self._overlap, self._classes = overlap, 0
        self._file = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115 -- it is closed by `__exit__`

    def __exit__(self, *error: object) -> None:
        self._file.close()

    def write(self, columns: slice, block: np.ndarray) -> None:
        """Keeps probabilities float32 [overlap, columns, C]."""
        self._classes = block.shape[-1]
        self._seek(columns)
        with written(Path(tempfile.gettempdir())):
            self._file.write(np.ascontiguousarray(block.swapaxes(0, 1)).tobytes())

    def read(self, columns: slice) -> np.ndarray:
        """Returns the probabilities of some columns, float32 [overlap, columns, C]."""
        self._seek(columns)
        values = np.frombuffer(self._file.read((columns.stop - columns.start) * self._column), np.float32)
        return values.reshape(-1, self._overlap, self._classes).swapaxes(0, 1)

    def _seek(self, columns: slice) -> None:
        self._file.seek(columns.start * self._column)

    @property
    def _column(self) -> int:
        """Returns the bytes of a column."""
        return 4 * self._overlap * self._classes
