"""Positions of rare classes, around which a part of the training crops is drawn."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from keras_fcn.datasets.labels.reading import described
from keras_fcn.datasets.pairs import Pairs
from keras_fcn.images.label_files.opening import label_bytes
from keras_fcn.runs.known_files import known_files
from keras_fcn.system.machine import DECODING, decoding_threads

PART = 1 / 3
"""Fraction of the crops of images with rare classes that is drawn around one of their pixels, as nnU-Net does
(Isensee et al., Nature Methods 2021)."""

FRACTION = 0.5
"""A class is rare if it has less than this fraction of the pixels that it would have if all classes had as many."""

POSITIONS = 32
"""Positions that are kept of each rare class in an image, of a large one for each `_AREA` pixels begun."""

_AREA = 1 << 22


def rare_classes(pixels: np.ndarray) -> tuple[int, ...]:
    """Returns the ids of the classes that are rare.

    Args:
        pixels: Pixel counts of each image and class, int [N, num_classes].
    """
    total = pixels.sum(axis=0)
    even = total.sum() / max(1, np.count_nonzero(total))
    return tuple(np.flatnonzero((total > 0) & (total < FRACTION * even)).tolist())


@dataclasses.dataclass(frozen=True)
class RarePositions:
    """Positions of pixels of rare classes, each class as often as another of the same image.

    Attributes:
        positions: Row and column, int32 [M, 2].
        ranges: Index of the first position of each image, and of the last + 1, int32 [N, 2].
    """

    positions: np.ndarray
    ranges: np.ndarray


def rare_positions(pairs: Pairs, rare: Sequence[int]) -> RarePositions:
    """Finds positions of rare classes in each label file, once; those in `known_files` are not decoded again.

    Args:
        pairs: The pairs.
        rare: The ids of the classes.

    Raises:
        DataError: If a file cannot be decoded.
    """
    known, by = known_files(), f"{described(pairs.read_label)} {list(rare)} {POSITIONS} {_AREA}"
    kind = "" if " at 0x" in by else f"rare {hashlib.sha256(by.encode()).hexdigest()[:16]}"

    def look(label: Path) -> str:  # hexadecimal: lists of numbers would take ten times the memory
        with DECODING.taking(label_bytes(label)):
            return np.array(sampled_positions(pairs.read_label(label), rare), "<i4").tobytes().hex()

    unique = list(dict.fromkeys(pairs.labels))
    with decoding_threads() as threads:
        found = dict(zip(unique, threads.map(lambda label: known.find(label, kind, lambda: look(label)), unique)))
    places = [np.frombuffer(bytes.fromhex(found[label]), "<i4").reshape(-1, 2) for label in unique]
    ends = np.cumsum([len(of_label) for of_label in places], dtype=np.int32)
    ranges = dict(zip(unique, zip(ends - [len(of_label) for of_label in places], ends)))
    of_pairs = np.array([ranges[label] for label in pairs.labels], np.int32)
    return RarePositions(np.concatenate([np.zeros((0, 2), np.int32), *places]), of_pairs)


def sampled_positions(ids: np.ndarray, rare: Sequence[int]) -> list[list[int]]:
    """Returns row and column of pixels of each rare class that a label shows, of each as many, always the same ones.

    Args:
        ids: uint8 [H, W].
        rare: The ids of the classes.
    """
    positions: list[list[int]] = []
    random, count = np.random.default_rng(0), POSITIONS * -(-ids.size // _AREA)
    for index in rare:
        places = np.flatnonzero(ids == index)
        if len(places):
            chosen = random.choice(places, min(count, len(places)), replace=False)
            rows, columns = np.divmod(np.resize(np.sort(chosen), count), ids.shape[1])
            positions += np.stack([rows, columns], axis=1).tolist()
    return positions


def window_start(position: int, window: int, length: int, number: float) -> int:
    """Returns where a window begins along one side: anywhere, or so that it holds a position.

    Args:
        position: The position, -1 for none.
        window: Side of the window in pixels, at most `length`.
        length: Side of the image.
        number: At random, 0 to less than 1.
    """
    low = max(0, position - window + 1) if position >= 0 else 0
    high = min(position, length - window) if position >= 0 else length - window
    return low + int(number * (high - low + 1))
