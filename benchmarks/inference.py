"""Times our SavedModel and other programs in turn: `python benchmarks/inference.py --yardstick NAME COMMAND`.

The SavedModel is exported anew; then each round starts every program once, in a process of its own, so that a change
in the machine's load meets all of them. A yardstick is any command that prints, as its last line, a JSON object with
"seconds", the median from an image in memory to its classes, for example
`--yardstick PyTorch "torch-env/bin/python torch_fcn.py infer --batch 1 --layout nhwc"`; if it also has
"processor_seconds", the median of the processor time of all threads, those are compared, too: on a machine with other
work they vary less.
"""

from __future__ import annotations

import dataclasses
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated

import tyro
from yardsticks import OURS, report, run_in_turn, write_figures

from keras_fcn.cli import parse_options, run
from keras_fcn.config import BackboneName, ModelName
from keras_fcn.environment import start_tensorflow

UNTIMED = 3


@dataclasses.dataclass(frozen=True)
class BenchmarkOptions:
    """Times our SavedModel and other programs in turn."""

    model: ModelName = "fcn32s"
    """The network."""

    backbone: BackboneName = "resnet18_v2"
    """Its body."""

    num_classes: int = 21
    """Classes, background included."""

    size: tuple[int, int] = (320, 480)
    """Height and width of the image."""

    images: int = 20
    """How often each process segments the image, after three times that it does not time; the median counts."""

    rounds: int = 5
    """How often each program is started; medians are printed."""

    threads: int = 2
    """Of ours."""

    yardstick: Annotated[
        tyro.conf.UseAppendAction[tuple[tuple[str, str], ...]], tyro.conf.arg(metavar="NAME COMMAND")
    ] = ()
    """A program to compare with, and how to start it; may be given several times."""

    only_ours: Annotated[Path | None, tyro.conf.arg(metavar="DIR", help_behavior_hint="")] = None
    """Time the SavedModel in this folder once, in this process, and print what a yardstick prints."""

    only_export: Annotated[Path | None, tyro.conf.arg(metavar="DIR", help_behavior_hint="")] = None
    """Only export the SavedModel into this folder, as DIR/1."""

    json: Annotated[Path | None, tyro.conf.arg(metavar="FILE", help_behavior_hint="")] = None
    """Where to write the figures, too."""


def our_seconds(options: BenchmarkOptions) -> dict:
    """Returns the median seconds from one random image to its classes by the signature `images`."""
    start_tensorflow(look_at_devices=False)
    import tensorflow as tf

    from keras_fcn.inference import SIGNATURE

    tf.config.threading.set_intra_op_parallelism_threads(options.threads)
    loaded = tf.saved_model.load(str(options.only_ours))
    images = tf.cast(tf.random.uniform((1, *options.size, 3), 0, 256, tf.int32), tf.uint8)
    seconds, processor_seconds = [], []
    for _ in range(UNTIMED + options.images):
        started, processor_started = time.perf_counter(), time.process_time()
        loaded.signatures[SIGNATURE](images=images)["classes"].numpy()
        seconds.append(time.perf_counter() - started)
        processor_seconds.append(time.process_time() - processor_started)
    return {
        "framework": f"tensorflow {tf.__version__}",
        "seconds": statistics.median(seconds[UNTIMED:]),
        "processor_seconds": statistics.median(processor_seconds[UNTIMED:]),
    }


def export(options: BenchmarkOptions, directory: Path) -> None:
    """Writes a SavedModel of the network with random weights."""
    start_tensorflow()
    from export.saved_model import export_saved_model
    from keras_fcn.fcn import build_fcn

    export_saved_model(build_fcn(options.model, options.backbone, options.num_classes), directory)


def report_processor_time(figures: dict[str, list[dict]]) -> None:
    """Prints the processor time of the programs that told theirs."""
    for name, runs in figures.items():
        if all("processor_seconds" in run for run in runs):
            each = [run["processor_seconds"] for run in runs]
            ratios = [theirs / ours["processor_seconds"] for theirs, ours in zip(each, figures[OURS])]
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
    if options.only_export is not None:
        export(options, options.only_export)
        return
    again = [sys.executable, *sys.argv]
    with tempfile.TemporaryDirectory() as directory:
        # In a process of its own: those started later would be said to take as much memory as this one.
        subprocess.run([*again, "--only-export", directory], check=True)
        figures, loads = run_in_turn([*again, "--only-ours", f"{directory}/1"], options.yardstick, options.rounds)
    height, width = options.size
    about = f"{options.model}, {options.backbone}, {options.num_classes} classes, one image {height}x{width}"
    report(figures, loads, about, "an image")
    report_processor_time(figures)
    if options.json is not None:
        write_figures(options.json, dataclasses.asdict(options), figures, loads)


if __name__ == "__main__":
    run(main)
