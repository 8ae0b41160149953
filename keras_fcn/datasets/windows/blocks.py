"""Data without splits of their own, one raster even, divided into train and val by blocks of their images."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator
from pathlib import Path

from keras_fcn.datasets.pairs import Pairs
from keras_fcn.datasets.splits import split_of
from keras_fcn.datasets.windows import Box, cut
from keras_fcn.errors import UserError, argument
from keras_fcn.images.photos import displayed_size
from keras_fcn.runs.data_options import SMALLEST_BLOCK


def divided_by_blocks(pairs: Pairs, split: str, side: int, source: Path) -> Pairs:
    """Returns one split of pairs whose images are divided into blocks, of which a fifth is val.

    The fifth is chosen by the hashes of the images' names and the places of the blocks. No pixel is in two blocks.

    Args:
        pairs: All pairs of the data set.
        split: "train", "val" or "all".
        side: The largest height and width of a block in pixels.
        source: The data set, for error messages.

    Raises:
        UserError: If there is no such split, there is a single block, or a file cannot be decoded.
    """
    blocks = {image: list(blocks_of(displayed_size(image), side)) for image in pairs.images}
    names = {
        (image, box): f"{name}/{box[0]}/{box[1]}"
        for name, image in zip(pairs.names, pairs.images)
        for box in blocks[image]
    }
    if len(names) < 2:
        height, width = displayed_size(pairs.images[0])
        most = -(-max(height, width) // 2)
        fix = f"choose at most {most}" if most >= SMALLEST_BLOCK else "it is too small to divide: add images"
        raise UserError(
            f"{argument('blocks', side)}: {pairs.images[0]} of {height}x{width} pixels is one block, which leaves val "
            f"empty; {fix}"
        )
    chosen = set(split_of([*names.values()], split, source))

    def boxes(image: Path) -> list[Box] | None:
        kept = [box for box in blocks[image] if names[image, box] in chosen]
        return None if kept and len(blocks[image]) == 1 else kept

    count = len(split_of([*names.values()], "val", source))
    images = f"{len(pairs)} images" if len(pairs) > 1 else pairs.images[0].name
    note = (
        f"{count} of the {len(names)} blocks of at most {side}x{side} pixels of {images}, chosen by their places, are "
        "val: no pixel is in both splits"
    )
    return dataclasses.replace(cut(pairs, boxes).pairs, split=split, note=note)


def blocks_of(size: tuple[int, int], side: int) -> Iterator[Box]:
    """Yields blocks of about the same size that cover an image once."""
    rows, columns = (_parts(length, side) for length in size)
    yield from ((top, left, bottom, right) for top, bottom in rows for left, right in columns)


def _parts(length: int, most: int) -> list[tuple[int, int]]:
    number = -(-length // most)
    edges = [length * index // number for index in range(number + 1)]
    return list(itertools.pairwise(edges))
