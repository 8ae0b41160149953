"""Times predicting a folder against the network alone: `python benchmarks/predict.py DIR`.

In one run, in turn: the network's forward passes over decoded images, and `predict_all`, which also decodes them and
writes masks, or masks and overlays. Ratios are medians of the ratios within a round. By processor time, other programs
hardly affect them, but they exclude waiting. At the end, the time from the start of `predict.py` to the mask of one
image, beside that of `import tensorflow` alone.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import tyro

from keras_fcn.prediction.plan import plan
from keras_fcn.prediction.sources import find_images
from keras_fcn.system.command_line import parse_options, run_command
from keras_fcn.system.startup import start_tensorflow

ROOT = Path(__file__).parents[1]
KINDS = {"masks": ["masks"], "masks and overlays": ["masks", "overlays"]}


@dataclasses.dataclass(frozen=True)
class BenchmarkOptions:
    """Times predicting a folder against the network alone."""

    photos: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="DIR")]
    """A folder of images."""

    model: Annotated[Path | None, tyro.conf.arg(metavar="RUN_OR_MODEL", help_behavior_hint="")] = None
    """A run folder, a .keras file or a SavedModel; an untrained FCN-32s over ResNet-18 V2 if not given."""

    count: int = 200
    """The most images to predict."""

    rounds: int = 3
    """Number of times that each is timed; medians are printed."""

    batch_size: int = 4
    """The most images of one size in a batch."""

    starts: int = 3
    """Number of times that `predict.py` is started for one image."""

    json: Annotated[Path | None, tyro.conf.arg(metavar="FILE", help_behavior_hint="")] = None
    """The JSON file to write the results to."""


def seconds(work: Callable[[], object]) -> tuple[float, float]:
    """Returns wall and processor seconds of a call in this process."""
    clock, processor = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - clock, time.process_time() - processor


def one_round(predictor, sources: list, options: BenchmarkOptions) -> dict[str, tuple[float, float]]:
    """Times the network alone and each kind of prediction once."""
    from keras_fcn.images.photos import read_image
    from keras_fcn.prediction.photos import batches, predict_all, segment

    images = [read_image(source.location) for source in sources]
    grouped = [images for _, images in batches(enumerate(images), options.batch_size)]
    times = {"network": seconds(lambda: [segment(predictor, group) for group in grouped])}
    for name, outputs in KINDS.items():
        with tempfile.TemporaryDirectory() as out:
            tasks = plan(sources, out, outputs).left
            work = functools.partial(predict_all, predictor, tasks, batch_size=options.batch_size)
            times[name] = seconds(work)
            written = sum(1 for file in Path(out).rglob("*") if file.is_file())
            assert written == len(sources) * len(outputs), written
    return times


def start_up(model: Path, photo: str, options: BenchmarkOptions) -> dict[str, float]:
    """Returns the seconds of `import tensorflow` and of `predict.py` for one image, medians, in turn."""
    times: dict[str, list[float]] = {"import tensorflow": [], "predict.py, one image": []}
    for _ in range(options.starts):
        with tempfile.TemporaryDirectory() as out:
            predict = [ROOT / "predict.py", model, photo, "--out", out, "--write", "masks"]
            for name, words in zip(times, (["-c", "import tensorflow"], predict)):
                command = [sys.executable, *map(str, words)]
                work = functools.partial(subprocess.run, command, check=True, capture_output=True)
                times[name].append(seconds(work)[0])
    return {name: statistics.median(values) for name, values in times.items()}


def untrained(folder: Path) -> Path:
    """Saves an FCN-32s over ResNet-18 V2 with random weights."""
    from keras_fcn.network.fcn import build_fcn

    build_fcn("fcn32s", "resnet18_v2").save(folder / "untrained.keras")
    return folder / "untrained.keras"


def main() -> None:
    """Times all in turn and prints a table."""
    options = parse_options(BenchmarkOptions, sys.argv[1:])
    start_tensorflow()
    from keras_fcn.inference.predictor import Predictor

    folder = Path(tempfile.mkdtemp())
    try:
        model = options.model or untrained(folder)
        sources = list(itertools.islice(find_images([str(options.photos)]), options.count))
        predictor = Predictor.open(model)
        one_round(predictor, sources[:8], options)  # warms up
        rounds = [one_round(predictor, sources, options) for _ in range(options.rounds)]
        starts = start_up(model, sources[0].location, options)
    finally:
        shutil.rmtree(folder)
    report(rounds, starts, len(sources), options)


def report(rounds: list, starts: dict[str, float], count: int, options: BenchmarkOptions) -> None:
    """Prints medians in milliseconds per image and as ratios to the network alone, and writes them as JSON."""
    print(f"{count} images, batches of {options.batch_size}, {os.cpu_count()} cores, medians of {len(rounds)}")
    print(f"{'':<20}{'ms each':>9}{'of the network':>16}{'by processor time':>20}")
    results = {}
    for name in rounds[0]:
        each = 1000 * statistics.median(times[name][0] for times in rounds) / count
        ratios = [statistics.median(times[name][i] / times["network"][i] for times in rounds) for i in (0, 1)]
        results[name] = {"milliseconds": each, "of_network": ratios[0], "of_network_by_processor": ratios[1]}
        print(f"{name:<20}{each:>9.1f}{ratios[0]:>16.2f}{ratios[1]:>20.2f}")
    for name, value in starts.items():
        print(f"{name}: {value:.1f} s")
    if options.json is not None:
        written = {"photographs": count, "batch_size": options.batch_size, "figures": results, "start_up": starts}
        options.json.write_text(json.dumps(written, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    run_command(main)
