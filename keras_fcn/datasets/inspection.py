"""Validation of every pair of a data set before training."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from keras_fcn.datasets.pairs import LabelReader, Pairs
from keras_fcn.errors import DataError
from keras_fcn.images.photos import image_size


@dataclasses.dataclass(frozen=True)
class Inspection:
    """The contents of a data set, and its faults.

    Attributes:
        is_sound: Whether each pair is free of faults, boolean [N].
        sizes: Height and width of each sound pair in pixels, int [N, 2]; zeros for the others.
        pixels: Pixel counts of each pair and id, int64 [N, 256]; zeros for pairs that are not sound.
        findings: All faults, those of the listing first.
    """

    is_sound: np.ndarray
    sizes: np.ndarray
    pixels: np.ndarray
    findings: tuple[DataError, ...]

    def require_sound(self) -> None:
        """Raises the first fatal finding, if any, with the number of others."""
        fatal = [finding for finding in self.findings if finding.is_fatal]
        if len(fatal) > 1:
            raise DataError(
                fatal[0].kind, f"{fatal[0]} (and {len(fatal) - 1} more: python -m keras_fcn.check lists them)"
            )
        if fatal:
            raise fatal[0]


def inspect_pairs(pairs: Pairs, advance: Callable[[], object] = lambda: None) -> Inspection:
    """Decodes and checks every pair once, on all cores.

    Args:
        pairs: The pairs to check.
        advance: Called after every pair, for a progress bar.
    """

    def inspect(image: Path, label: Path) -> tuple[tuple[int, int], np.ndarray] | DataError:
        try:
            return _inspect_pair(image, label, pairs.read_label)
        except DataError as error:
            return error
        finally:
            advance()

    with ThreadPoolExecutor(os.cpu_count()) as threads:
        results = list(threads.map(inspect, pairs.images, pairs.labels))
    is_sound = np.array([not isinstance(result, DataError) for result in results], bool)
    sizes, pixels = np.zeros((len(pairs), 2), int), np.zeros((len(pairs), 256), np.int64)
    findings = list(pairs.findings)
    for index, result in enumerate(results):
        if isinstance(result, DataError):
            findings.append(result)
        else:
            sizes[index], pixels[index] = result
    return Inspection(is_sound, sizes, pixels, tuple(findings))


def _inspect_pair(image: Path, label: Path, read_label: LabelReader) -> tuple[tuple[int, int], np.ndarray]:
    size, ids = image_size(image), read_label(label)
    if ids.shape != size:
        raise DataError(
            "size mismatch",
            f"{label}: is {ids.shape[0]}x{ids.shape[1]} pixels (height x width), but its image {image} is "
            f"{size[0]}x{size[1]}; export the mask at the image's own size{_turned(ids.shape, size)}",
        )
    return size, np.bincount(ids.ravel(), minlength=256)


def _turned(label: tuple[int, ...], image: tuple[int, int]) -> str:
    return ", turned as the image is shown" if label == image[::-1] else ""
