"""What each of several compared models costs: time, size, and how often its class is that of the first."""

from __future__ import annotations

import dataclasses
import statistics
import time
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_fcn.inference.arrays import Array, Segment
from keras_fcn.inference.engines.opening import files_of, find_model
from keras_fcn.system.text import table


@dataclasses.dataclass(frozen=True)
class Cost:
    """What a model costs.

    Attributes:
        program: The program that computes it.
        seconds: The median time of an image, one after the other, in this process.
        megabytes: The size of its files, in 10^6 bytes.
        agreement: The share of all pixels that have the class that the first model gives.
    """

    program: str
    seconds: float
    megabytes: float
    agreement: float

    def to_json(self) -> dict[str, Any]:
        """Returns them by name."""
        return dataclasses.asdict(self)


class Watched:
    """A model's function whose calls are timed, and whose masks are kept, packed to a hundredth or less.

    Args:
        segment: From images uint8 [1, H, W, 3] to class ids uint8 [1, H, W].
    """

    def __init__(self, segment: Segment) -> None:
        self._segment = segment
        self._seconds: list[float] = []
        self._masks: list[bytes] = []

    def __call__(self, images: Array) -> np.ndarray:
        """Returns the class ids of an image."""
        started = time.perf_counter()
        ids = np.asarray(self._segment(images))
        self._seconds.append(time.perf_counter() - started)
        self._masks.append(zlib.compress(ids.tobytes(), 1))
        return ids

    def cost(self, paths: Sequence[Path], program: str, first: Watched) -> Cost:
        """Returns what the model costs.

        Args:
            paths: The run folder, file or SavedModel; of an ensemble, all of them.
            program: The program that computes it.
            first: The first model, which was called with the same images.
        """
        size = sum(file.stat().st_size for path in paths for file in files_of(find_model(path)))
        return Cost(program, statistics.median(self._seconds), size / 1e6, self._agreement(first))

    def _agreement(self, first: Watched) -> float:
        same = pixels = 0
        for mask, other in zip(self._masks, first._masks, strict=True):
            ids, others = (np.frombuffer(zlib.decompress(packed), np.uint8) for packed in (mask, other))
            same += int((ids == others).sum())
            pixels += ids.size
        return same / pixels


def format_costs(letters: Sequence[str], costs: Sequence[Cost]) -> str:
    """Returns a table of the costs of several models."""
    first = costs[0]
    rows = [
        (
            letter,
            cost.program,
            f"{cost.megabytes:.1f}",
            f"{1000 * cost.seconds:.1f}",
            f"{cost.seconds / first.seconds:.2f}x",
            f"{100 * cost.agreement:.2f}%",
        )
        for letter, cost in zip(letters, costs)
    ]
    return table(("", "computed by", "MB", "ms an image", "time", "pixels with A's class"), rows, "<<>>>>")
