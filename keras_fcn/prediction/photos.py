"""Predicting many images: reading, inference and writing in parallel, in bounded memory."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np

from keras_fcn.errors import NoSpaceError, UserError, argument
from keras_fcn.images.photos import decoded_bytes, read_remarked
from keras_fcn.images.rasters import is_raster
from keras_fcn.images.values.channels import Channels
from keras_fcn.inference.batches import batch_room, default_batch_size, stacked
from keras_fcn.inference.large import is_out_of_memory
from keras_fcn.inference.predictor import Predictor
from keras_fcn.prediction.outputs import OutputStyle, Writer
from keras_fcn.prediction.plan import Task, are_of_probabilities
from keras_fcn.prediction.threads import Job, in_order, thread_pool
from keras_fcn.system.storage import is_remote, read_bytes


def predict_all(
    predictor: Predictor,
    tasks: Sequence[Task],
    style: OutputStyle | None = None,
    batch_size: int | None = None,
    advance: Callable[[], object] = lambda: None,
) -> dict[int, UserError]:
    """Predicts images and writes the output files of each, atomically.

    Args:
        predictor: The model.
        tasks: Images to read and files to write.
        style: The style of pictures and annotations.
        batch_size: The most images of one size in a batch; images are not resized. 8 on a GPU and 4 on a CPU if not
            given.
        advance: Called after each task.

    Returns:
        The error of each image that failed, and a `Remark` about each that was predicted but should be looked at, by
        the index of its task, in the order of the tasks.

    Raises:
        NoSpaceError: If the disk is full; the images after it are not predicted.
    """
    batch_size = batch_size or default_batch_size()
    writer = Writer(predictor.classes, style or OutputStyle())
    failures: dict[int, UserError] = {}
    remarks: dict[int, UserError] = {}

    def finish(number: int, failure: UserError | None) -> None:
        if isinstance(failure, NoSpaceError):
            raise failure
        if failure is not None:
            failures[number] = failure
        advance()

    with thread_pool() as readers, thread_pool() as writers:
        reading = functools.partial(_reading, channels=predictor.channels)
        decoded = _readable(in_order(readers, map(reading, tasks)), finish, remarks)
        jobs = _writing(predictor, tasks, batches(decoded, batch_size), writer, finish)
        for number, failure in in_order(writers, jobs):
            finish(number, failure)
    return dict(sorted((remarks | failures).items()))


Finish = Callable[[int, "UserError | None"], None]
"""Takes the index of a task and its error, if there was one."""


def _readable(
    images: Iterable[tuple[np.ndarray | None, UserError | None]], finish: Finish, remarks: dict[int, UserError]
) -> Iterator[tuple[int, np.ndarray]]:
    """Yields index and image of each image that could be decoded."""
    for number, (image, reason) in enumerate(images):
        if image is None:
            finish(number, reason)
            continue
        if reason is not None:
            remarks[number] = reason
        yield number, image


def _writing(
    predictor: Predictor,
    tasks: Sequence[Task],
    groups: Iterable[tuple[list[int], list[np.ndarray]]],
    writer: Writer,
    finish: Finish,
) -> Iterator[Job]:
    """Predicts batches and yields the job of writing each image's files."""
    for numbers, images in groups:
        needs_probabilities = any(are_of_probabilities(tasks[number].targets) for number in numbers)
        try:
            ids, probabilities = segment(predictor, images, needs_probabilities)
        except Exception as error:
            for number in numbers:
                finish(number, _explained(tasks[number], error))
            continue
        for index, number in enumerate(numbers):
            task, own = tasks[number], None if probabilities is None else probabilities[index]
            arguments = (str(task.source.name), task.targets, images[index], ids[index], own, task.source.location)
            held = images[index].nbytes + (0 if own is None else own.nbytes)
            yield Job(held, functools.partial(writer.attempt, number, *arguments))


def _explained(task: Task, error: Exception) -> UserError:
    """Returns why an image could not be predicted; raises what says nothing about the image."""
    location = task.source.location
    if isinstance(error, UserError):  # the engine's, about the image's size
        return UserError(f"{location}: {error.marked}")
    if not is_out_of_memory(error):
        raise error
    return UserError(f"{location}: does not fit into the device's memory; add {argument('tile', (1024, 1024))}")


def _reading(task: Task, channels: Channels) -> Job:
    location = task.source.location
    size = 0 if is_remote(location) else decoded_bytes(location, channels)
    return Job(size, functools.partial(_read_or_explain, location, channels))


def _read_or_explain(location: str, channels: Channels) -> tuple[np.ndarray | None, UserError | None]:
    """Decodes an image, uint8 [H, W, channels], from a path or an object store; with a remark or the error."""
    try:
        content = read_bytes(location) if is_remote(location) else None
        if content is not None and is_raster(location, content):
            raise UserError(f"{location}: is a GeoTIFF; copy it to this machine, where its mask keeps its place")
        return read_remarked(location, content, channels)
    except UserError as error:
        return None, error


def segment(
    predictor: Predictor, images: Sequence[np.ndarray], needs_probabilities: bool = False
) -> tuple[np.ndarray, np.ndarray | None]:
    """Predicts images of one size.

    Args:
        predictor: The model.
        images: uint8 [H, W, 3] each.
        needs_probabilities: Whether to return probabilities.

    Returns:
        Class ids uint8 [N, H, W], and probabilities float32 [N, H, W, C] or None.
    """
    batch = stacked(images)
    if not needs_probabilities:
        return np.asarray(predictor.segment(batch)), None
    probabilities = predictor.score(batch)
    return np.asarray(predictor.decide(probabilities)), np.asarray(probabilities)


def batches(images: Iterable[tuple[int, np.ndarray]], batch_size: int) -> Iterator[tuple[list[int], list[np.ndarray]]]:
    """Groups numbered images uint8 [H, W, 3] into batches of one size each.

    An image waits until its batch is full or `4 * batch_size` others wait; the groups depend on the order alone.
    """
    waiting: dict[tuple[int, ...], list[tuple[int, np.ndarray]]] = {}
    for number, image in images:
        group = waiting.setdefault(image.shape, [])
        group.append((number, image))
        if len(group) >= batch_room(image, batch_size):
            yield _columns(waiting.pop(image.shape))
        elif sum(map(len, waiting.values())) > 4 * batch_size:
            yield _columns(waiting.pop(next(iter(waiting))))
    for group in waiting.values():
        yield _columns(group)


def _columns(group: list[tuple[int, np.ndarray]]) -> tuple[list[int], list[np.ndarray]]:
    return [number for number, _ in group], [image for _, image in group]
