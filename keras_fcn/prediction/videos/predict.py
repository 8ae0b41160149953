"""Predicting videos frame by frame, in memory that does not grow with their length."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from keras_fcn.drawing.overlays import labelled_overlay
from keras_fcn.drawing.palettes import picture_colors
from keras_fcn.inference.predictor import Predictor
from keras_fcn.prediction.outputs import OUTPUTS, OutputStyle, Writer
from keras_fcn.prediction.photos import segment
from keras_fcn.prediction.plan import Task, are_of_probabilities
from keras_fcn.prediction.threads import Job, in_order, thread_pool
from keras_fcn.prediction.videos.files import VideoReader, VideoWriter
from keras_fcn.system.files import replaced_file, replaced_folder


def predict_video(
    predictor: Predictor,
    task: Task,
    style: OutputStyle | None = None,
    rate: float = 25.0,
    advance: Callable[[], object] = lambda: None,
) -> None:
    """Predicts each frame of a video, and writes the output files atomically.

    Overlays are a video of the same size, with the same frame times, without sound. Other outputs are a folder with a
    file for each frame: 000000, 000001, ...

    Args:
        predictor: The model.
        task: The video to read and the files to write.
        style: The style of overlays.
        rate: Frames per second of an image sequence.
        advance: Called after each frame.

    Raises:
        UserError: If the video cannot be decoded or a file cannot be written.
    """
    style = style or OutputStyle()
    predictor.channels.require_rgb(f"{task.source.location}: a video")
    shown = picture_colors(predictor.classes, style.palette)
    writer = Writer(predictor.classes, style)
    with (
        VideoReader(task.source.location, rate) as reader,
        _temporary_outputs(task) as outputs,
        # Closed before the reader: a thread that decodes while the reader closes would crash.
        contextlib.closing(_frames_ahead(reader)) as frames,
        thread_pool() as drawers,
    ):

        def finish(number: int, time: int, image: np.ndarray, ids: np.ndarray, probabilities) -> tuple:
            """Writes the files of a frame, and returns its time and its overlay, if that is an output."""
            name, location = f"{task.source.name}/{number:06d}", task.source.location
            writer.write(name, _frame_files(outputs, number), image, ids, probabilities, location)
            drawn = labelled_overlay(image, ids, shown, style.alpha) if "overlays" in outputs else None
            return time, None if drawn is None else np.asarray(drawn)

        def drawing() -> Iterator[Job]:
            for number, (time, image) in enumerate(frames):
                ids, probabilities = segment(predictor, [image], are_of_probabilities(outputs))
                arguments = (number, time, image, ids[0], None if probabilities is None else probabilities[0])
                yield Job(image.nbytes, functools.partial(finish, *arguments))

        _write_video(outputs.get("overlays"), reader, in_order(drawers, drawing()), advance)


def _write_video(
    path: Path | None,
    reader: VideoReader,
    overlays: Iterator[tuple[int, np.ndarray | None]],
    advance: Callable[[], object],
) -> None:
    with contextlib.ExitStack() as stack:
        video = None
        for time, overlay in overlays:
            if path is not None and overlay is not None:
                if video is None:
                    new = VideoWriter(path, overlay.shape[:2], reader.rate, reader.time_base)
                    video = stack.enter_context(new)
                video.write(time, overlay)
            advance()


def _frames_ahead(reader: VideoReader) -> Generator[tuple[int, np.ndarray], None, None]:
    """Yields the frames, while a thread decodes the next frames."""
    frames = reader.frames()
    with ThreadPoolExecutor(1) as thread:
        ahead = in_order(thread, iter(lambda: Job(0, lambda: next(frames, None)), None))
        yield from iter(lambda: next(ahead), None)


def _frame_files(outputs: dict[str, Path], number: int) -> dict[str, str]:
    """Returns the files of a frame by output, without its overlay, which is a frame of the video."""
    return {
        output: str(path / f"{number:06d}{OUTPUTS[output].suffix}")
        for output, path in outputs.items()
        if output != "overlays"
    }


@contextlib.contextmanager
def _temporary_outputs(task: Task) -> Iterator[dict[str, Path]]:
    """Yields temporary files and folders by output, which replace the targets if the block succeeds."""
    with contextlib.ExitStack() as stack:
        outputs = {}
        for output, target in task.targets.items():
            replaced = replaced_file if output == "overlays" else replaced_folder
            outputs[output] = stack.enter_context(replaced(Path(target)))
        yield outputs
