"""Measuring a model in this process: time, processor time, memory, and its masks; TensorFlow is not needed for it."""

from __future__ import annotations

import dataclasses
import json
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from keras_fcn.errors import UserError, argument
from keras_fcn.images.photos import read_image
from keras_fcn.images.values.channels import RGB, Channels
from keras_fcn.inference.engines.opening import open_engine, uses_tensorflow
from keras_fcn.runs.names import PrecisionName
from keras_fcn.system.command_line import as_options
from keras_fcn.system.machine import peak_megabytes
from keras_fcn.system.startup import start_tensorflow

UNTIMED = 2
"""Calls of each new size that are not timed: OpenVINO prepares for a size in the first ones."""


@dataclasses.dataclass(frozen=True)
class Task:
    """What a process measures.

    Attributes:
        model: The model, as `find_model` finds it.
        images: Paths of images.
        is_drawn: Whether these were drawn, in three channels, whatever the model takes.
        size: Height and width that images are resized to; those of the images if not given.
        threads: Number of threads.
        masks: The file to keep class ids in.
        precision: What layers compute in, as in `open_engine`.
    """

    model: str
    images: list[str]
    is_drawn: bool
    size: list[int] | None
    threads: int
    masks: str
    precision: PrecisionName = "auto"


def measure(task: Task) -> dict[str, Any]:
    """Computes class ids of images by a model, and keeps them.

    Returns:
        What the process that asked makes `Figures` of.

    Raises:
        UserError: If the model or an image cannot be read, or it takes images of another size.
    """
    path = Path(task.model)
    if uses_tensorflow(path):
        start_tensorflow(list_devices=False, whole=False)
    engine = open_engine(path, task.threads, task.precision)
    segment = engine.segment
    if engine.whole is not None and engine.score is not None:  # in tiles, what predict.py takes in tiles
        segment = engine.whole.segmenter(segment, engine.score, engine.decide)
    seconds, processor_seconds, masks, seen = [], [], [], set()
    first = 0.0
    for picture in _pictures(task, engine.channels):
        if engine.size not in (None, picture.shape[:2]):
            wanted = argument("size", tuple(engine.size or ()))
            received = " x ".join(map(str, picture.shape[:2]))
            raise UserError(f"{path}: takes images of one size alone; measure all with {wanted}. Received: {received}")
        images = np.repeat(picture[None], engine.batch or 1, axis=0)
        for _ in range(0 if images.shape in seen else UNTIMED):
            np.asarray(segment(images))
            first = first or time.time()
        seen.add(images.shape)
        started, processor_started = time.perf_counter(), time.process_time()
        ids = np.asarray(segment(images))
        seconds.append((time.perf_counter() - started) / len(images))
        processor_seconds.append((time.process_time() - processor_started) / len(images))
        masks.append(ids[0])
    np.savez_compressed(task.masks, *masks)
    return {
        "program": engine.program,
        "classes": engine.classes.names,
        "seconds": seconds,
        "processor_seconds": processor_seconds,
        "first": first,
        "memory_megabytes": peak_megabytes(),
    }


def _pictures(task: Task, channels: Channels) -> Iterator[np.ndarray]:
    """Yields the images, uint8 [H, W, channels]."""
    for path in task.images:
        image = read_image(path, RGB if task.is_drawn else channels)
        yield resized_by_pillow(
            image if image.shape[2] == channels.count else image[..., np.arange(channels.count) % 3], task.size
        )


def resized_by_pillow(image: np.ndarray, size: Sequence[int] | None) -> np.ndarray:
    """Returns an image uint8 [H, W, C], resized bilinearly if a size is given."""
    if size is None or image.shape[:2] == tuple(size):
        return image
    height, width = size
    bands = (Image.fromarray(band).resize((width, height), Image.Resampling.BILINEAR) for band in np.rollaxis(image, 2))
    return np.stack([np.asarray(band) for band in bands], axis=2)


def answer() -> None:
    """Measures the task on stdin, as JSON, and prints as the last line what came of it; the code of a process."""
    try:
        result = measure(Task(**json.load(sys.stdin)))
    except UserError as error:
        result = {"error": as_options(error)}
    except MemoryError:
        result = {"error": "the memory does not suffice; give smaller images, or --size H W"}
    print(json.dumps(result), flush=True)
