"""An exported file beside the live model: the classes that it gives, its size and its time."""

from __future__ import annotations

import dataclasses
import statistics
import time
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from export.verification import CHECKED_SHAPES, LEAST_AGREEMENT, TOLERANCE, Comparison, compare_classes
from keras_fcn.errors import UserError
from keras_fcn.inference.graphs import Segment
from keras_fcn.inference.predictor import Predictor
from keras_fcn.system.text import table

LEAST_INT8_AGREEMENT = 0.5
"""Share of pixels that must get the live model's class from a quantized file; below, it is broken, not coarse."""

MOST_INT8_DIFFERENCE = 0.1
"""How much less probable than the likeliest the classes of a file may be that agrees in fewer."""

_SQUARE = 12

TIMED_SIZE = (320, 480)
"""Height and width of the image that files of any size are timed on."""

UNTIMED, TIMED = 3, 10
"""Calls before, and calls whose median is told."""


def verify_file(
    name: str,
    segment: Segment,
    live: Predictor,
    size: tuple[int, int] | None,
    photographs: Sequence[np.ndarray] = (),
    is_exact: bool = True,
) -> list[Comparison]:
    """Compares a file with the live model on batches of one and more images, at odd sizes if it takes these.

    Args:
        name: The file's.
        segment: Runs it.
        live: The model that was exported.
        size: Height and width that it takes, if only one.
        photographs: Images [1, H, W, 3] that it is tried on, in pieces; noise, if there are none.
        is_exact: Whether it computes as the live model does; a quantized file does not.

    Raises:
        UserError: If it differs by more than an exact file may, or a quantized one agrees hardly at all.
    """
    shapes = CHECKED_SHAPES if size is None else ((1, *size), (2, *size))
    comparisons = []
    for shape in shapes:
        images = _pieces(photographs, shape) if photographs else _noise(shape)
        expected = np.asarray(live.score(images))
        found = Comparison(name, " x ".join(map(str, shape)), *compare_classes(np.asarray(segment(images)), expected))
        is_wrong = found.difference > TOLERANCE or found.agreement < LEAST_AGREEMENT
        # Of a network that knows nothing yet, int8 changes most classes, from one to another as probable.
        is_absurd = found.agreement < LEAST_INT8_AGREEMENT and found.difference > MOST_INT8_DIFFERENCE
        if is_wrong if is_exact else is_absurd:
            raise UserError(
                f"{name}: its classes agree with the live model's in {found.agreement:.1%} of pixels and are up to "
                f"{found.difference:.2g} less probable, on {found.batch}; nothing was exported"
            )
        comparisons.append(found)
    return comparisons


def _noise(shape: tuple[int, ...]) -> np.ndarray:
    """Returns images of squares in random colours, in which a network sees more than in noise of single pixels."""
    number, height, width = shape
    squares = (number, -(-height // _SQUARE), -(-width // _SQUARE), 3)
    colors = np.random.default_rng(0).integers(0, 256, squares, np.uint8)
    return colors.repeat(_SQUARE, axis=1).repeat(_SQUARE, axis=2)[:, :height, :width]


def _pieces(photographs: Sequence[np.ndarray], shape: tuple[int, ...]) -> np.ndarray:
    """Returns the middles of photographs as one batch, repeated where they are too small or too few."""
    number, height, width = shape
    middles = []
    for index in range(number):
        photograph = photographs[index % len(photographs)][0]
        repeats = (-(-height // photograph.shape[0]), -(-width // photograph.shape[1]), 1)
        tiled = np.tile(photograph, repeats)
        top, left = (tiled.shape[0] - height) // 2, (tiled.shape[1] - width) // 2
        middles.append(tiled[top : top + height, left : left + width])
    return np.stack(middles)


@dataclasses.dataclass(frozen=True)
class Program:
    """A way to run the network, as a row of the table that an export prints.

    Attributes:
        name: What it is called.
        segment: Runs it.
        megabytes: What it takes on disk, if it is a file.
        mean_iou: On the held-out photographs, 0-1, if there are any.
    """

    name: str
    segment: Segment
    megabytes: float | None = None
    mean_iou: float | None = None


def format_programs(programs: Sequence[Program], size: tuple[int, int] | None) -> str:
    """Times programs in turn on one image and returns a table of them; the first is what others are compared with."""
    images = _noise((1, *(size or TIMED_SIZE)))
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
    """Returns the median seconds of each function's calls; all meet the same load of the machine."""
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
