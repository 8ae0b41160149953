"""Predicting images of any size in bounded memory: tile by tile, blended where tiles overlap."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import tensorflow as tf

from keras_fcn.inference.graphs import ProbabilityFunction, likeliest


class Tiled:
    """Predicts images tile by tile.

    Every tile's probabilities are weighted: towards an edge with a neighbour, weights fall off linearly from 1 to 0
    over the middle half of the overlap, so that those of all tiles add up to 1 at every pixel. The quarter at the edge,
    where a tile sees least context, has weight 0. Tiles begin at multiples of 32, the network's largest stride: a pixel
    whose receptive field lies within its tile has the same probabilities as in the whole image.

    Memory holds the image, the result, one tile and a strip as high as the overlap.

    Args:
        probabilities: The function from a batch of tiles to probabilities.
        tile: Height and width of a tile, multiples of 32.
        overlap: Pixels by which neighbouring tiles overlap, a multiple of 32, at most half of a tile.
    """

    def __init__(self, probabilities: ProbabilityFunction, tile: tuple[int, int], overlap: int) -> None:
        self._probabilities, self._tile, self._overlap = probabilities, tile, overlap

    def segment(self, images: np.ndarray | tf.Tensor) -> np.ndarray:
        """Returns the most probable class of every pixel, uint8 [N, H, W], for images uint8 [N, H, W, 3]."""
        images = np.asarray(images)
        ids = np.empty(images.shape[:3], np.uint8)
        for image, result in zip(images, ids):
            for rows, columns, block in self.blocks(image):
                result[rows, columns] = likeliest(block)
        return ids

    def probabilities(self, images: np.ndarray | tf.Tensor) -> np.ndarray:
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

    def blocks(self, image: np.ndarray) -> Iterator[tuple[slice, slice, np.ndarray]]:
        """Yields an image's probabilities in blocks that cover each pixel once, row after row of tiles.

        Args:
            image: uint8 [H, W, 3].

        Yields:
            The block's rows, its columns, and float32 [rows, columns, C].
        """
        height, width = image.shape[:2]
        seam: np.ndarray | None = None  # weighted probabilities for the first rows of the tiles below, [overlap, W, C]
        for top, bottom in self._spans(height, self._tile[0]):
            for left, block in self._row_of_blocks(image[top:bottom], top > 0, bottom < height):
                columns = slice(left, left + block.shape[1])
                # The tiles above contribute to a block's first rows; its last rows stay in the seam until the tiles
                # below are added.
                if seam is not None and top > 0:
                    block[: self._overlap] += seam[:, columns]
                end = len(block)
                if bottom < height:
                    end -= self._overlap
                    if seam is None:
                        seam = np.empty((self._overlap, width, block.shape[-1]), np.float32)
                    seam[:, columns] = block[end:]
                yield slice(top, top + end), columns, block[:end]

    def _row_of_blocks(self, band: np.ndarray, has_above: bool, has_below: bool) -> Iterator[tuple[int, np.ndarray]]:
        """Yields the weighted probabilities of a row of tiles in blocks that cover each column once.

        Args:
            band: The rows of the image that the tiles cover, uint8 [rows, W, 3].
            has_above: Whether there are tiles above, which also weigh the first rows.
            has_below: The same for below.

        Yields:
            The block's first column, and float32 [rows, columns, C].
        """
        width, overlap = band.shape[1], self._overlap
        seam = None  # weighted probabilities for the first columns of the next tile, [rows, overlap, C]
        for left, right in self._spans(width, self._tile[1]):
            block = np.array(self._probabilities(band[None, :, left:right])[0])
            block *= self._weights(len(band), has_above, has_below)[:, None, None]
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
        positions = (np.arange(self._overlap, dtype=np.float32) + 0.5) / max(self._overlap, 1)
        rise = np.clip(2 * positions - 0.5, 0, 1)  # adds up to 1 with its mirror image
        weights = np.ones(size, np.float32)
        if has_before:
            weights[: self._overlap] = rise
        if has_after:
            weights[size - self._overlap :] = rise[::-1]
        return weights
