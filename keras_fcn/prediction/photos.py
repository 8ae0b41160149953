"""Predicting many photographs: reading, the network and writing at once, in bounded memory."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import functools
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
import tensorflow as tf

from keras_fcn.drawing.palettes import picture_colors
from keras_fcn.errors import UserError, argument
from keras_fcn.images.classes import ClassTable
from keras_fcn.images.photos import decode_image, decoded_bytes, read_image
from keras_fcn.inference.predictor import Predictor
from keras_fcn.prediction.outputs import OUTPUTS, Prediction
from keras_fcn.prediction.plan import Task
from keras_fcn.system.storage import is_remote, read_bytes, write_bytes

WAITING_BYTES = 1 << 28
"""How much decoded photographs that wait for the network, and predictions that wait to be written, may take each."""

THREADS = max(2, os.cpu_count() or 1)
"""Threads that read, and as many that write."""

BATCH_PIXELS = 1 << 22
"""The most pixels in a batch of several images."""


@dataclasses.dataclass(frozen=True)
class PictureStyle:
    """How pictures to look at are drawn.

    Attributes:
        palette: One of `keras_fcn.drawing.palettes.PALETTES`.
        alpha: Share of the classes' colours in overlays, 0-1.
    """

    palette: str = "classes"
    alpha: float = 0.55


def predict_all(
    predictor: Predictor,
    tasks: Sequence[Task],
    style: PictureStyle | None = None,
    batch_size: int | None = None,
    advance: Callable[[], object] = lambda: None,
) -> dict[int, UserError]:
    """Predicts photographs and writes what is asked for about each, whole files or none.

    Args:
        predictor: The model.
        tasks: What to read and to write.
        style: How pictures are drawn.
        batch_size: How many images of one size the network gets at once; they are not resized. 8 on a GPU and 4 on a
            CPU if not given.
        advance: Is called after each task.

    Returns:
        What is wrong with each photograph that failed, by its number among the tasks, in their order.
    """
    batch_size = batch_size or (8 if tf.config.list_physical_devices("GPU") else 4)
    writer = Writer(predictor.classes, style or PictureStyle())
    failures: dict[int, UserError] = {}

    def finish(number: int, failure: UserError | None) -> None:
        if failure is not None:
            failures[number] = failure
        advance()

    with thread_pool() as readers, thread_pool() as writers:
        decoded = _readable(in_order(readers, map(_reading, tasks)), finish)
        jobs = _writing(predictor, tasks, batches(decoded, batch_size), writer, finish)
        for number, failure in in_order(writers, jobs):
            finish(number, failure)
    return dict(sorted(failures.items()))


Finish = Callable[[int, "UserError | None"], None]
"""Takes the number of a task and what went wrong, if anything."""


def _readable(images: Iterable[np.ndarray | UserError], finish: Finish) -> Iterator[tuple[int, np.ndarray]]:
    """Yields the images that could be decoded, with their numbers."""
    for number, image in enumerate(images):
        if isinstance(image, UserError):
            finish(number, image)
        else:
            yield number, image


def _writing(
    predictor: Predictor,
    tasks: Sequence[Task],
    groups: Iterable[tuple[list[int], list[np.ndarray]]],
    writer: Writer,
    finish: Finish,
) -> Iterator[Job]:
    """Predicts batches and yields the work of writing what is asked for about each image."""
    for numbers, images in groups:
        scored = any("probabilities" in tasks[number].targets for number in numbers)
        try:
            ids, scores = segment(predictor, images, scored)
        except tf.errors.ResourceExhaustedError:
            for number in numbers:
                finish(number, _too_large(tasks[number]))
            continue
        for place, number in enumerate(numbers):
            known = (tasks[number], images[place], ids[place], None if scores is None else scores[place])
            yield Job(images[place].nbytes, functools.partial(writer.attempt, number, *known))


@dataclasses.dataclass(frozen=True)
class Job:
    """Something for another thread to do.

    Attributes:
        size: Bytes that it holds or makes.
        work: What to call.
    """

    size: int
    work: Callable[[], Any]


def in_order(pool: ThreadPoolExecutor, jobs: Iterable[Job]) -> Iterator[Any]:
    """Yields the results of jobs in their order, while threads are some jobs ahead, as far as memory allows."""
    pending: collections.deque[tuple[int, Future]] = collections.deque()
    for job in jobs:
        pending.append((job.size, pool.submit(job.work)))
        while pending and (len(pending) > 2 * THREADS or sum(size for size, _ in pending) > WAITING_BYTES):
            yield pending.popleft()[1].result()
    while pending:
        yield pending.popleft()[1].result()


def _too_large(task: Task) -> UserError:
    return UserError(
        f"{task.source.location}: does not fit into the device's memory; add {argument('tile', (1024, 1024))}"
    )


def _reading(task: Task) -> Job:
    location = task.source.location
    return Job(0 if is_remote(location) else decoded_bytes(location), functools.partial(_read_or_explain, location))


def _read_or_explain(location: str) -> np.ndarray | UserError:
    try:
        return read_photograph(location)
    except UserError as error:
        return error


def read_photograph(location: str) -> np.ndarray:
    """Decodes a photograph, uint8 [H, W, 3], from wherever it lies; raises DataError if that fails."""
    return decode_image(read_bytes(location), location) if is_remote(location) else read_image(location)


def segment(
    predictor: Predictor, images: Sequence[np.ndarray], scored: bool = False
) -> tuple[np.ndarray, np.ndarray | None]:
    """Predicts images of one size.

    Args:
        predictor: The model.
        images: uint8 [H, W, 3] each.
        scored: Whether probabilities are wanted.

    Returns:
        Class ids uint8 [N, H, W], and probabilities float32 [N, H, W, C] or None.
    """
    batch = images[0][None] if len(images) == 1 else np.stack(images)
    if not scored:
        return np.asarray(predictor.segment(batch)), None
    probabilities = np.asarray(predictor.score(batch))
    return probabilities.argmax(axis=-1).astype(np.uint8), probabilities


def batches(images: Iterable[tuple[int, np.ndarray]], batch_size: int) -> Iterator[tuple[list[int], list[np.ndarray]]]:
    """Groups numbered images uint8 [H, W, 3] into batches of one size each.

    An image waits until its batch is full or `4 * batch_size` others wait; which are grouped depends on their order
    alone. A batch of several has at most `BATCH_PIXELS` pixels.
    """
    waiting: dict[tuple[int, ...], list[tuple[int, np.ndarray]]] = {}
    for number, image in images:
        group = waiting.setdefault(image.shape, [])
        group.append((number, image))
        if len(group) >= min(batch_size, BATCH_PIXELS // (image.shape[0] * image.shape[1])):
            yield _columns(waiting.pop(image.shape))
        elif sum(map(len, waiting.values())) > 4 * batch_size:
            yield _columns(waiting.pop(next(iter(waiting))))
    for group in waiting.values():
        yield _columns(group)


def _columns(group: list[tuple[int, np.ndarray]]) -> tuple[list[int], list[np.ndarray]]:
    return [number for number, _ in group], [image for _, image in group]


class Writer:
    """Draws, encodes and writes what is asked for about photographs.

    Args:
        classes: Names of the ids, and the colours of masks.
        style: How pictures are drawn.
    """

    def __init__(self, classes: ClassTable, style: PictureStyle) -> None:
        self._classes, self._shown = classes, picture_colors(classes, style.palette)
        self._alpha = style.alpha

    def attempt(self, number: int, *known) -> tuple[int, UserError | None]:
        """Does what `write` does, and returns the number and what went wrong, if anything."""
        try:
            self.write(*known)
        except UserError as error:
            return number, error
        return number, None

    def write(self, task: Task, image: np.ndarray, ids: np.ndarray, probabilities: np.ndarray | None = None) -> None:
        """Writes the files of a task.

        Args:
            task: Which files.
            image: uint8 [H, W, 3].
            ids: Class ids uint8 [H, W].
            probabilities: float32 [H, W, C], if they are to be written.

        Raises:
            UserError: If a file cannot be made or written.
        """
        name = str(task.source.name)
        prediction = Prediction(name, image, ids, self._classes, self._shown, probabilities, self._alpha)
        for output, target in task.targets.items():
            try:
                content = OUTPUTS[output].encode(prediction)
            except UserError as error:
                raise UserError(f"{target}: {error}") from None
            write_bytes(target, content)


@contextlib.contextmanager
def thread_pool() -> Iterator[ThreadPoolExecutor]:
    """Gives threads that end with the block; if it raises, what they have not begun is dropped."""
    pool = ThreadPoolExecutor(THREADS)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)
