"""Measures runs and exported files on this machine: `python -m export.benchmark --help` lists the options."""

from __future__ import annotations

import dataclasses
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from PIL import Image

if not __package__:  # started by its path, this folder would shadow packages of the names of its files
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from tyro.conf import Positional, arg

from export.formats.measuring import Task, resized_by_pillow
from export.formats.processes import call_elsewhere
from keras_fcn.datasets.toy.scenes import draw_scene
from keras_fcn.errors import UserError, argument
from keras_fcn.inference.engines.opening import files_of, find_model, required_program
from keras_fcn.inference.options import require_each_once
from keras_fcn.prediction.sources import find_images
from keras_fcn.runs.names import PrecisionName
from keras_fcn.system.command_line import parse_options, run_command
from keras_fcn.system.files import require_writable, write_json
from keras_fcn.system.machine import granted_cores, processor_name
from keras_fcn.system.options import AT_LEAST_1, NOT_NEGATIVE, SIZE, Options
from keras_fcn.system.progress import progress_bar
from keras_fcn.system.text import table

ANSWER = "export.formats.measuring:answer"
"""The function that a process is started for."""

DRAWN_SIZE = (320, 480)
"""Height and width of the drawn images."""


@dataclasses.dataclass(frozen=True)
class BenchmarkOptions(Options):
    """Measures runs and exported files on this machine, in turn: time and processor time of an image, time from the
    start of a process to its first mask, the most memory of that process, size, and the share of pixels that have the
    class of the first model. Each model is computed in a process of its own; TensorFlow is loaded for runs, .keras
    files and SavedModels alone.
    """

    models: Annotated[Positional[tuple[Path, ...]], arg(metavar="RUN_OR_MODEL...", help_behavior_hint="")]
    """Run folders, .keras files, SavedModels, or exported .onnx, .xml or .tflite files."""

    images: Annotated[tuple[str, ...], arg(metavar="PATH ...", help_behavior_hint="(default: drawn ones)")] = ()
    """Images, folders or patterns; what the masks agree in is only told by images of the kind that the model is for."""

    count: Annotated[int, AT_LEAST_1] = 10
    """The most images, evenly spread over those given, or the number of drawn ones."""

    size: Annotated[tuple[int, int] | None, SIZE, arg(metavar="H W", help_behavior_hint="")] = None
    """Resize images to this height and width; if not given, images keep theirs, and drawn ones have 320 x 480."""

    precision: PrecisionName = "auto"
    """What layers compute in; auto: bfloat16 on processors with AVX512_BF16 or AMX where the program is faster in it,
    float32 elsewhere."""

    rounds: Annotated[int, AT_LEAST_1] = 3
    """Number of times that each model is started; medians count."""

    threads: Annotated[int, NOT_NEGATIVE] = 0
    """Number of threads; 0 takes one for each core that this process may use."""

    json: Annotated[Path | None, arg(metavar="FILE", help_behavior_hint="")] = None
    """A JSON file to write the figures to; an existing one is replaced."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.models:
            raise UserError("export.benchmark needs a run folder or a model")
        require_each_once(self.models)


@dataclasses.dataclass(frozen=True)
class Figures:
    """What was measured of a model.

    Attributes:
        model: The path that was given.
        program: The program that computes it.
        seconds: Time of an image: the mean over the images of the medians over the rounds.
        processor_seconds: The same of the processor time of all threads.
        first_mask_seconds: From the start of a process to the first image's class ids, its decoding included.
        memory_megabytes: The most memory of the process; None where the system does not tell.
        megabytes: Size of the files, in 10^6 bytes.
        agreement: Share of all pixels that have the first model's class.
    """

    model: str
    program: str
    seconds: float
    processor_seconds: float
    first_mask_seconds: float
    memory_megabytes: float | None
    megabytes: float
    agreement: float


def _measured(task: Task) -> dict[str, Any]:
    """Starts a process that measures, and returns what it tells, with the time to its first mask.

    Raises:
        UserError: If it fails or is ended.
    """
    limits = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS") if task.threads else ()
    asked, started = json.dumps(dataclasses.asdict(task)), time.time()
    try:
        told = call_elsewhere(ANSWER, given=asked, variables=dict.fromkeys(limits, str(task.threads)))
    except UserError as error:
        raise UserError(f"{task.model}: could not be measured, its process ended: {error}") from None
    result = json.loads(told.splitlines()[-1])
    if "error" in result:
        message = result["error"]
        raise UserError(message if task.model in message else f"{task.model}: {message}")
    return {**result, "first_mask_seconds": result["first"] - started}


def measure_in_turn(options: BenchmarkOptions) -> list[Figures]:
    """Measures each model in every round.

    Raises:
        UserError: If a model or an image cannot be read, or the models have different classes.
    """
    found = [find_model(path) for path in options.models]
    for path in found:
        required_program(path)
    given, size = _chosen(options), list(options.size) if options.size else None
    rounds: list[list[dict[str, Any]]] = [[] for _ in found]
    with tempfile.TemporaryDirectory() as folder, progress_bar(options.rounds * len(found), "process", "") as bar:
        images = given or _drawn(Path(folder), options)
        kept = [Path(folder) / f"{index}.npz" for index in range(len(found))]
        for _ in range(options.rounds):
            for path, masks, results in zip(found, kept, rounds):
                task = Task(str(path), images, not given, size, options.threads, str(masks), options.precision)
                results.append(_measured(task))
                if results[0]["classes"] != rounds[0][0]["classes"]:
                    raise UserError(f"{path}: has other classes than {found[0]}; compare models of the same")
                bar.update()
        agreements = [_agreement(kept[0], masks) for masks in kept]
    each = zip(options.models, found, rounds, agreements)
    return [_figures(str(model), path, results, agreement) for model, path, results, agreement in each]


def _chosen(options: BenchmarkOptions) -> list[str]:
    """Returns the paths of the images that were given, at most `count`."""
    if not options.images:
        return []
    pictures = [source.location for source in find_images(options.images) if not source.is_video]
    if not pictures:
        raise UserError(f"{argument('images')} has no images, but videos: {' '.join(options.images)}")
    places = np.linspace(0, len(pictures) - 1, min(options.count, len(pictures))).round().astype(int)
    return [pictures[place] for place in places]


def _drawn(folder: Path, options: BenchmarkOptions) -> list[str]:
    """Draws images into a folder, once for all models, and returns their paths."""
    rng, paths = np.random.default_rng(0), [folder / f"{index}.png" for index in range(options.count)]
    for path in paths:
        Image.fromarray(resized_by_pillow(draw_scene(rng, 3)[0], options.size or DRAWN_SIZE)).save(path)
    return [str(path) for path in paths]


def _agreement(first: Path, other: Path) -> float:
    with np.load(first) as masks, np.load(other) as others:
        same = [masks[name] == others[name] for name in masks]
        return sum(int(one.sum()) for one in same) / sum(one.size for one in same)


def _figures(model: str, path: Path, rounds: list[dict[str, Any]], agreement: float) -> Figures:
    def median(name: str) -> np.ndarray:
        return np.median([result[name] for result in rounds], axis=0)

    memory = [result["memory_megabytes"] for result in rounds if result["memory_megabytes"] is not None]
    return Figures(
        model,
        rounds[0]["program"],
        seconds=float(median("seconds").mean()),
        processor_seconds=float(median("processor_seconds").mean()),
        first_mask_seconds=float(median("first_mask_seconds")),
        memory_megabytes=statistics.median(memory) if memory else None,
        megabytes=sum(file.stat().st_size for file in files_of(path)) / 1e6,
        agreement=agreement,
    )


def format_figures(figures: Sequence[Figures]) -> str:
    """Returns a table of figures."""
    first = figures[0].seconds
    headers = ("", "computed by", "ms an image", "time", "processor ms", "first mask, s", "memory, MB", "file, MB")
    rows = []
    for one in figures:
        memory = "" if one.memory_megabytes is None else f"{one.memory_megabytes:.0f}"
        milliseconds, processor = f"{1000 * one.seconds:.1f}", f"{1000 * one.processor_seconds:.1f}"
        costs = (f"{one.first_mask_seconds:.2f}", memory, f"{one.megabytes:.1f}", f"{100 * one.agreement:.2f}%")
        rows.append((one.model, one.program, milliseconds, f"{one.seconds / first:.2f}x", processor, *costs))
    return table((*headers, "same class"), rows, "<<>>>>>>>")


def main() -> None:
    """Measures, prints a table, and writes the figures."""
    options = parse_options(BenchmarkOptions, sys.argv[1:])
    if options.json is not None:
        require_writable(options.json)
    figures, threads = measure_in_turn(options), options.threads or granted_cores()
    what = (
        f"{options.count} drawn images"
        if not options.images
        else f"at most {options.count} images of {' '.join(options.images)}"
    )
    print(f"{processor_name()}, threads: {threads}; {what}; rounds: {options.rounds}\n")
    print(format_figures(figures))
    if options.json is not None:
        models = [dataclasses.asdict(one) for one in figures]
        about = {"processor": processor_name(), "threads": threads, "images": what, "rounds": options.rounds}
        write_json(options.json, {**about, "models": models})


def console() -> None:
    """Runs the measurement as the console script `keras-fcn-benchmark`."""
    run_command(main)


if __name__ == "__main__":
    console()
