"""Comparing an exported file with the live model: classes, size, time."""

from __future__ import annotations

import dataclasses
import statistics
import time
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from export.formats.verification import (
    CHECKED_SHAPES,
    LEAST_AGREEMENT,
    TOLERANCE,
    Comparison,
    compare_classes,
    largest_difference,
)
from keras_fcn.errors import UserError
from keras_fcn.inference.arrays import Segment
from keras_fcn.inference.decision import Decision
from keras_fcn.inference.predictor import Predictor
from keras_fcn.system.text import table

LEAST_INT8_AGREEMENT = 0.5
"""The least fraction of pixels with the live model's class in a quantized file; with less it is broken."""

MOST_INT8_DIFFERENCE = 0.1
"""The most that classes may be less probable than the most probable ones, in a file that agrees in fewer."""

_SQUARE = 12

TIMED_SIZE = (320, 480)
"""Height and width of the image that files of any size are timed on."""

UNTIMED, TIMED = 3, 10
"""Numbers of warm-up calls, and of timed calls."""


def verify_file(
    name: str,
    file: Predictor,
    live: Predictor,
    size: tuple[int, int] | None,
    samples: Sequence[np.ndarray] = (),
    is_exact: bool = True,
) -> list[Comparison]:
    """Compares a file with the live model on batches of one and more images, at odd sizes if it takes any size.

    Args:
        name: The file's name.
        file: The file.
        live: The exported model.
        size: Height and width of the file's input, if fixed.
        samples: Images uint8 [1, H, W, 3] to crop the compared images from; noise if there are none.
        is_exact: False for a quantized file.

    Raises:
        UserError: If the differences are larger than an exact or a quantized file may have.
    """
    shapes = CHECKED_SHAPES if size is None else ((1, *size), (2, *size))
    comparisons = []
    for shape in shapes:
        images = _crops(samples, shape) if samples else _noise(shape, live.channels.count)
        expected = np.asarray(live.score(images))
        found = Comparison(name, " x ".join(map(str, shape)), *_compared(file, images, expected, live.decide))
        is_wrong = found.difference > TOLERANCE or found.agreement < LEAST_AGREEMENT
        # In an untrained network, int8 changes most classes to others that are equally probable.
        is_broken = found.agreement < LEAST_INT8_AGREEMENT and found.difference > MOST_INT8_DIFFERENCE
        if is_wrong if is_exact else is_broken:
            raise UserError(
                f"{name}: its classes agree with the live model's in {found.agreement:.1%} of pixels and are up to "
                f"{found.difference:.2g} less probable, or otherwise probable, on {found.batch}; nothing was exported"
            )
        comparisons.append(found)
    return comparisons


def _compared(file: Predictor, images: np.ndarray, expected: np.ndarray, decide: Decision) -> tuple[float, float]:
    """Returns the largest difference of probabilities, and the share of pixels with the live model's class."""
    difference, agreement = compare_classes(np.asarray(file.segment(images)), expected, decide)
    if file.has_probabilities:
        difference = max(difference, largest_difference(np.asarray(file.score(images)), expected))
    return difference, agreement


def _noise(shape: tuple[int, ...], channels: int) -> np.ndarray:
    """Returns images of squares in random colours, which have more structure than noise of single pixels."""
    number, height, width = shape
    squares = (number, -(-height // _SQUARE), -(-width // _SQUARE), channels)
    colors = np.random.default_rng(0).integers(0, 256, squares, np.uint8)
    return colors.repeat(_SQUARE, axis=1).repeat(_SQUARE, axis=2)[:, :height, :width]


def _crops(samples: Sequence[np.ndarray], shape: tuple[int, ...]) -> np.ndarray:
    """Returns centre crops of images as one batch; images are repeated where they are too small or too few."""
    number, height, width = shape
    crops = []
    for index in range(number):
        sample = samples[index % len(samples)][0]
        tiled = np.tile(sample, (-(-height // sample.shape[0]), -(-width // sample.shape[1]), 1))
        top, left = (tiled.shape[0] - height) // 2, (tiled.shape[1] - width) // 2
        crops.append(tiled[top : top + height, left : left + width])
    return np.stack(crops)


@dataclasses.dataclass(frozen=True)
class Program:
    """A function of the network, as a row of the table that an export prints.

    Attributes:
        name: The row's title.
        segment: The function.
        megabytes: Size on disk, if it is a file.
        mean_iou: Mean IoU on the validation images, 0-1, if there are any.
    """

    name: str
    segment: Segment
    megabytes: float | None = None
    mean_iou: float | None = None


def format_programs(programs: Sequence[Program], size: tuple[int, int] | None, channels: int = 3) -> str:
    """Times programs in turn on one image and returns a table; speeds are relative to the first."""
    images = _noise((1, *(size or TIMED_SIZE)), channels)
    seconds = _time_in_turn([program.segment for program in programs], images)
    shape = " x ".join(map(str, images.shape[1:3]))
    rows = [["", "MB", f"ms, {shape}", "speed", "mean IoU"]]
    for program, each in zip(programs, seconds):
        megabytes = "" if program.megabytes is None else f"{program.megabytes:.1f}"
        iou = "" if program.mean_iou is None else f"{100 * program.mean_iou:.1f}"
        rows.append([program.name, megabytes, f"{1000 * each:.1f}", f"{seconds[0] / each:.2f}x", iou])
    shown = 5 if any(program.mean_iou is not None for program in programs) else 4
    headers, *cells = (row[:shown] for row in rows)
    return table(headers, cells)


def _time_in_turn(functions: Sequence[Callable], images: np.ndarray) -> list[float]:
    """Returns the median seconds of each function's calls, interleaved so that the machine's load is the same."""
    for function in functions:
        for _ in range(UNTIMED):
            np.asarray(function(images))
    rounds = [list(_seconds(functions, images)) for _ in range(TIMED)]
    return [statistics.median(each) for each in zip(*rounds)]


def _seconds(functions: Sequence[Callable], images: np.ndarray) -> Iterator[float]:
    for function in functions:
        started = time.perf_counter()
        np.asarray(function(images))
        yield time.perf_counter() - started
