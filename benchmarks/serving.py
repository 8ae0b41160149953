"""Loads the server over loopback: `python benchmarks/serving.py`.

Each round times, in turn, the model alone and the server with several numbers of clients, each of which asks again when
it is answered. The model alone is its signature `images` on images in memory, one by one and in batches; the faster
counts, of those that are no larger than the number of clients: one client never has two images waiting. Some requests
are bad files: all of those must get a 4xx, all others the mask that the SavedModel gives. Clients and server share the
processors, so that times on the wall say what this machine does with both; processor seconds of the server's own
process, beside those of the model alone, say what the server adds, and other programs hardly disturb them.
`--memory 5000` asks so often and prints how the server's memory grows.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro
from http_load import Load, server_metric
from PIL import Image
from yardsticks import processor

from keras_fcn.errors import UserError
from keras_fcn.runs.names import BackboneName, ModelName
from keras_fcn.system.command_line import parse_options, run_command
from keras_fcn.system.startup import start_tensorflow

PHOTOGRAPHS = 8
COUNTED = ("process_cpu_seconds_total", "keras_fcn_network_seconds_total")


@dataclasses.dataclass(frozen=True)
class BenchmarkOptions:
    """Loads the server over loopback and compares it with the model alone."""

    model: ModelName = "fcn32s"
    """The network; its weights are random."""

    backbone: BackboneName = "resnet18_v2"
    """Its body."""

    size: tuple[int, int] = (320, 480)
    """Height and width of the photographs, JPEG files."""

    clients: tuple[int, ...] = (1, 8, 32)
    """Numbers of clients that ask at the same time."""

    requests: int = 96
    """In each round, for each number of clients."""

    rounds: int = 3
    """How often everything is timed; medians are printed."""

    bad: float = 0.05
    """Share of requests with a bad file."""

    batch: int = 4
    """The server's --max-batch, and the batches of the model alone."""

    memory: int | None = None
    """Ask so often, by 8 clients, and print the server's memory, instead of timing."""

    only_export: Annotated[Path | None, tyro.conf.arg(metavar="DIR", help_behavior_hint="")] = None
    """Only export the SavedModel into this folder, as DIR/1."""

    only_alone: Annotated[Path | None, tyro.conf.arg(metavar="DIR", help_behavior_hint="")] = None
    """Only time the SavedModel in this folder, and print seconds as JSON."""

    only_masks: Annotated[Path | None, tyro.conf.arg(metavar="DIR", help_behavior_hint="")] = None
    """Only write the masks of the photographs, by the SavedModel DIR/1, into DIR."""

    json: Annotated[Path | None, tyro.conf.arg(metavar="FILE", help_behavior_hint="")] = None
    """Where to write the figures, too."""


def photographs(size: tuple[int, int]) -> list[bytes]:
    """Returns JPEG files of smooth noise, the same ones each time."""
    files = []
    for seed in range(PHOTOGRAPHS):
        small = np.random.default_rng(seed).integers(0, 256, (size[0] // 16 + 1, size[1] // 16 + 1, 3), np.uint8)
        file = io.BytesIO()
        Image.fromarray(small).resize(size[::-1], Image.Resampling.BICUBIC).save(file, "JPEG", quality=90)
        files.append(file.getvalue())
    return files


def export(options: BenchmarkOptions, directory: Path) -> None:
    """Writes a SavedModel of the network with random weights."""
    start_tensorflow()
    import keras

    from export.saved_model import export_saved_model
    from keras_fcn.network.fcn import build_fcn

    keras.utils.set_random_seed(0)
    export_saved_model(build_fcn(options.model, options.backbone), directory)


def write_masks(options: BenchmarkOptions, directory: Path) -> None:
    """Writes what the signature `serving_default` makes of the photographs."""
    start_tensorflow()
    import tensorflow as tf

    signature = tf.saved_model.load(str(directory / "1")).signatures["serving_default"]
    for number, file in enumerate(photographs(options.size)):
        mask = signature(image_bytes=tf.constant([file]))["mask_png_bytes"].numpy()[0]
        (directory / f"{number}.png").write_bytes(mask)


def time_alone(options: BenchmarkOptions, directory: Path) -> dict[str, list[float]]:
    """Returns seconds of an image by the clock and of the processors, for single images and for batches."""
    start_tensorflow()
    import tensorflow as tf

    signature = tf.saved_model.load(str(directory / "1")).signatures["images"]
    found = {}
    for batch in (1, options.batch):
        images = tf.cast(tf.random.uniform((batch, *options.size, 3), 0, 256, tf.int32), tf.uint8)
        for _ in range(3):
            signature(images=images)["classes"].numpy()
        calls = max(1, 32 // batch)
        clock, used = time.perf_counter(), time.process_time()
        for _ in range(calls):
            signature(images=images)["classes"].numpy()
        seconds = [time.perf_counter() - clock, time.process_time() - used]
        found[str(batch)] = [value / calls / batch for value in seconds]
    return found


@contextlib.contextmanager
def serving(directory: Path, options: BenchmarkOptions) -> Iterator[int]:
    """Runs the server and gives its port."""
    words = [sys.executable, "-u", "-m", "export.serve", str(directory), "--port", "0"]
    words += ["--max-batch", str(options.batch)]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[1])
    assert process.stdout is not None
    try:
        line = next((line for line in process.stdout if "listening at" in line), None)
        if line is None:
            raise UserError("the server did not start; it says why above")
        yield int(line.strip().rstrip("/").rsplit(":", 1)[1])
    finally:
        process.terminate()
        process.wait()


def one_round(options: BenchmarkOptions, directory: Path, load: Load, port: int) -> dict:
    """Times the model alone, and the server with each number of clients."""
    words = [sys.executable, *sys.argv, "--only-alone", str(directory)]
    alone = json.loads(subprocess.run(words, check=True, capture_output=True, text=True).stdout.splitlines()[-1])
    figures: dict = {"alone": alone, "load": os.getloadavg()[0], "clients": {}}
    for clients in options.clients:
        before = [server_metric(port, name) for name in COUNTED]
        outcomes, seconds = load.run(port, clients, options.requests)
        used, busy = np.subtract([server_metric(port, name) for name in COUNTED], before).tolist()
        kinds = [kind for kind, _ in outcomes]
        if set(kinds) - {"good", "refused"} or len(kinds) != options.requests:
            raise UserError(f"{clients} clients: {sorted(set(kinds))}, {len(kinds)} of {options.requests} answers")
        good = kinds.count("good")
        times = [seconds for kind, seconds in outcomes if kind == "good"]
        figures["clients"][clients] = {
            "good": good,
            "refused": len(kinds) - good,
            "seconds": seconds / good,
            "processor_seconds": used / good,
            "busy": busy / seconds,
            "p50": float(np.percentile(times, 50)),
            "p99": float(np.percentile(times, 99)),
        }
    return figures


def alone_with(alone: dict[str, list[float]], clients: int) -> list[float]:
    """Returns the least seconds of an image, by the clock and of the processors, with as many at once as there are."""
    possible = [seconds for batch, seconds in alone.items() if int(batch) <= clients]
    return [min(kind) for kind in zip(*possible)]


def report(options: BenchmarkOptions, rounds: list[dict]) -> None:
    """Prints medians over the rounds, and the ratios to the model alone within a round."""
    loads = [figures["load"] for figures in rounds]
    print(
        f"{options.model}, {options.backbone}, JPEG {options.size[0]}x{options.size[1]}; {os.cpu_count()} CPU cores "
        f"({processor()}); {len(rounds)} rounds, load {min(loads):.1f} to {max(loads):.1f}"
    )
    for batch in rounds[0]["alone"]:
        clock, used = (statistics.median(figures["alone"][batch][kind] for figures in rounds) for kind in (0, 1))
        print(f"model alone, {batch} at once: {1 / clock:.2f} images/s, {1000 * used:.0f} ms of processor time each")
    print("clients  images/s  of alone  network busy  processor ms  model's share    p50 ms    p99 ms  good  refused")
    for clients in options.clients:
        runs = [figures["clients"][clients] for figures in rounds]
        row = {key: statistics.median(one[key] for one in runs) for key in runs[0]}
        alone = [alone_with(figures["alone"], clients) for figures in rounds]
        of_alone = statistics.median(clock / one["seconds"] for (clock, _), one in zip(alone, runs))
        share = statistics.median(used / one["processor_seconds"] for (_, used), one in zip(alone, runs))
        good, refused = (sum(one[key] for one in runs) for key in ("good", "refused"))
        print(
            f"{clients:>7}{1 / row['seconds']:>10.2f}{of_alone:>10.2f}{row['busy']:>14.2f}"
            f"{1000 * row['processor_seconds']:>14.0f}"
            f"{share:>15.2f}{1000 * row['p50']:>10.0f}{1000 * row['p99']:>10.0f}{good:>6}{refused:>9}"
        )


def watch_memory(options: BenchmarkOptions, load: Load, port: int) -> None:
    """Prints the server's resident memory after each tenth of `--memory` requests."""
    assert options.memory is not None
    for tenth in range(1, 11):
        outcomes, _ = load.run(port, 8, options.memory // 10)
        kinds = {kind for kind, _ in outcomes}
        if kinds - {"good", "refused"}:
            raise UserError(f"answers were {sorted(kinds)}")
        megabytes = server_metric(port, "process_resident_memory_bytes") / 1e6
        print(f"{tenth * (options.memory // 10):>7} requests: {megabytes:.0f} MB", flush=True)


def main() -> None:
    """Exports a model, serves it, loads the server and prints a table."""
    options = parse_options(BenchmarkOptions, sys.argv[1:])
    if options.only_export is not None:
        export(options, options.only_export)
    elif options.only_masks is not None:
        write_masks(options, options.only_masks)
    elif options.only_alone is not None:
        print(json.dumps(time_alone(options, options.only_alone)))
    else:
        measure(options)


def measure(options: BenchmarkOptions) -> None:
    """Does the work in processes of their own: the model alone is to meet no other TensorFlow in its process."""
    again = [sys.executable, *sys.argv]
    with tempfile.TemporaryDirectory() as folder:
        for step in ("--only-export", "--only-masks"):
            subprocess.run([*again, step, folder], check=True)
        masks = [np.asarray(Image.open(Path(folder) / f"{number}.png")) for number in range(PHOTOGRAPHS)]
        load = Load(photographs(options.size), masks, options.bad)
        with serving(Path(folder), options) as port:
            load.run(port, 8, 16)
            if options.memory is not None:
                watch_memory(options, load, port)
                return
            rounds = [one_round(options, Path(folder), load, port) for _ in range(options.rounds)]
    report(options, rounds)
    if options.json is not None:
        written = {"options": dataclasses.asdict(options), "processor": processor(), "rounds": rounds}
        options.json.write_text(json.dumps(written, indent=2, default=str) + "\n", encoding="utf-8")


if __name__ == "__main__":
    run_command(main)
