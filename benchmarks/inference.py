"""Times our SavedModel, other formats and other programs in turn: `python benchmarks/inference.py --formats onnx`.

The SavedModel is exported first; then each round starts every program once, in its own process, so that a change of
the machine's load affects all of them. A yardstick is any command that prints, as its last line, a JSON object with
"seconds", the median from an image in memory to its classes, for example
`--yardstick PyTorch "torch-env/bin/python torch_fcn.py infer --batch 1 --layout nhwc"`; if it also has
"processor_seconds", the median of the processor time of all threads, those are compared, too: they vary less on a
busy machine. `--formats onnx openvino litert` also exports the network to these formats, `--int8` adds quantized files,
calibrated with drawn scenes: with random weights, only the speed is meaningful.
"""

from __future__ import annotations

import dataclasses
import importlib
import importlib.metadata
import json
import resource
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import tyro
from common.yardsticks import OURS, report, run_in_turn, write_results

from export.formats.conversion import Format
from keras_fcn.inference.engines.opening import open_engine
from keras_fcn.runs.names import BackboneName, ModelName
from keras_fcn.system.command_line import parse_options, run_command
from keras_fcn.system.startup import start_tensorflow

UNTIMED = 3
CALIBRATED = 20
"""Number of scenes to calibrate int8 with."""

FormatName = Literal["onnx", "openvino", "litert"]
SUFFIXES: dict[str, FormatName] = {".onnx": "onnx", ".xml": "openvino", ".tflite": "litert"}


@dataclasses.dataclass(frozen=True)
class BenchmarkOptions:
    """Times our SavedModel and other programs in turn."""

    model: ModelName = "fcn32s"
    """The network."""

    backbone: BackboneName = "resnet18_v2"
    """The backbone."""

    num_classes: int = 21
    """Classes, background included."""

    size: tuple[int, int] = (320, 480)
    """Height and width of the image."""

    images: int = 20
    """Timed calls of each process, after three warm-up calls; the median counts."""

    rounds: int = 5
    """Number of times that each program is started; medians are printed."""

    threads: int = 2
    """Threads of our program."""

    formats: Annotated[tuple[FormatName, ...], tyro.conf.arg(metavar="NAME ...")] = ()
    """Other formats of the same network to time, each with its own engine."""

    int8: bool = False
    """Also time these formats quantized to 8-bit integers."""

    fixed: bool = False
    """Export these formats for images of --size only."""

    yardstick: Annotated[
        tyro.conf.UseAppendAction[tuple[tuple[str, str], ...]], tyro.conf.arg(metavar="NAME COMMAND")
    ] = ()
    """A program to compare with, and its command; may be given several times."""

    only_file: Annotated[Path | None, tyro.conf.arg(metavar="FILE", help_behavior_hint="")] = None
    """Time the model in this file once, in this process, and print what a yardstick prints."""

    only_ours: Annotated[Path | None, tyro.conf.arg(metavar="DIR", help_behavior_hint="")] = None
    """Time the SavedModel in this folder once, in this process, and print what a yardstick prints."""

    only_export: Annotated[Path | None, tyro.conf.arg(metavar="DIR", help_behavior_hint="")] = None
    """Only export the SavedModel into this folder, as DIR/1."""

    json: Annotated[Path | None, tyro.conf.arg(metavar="FILE", help_behavior_hint="")] = None
    """The JSON file to write the results to."""


def file_seconds(options: BenchmarkOptions, path: Path) -> dict:
    """Returns the median seconds from one random image to its classes by a file of another format."""
    form = form_of(SUFFIXES[path.suffix])
    return engine_seconds(options, path, importlib.metadata.version(form.modules[-1].replace("_", "-")))


def our_seconds(options: BenchmarkOptions) -> dict:
    """Returns the median seconds from one random image to its classes by the signature `images`."""
    start_tensorflow(list_devices=False)
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(options.threads)
    return engine_seconds(options, options.only_ours, tf.__version__)


def engine_seconds(options: BenchmarkOptions, path: Path, version: str) -> dict:
    """Returns the median seconds of an engine, in the precision that is the fastest on this machine."""
    engine = open_engine(path, options.threads)
    images = np.random.default_rng(0).integers(0, 256, (1, *options.size, 3), np.uint8)
    program, _, precision = engine.program.partition(",")
    medians = median_seconds(options, lambda: np.asarray(engine.segment(images)))
    return {"framework": f"{program} {version}{precision}", **medians}


def median_seconds(options: BenchmarkOptions, segment: Callable[[], object]) -> dict:
    """Returns the medians of a function's wall time and of the processor time of all threads."""
    seconds, processor_seconds = [], []
    for _ in range(UNTIMED + options.images):
        started, processor_started = time.perf_counter(), time.process_time()
        segment()
        seconds.append(time.perf_counter() - started)
        processor_seconds.append(time.process_time() - processor_started)
    return {
        "seconds": statistics.median(seconds[UNTIMED:]),
        "processor_seconds": statistics.median(processor_seconds[UNTIMED:]),
    }


def export(options: BenchmarkOptions, directory: Path) -> None:
    """Writes a SavedModel of the network with random weights, and files of the other formats."""
    start_tensorflow()
    from export.formats.calibration import Calibration
    from export.formats.conversion import export_format
    from export.saved_model import export_saved_model
    from keras_fcn.datasets import open_pairs
    from keras_fcn.datasets.toy import draw_toy_dataset
    from keras_fcn.network.fcn import build_fcn

    model, size = (
        build_fcn(options.model, options.backbone, options.num_classes),
        options.size if options.fixed else None,
    )
    export_saved_model(model, directory)
    for name in options.formats:
        export_format(form_of(name), model, directory / name, size)
    if options.int8:
        toy = draw_toy_dataset(directory / "toy", {"train": CALIBRATED, "val": 1})
        calibration = Calibration(open_pairs(toy, "train").images, open_pairs(toy, "val"), size)
        for name in options.formats:
            export_format(form_of(name), model, directory / f"{name}-int8", size, calibration, int8=True)


def form_of(name: str) -> Format:
    """Returns a format by its name."""
    return getattr(importlib.import_module(f"export.{name}"), name.upper())


def file_commands(options: BenchmarkOptions, again: list[str], directory: str) -> list[tuple[str, str]]:
    """Returns names and commands of the files that `export` wrote."""
    kinds = [*options.formats, *(f"{name}-int8" for name in options.formats if options.int8)]
    files = {kind: f"{directory}/{kind}/{form_of(kind.removesuffix('-int8')).files[-1]}" for kind in kinds}
    return [(kind, shlex.join([*again, "--only-file", file])) for kind, file in files.items()]


def report_processor_time(results: dict[str, list[dict]]) -> None:
    """Prints the processor time of the programs that report it."""
    for name, rounds in results.items():
        if all("processor_seconds" in result for result in rounds):
            each = [result["processor_seconds"] for result in rounds]
            ratios = [theirs / ours["processor_seconds"] for theirs, ours in zip(each, results[OURS])]
            print(
                f"{name:<12}{statistics.median(each):7.3f} s of processor time an image, "
                f"{statistics.median(ratios):.2f}x ours ({min(ratios):.2f} to {max(ratios):.2f})"
            )


def main() -> None:
    """Exports, starts all programs in turn and prints a table."""
    options = parse_options(BenchmarkOptions, sys.argv[1:])
    if options.only_ours is not None:
        print(json.dumps(our_seconds(options)))
        return
    if options.only_file is not None:
        print(json.dumps(file_seconds(options, options.only_file)))
        return
    if options.only_export is not None:
        export(options, options.only_export)
        return
    again = [sys.executable, *sys.argv]
    with tempfile.TemporaryDirectory() as directory:
        # In another process: the peak memory of processes started later would include that of this one.
        subprocess.run([*again, "--only-export", directory], check=True)
        exported = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024  # it was the only one so far
        others = [*file_commands(options, again, directory), *options.yardstick]
        results, loads = run_in_turn([*again, "--only-ours", f"{directory}/1"], others, options.rounds)
    height, width = options.size
    about = f"{options.model}, {options.backbone}, {options.num_classes} classes, one image {height}x{width}"
    report(results, loads, about, "an image")
    report_processor_time(results)
    print(f"{exported:.0f} MB was the most that the export took, of {', '.join(['SavedModel', *options.formats])}")
    if options.json is not None:
        write_results(options.json, dataclasses.asdict(options), results, loads)


if __name__ == "__main__":
    run_command(main)
