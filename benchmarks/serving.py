"""Load test of the server over loopback: `python benchmarks/serving.py`.

Each round times, in turn, the model alone and the server with several numbers of clients, each of which sends its next
request after an answer. The model alone is its signature `images` on images in memory, one by one and in batches; the
faster counts, of batches no larger than the number of clients. Some requests are bad files: these must get a 4xx, all
others the mask of the SavedModel. Clients and server run on the same processors, so wall times are of both; processor
time of the server's processes, compared with that of the model alone, is the server's overhead, which other programs
hardly affect. `--memory 5000` sends as many requests and prints the server's memory.
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
from common.http_load import PROCESSOR_SECONDS, RESIDENT_BYTES, Load, server_metric
from PIL import Image

from keras_fcn.errors import UserError
from keras_fcn.images.photos import read_remarked
from keras_fcn.inference.engines.opening import open_engine
from keras_fcn.runs.names import BackboneName, ModelName, PrecisionName
from keras_fcn.system.command_line import parse_options, run_command
from keras_fcn.system.machine import processor_name
from keras_fcn.system.startup import start_tensorflow

NUM_IMAGES = 8
COUNTED = (PROCESSOR_SECONDS, ("keras_fcn_network_seconds_total",))


@dataclasses.dataclass(frozen=True)
class BenchmarkOptions:
    """Compares the server under load over loopback with the model alone."""

    model: ModelName = "fcn32s"
    """The network; its weights are random."""

    backbone: BackboneName = "resnet18_v2"
    """The backbone."""

    size: tuple[int, int] = (320, 480)
    """Height and width of the images, JPEG files."""

    clients: tuple[int, ...] = (1, 8, 32)
    """Numbers of concurrent clients."""

    requests: int = 96
    """Requests in each round, for each number of clients."""

    rounds: int = 3
    """Number of rounds; medians are printed."""

    bad: float = 0.05
    """Fraction of requests with a bad file."""

    batch: int = 4
    """The server's --max-batch, and the batches of the model alone."""

    memory: int | None = None
    """Send so many requests, by 8 clients, and print the server's memory, instead of timing."""

    only_export: Annotated[Path | None, tyro.conf.arg(metavar="DIR", help_behavior_hint="")] = None
    """Only export the SavedModel into this folder, as DIR/1."""

    only_alone: Annotated[Path | None, tyro.conf.arg(metavar="DIR", help_behavior_hint="")] = None
    """Only time the SavedModel in this folder, and print seconds as JSON."""

    only_masks: Annotated[Path | None, tyro.conf.arg(metavar="DIR", help_behavior_hint="")] = None
    """Only write the masks of the images, by the SavedModel DIR/1, into DIR."""

    json: Annotated[Path | None, tyro.conf.arg(metavar="FILE", help_behavior_hint="")] = None
    """The JSON file to write the results to."""


def image_files(size: tuple[int, int]) -> list[bytes]:
    """Returns JPEG files of smooth noise, the same in each call."""
    files = []
    for seed in range(NUM_IMAGES):
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
    """Writes the masks of the images by the signature `images`, in the precision that the server takes."""
    start_tensorflow()
    segment = open_engine(directory / "1").segment
    for number, file in enumerate(image_files(options.size)):
        image = read_remarked("image", file)[0]
        Image.fromarray(np.asarray(segment(image[None]))[0]).save(directory / f"{number}.png")


def time_alone(options: BenchmarkOptions, directory: Path) -> dict[str, list[float]]:
    """Returns wall and processor seconds per image, for single images and for batches."""
    start_tensorflow()
    segment, found = open_engine(directory / "1").segment, {}
    for batch in (1, options.batch):
        images = np.random.default_rng(0).integers(0, 256, (batch, *options.size, 3), np.uint8)
        for _ in range(3):
            np.asarray(segment(images))
        calls = max(1, 32 // batch)
        clock, used = time.perf_counter(), time.process_time()
        for _ in range(calls):
            np.asarray(segment(images))
        seconds = [time.perf_counter() - clock, time.process_time() - used]
        found[str(batch)] = [value / calls / batch for value in seconds]
    return found


@contextlib.contextmanager
def serving(
    directory: Path, batch: int, engine: str = "saved_model", precision: PrecisionName = "auto"
) -> Iterator[int]:
    """Runs the server of an engine and yields its port."""
    words = [sys.executable, "-u", "-m", "export.serve", str(directory), "--port", "0"]
    words += ["--max-batch", str(batch), "--engine", engine, "--precision", precision]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, encoding="utf-8", cwd=Path(__file__).parents[1])
    assert process.stdout is not None
    try:
        line = next((line for line in process.stdout if "listening at" in line), None)
        if line is None:
            raise UserError("the server did not start; its error is above")
        yield int(line.strip().rstrip("/").rsplit(":", 1)[1])
    finally:
        process.terminate()
        process.wait()


def one_round(options: BenchmarkOptions, directory: Path, load: Load, port: int) -> dict:
    """Times the model alone, and the server with each number of clients."""
    words = [sys.executable, *sys.argv, "--only-alone", str(directory)]
    alone = json.loads(subprocess.run(words, check=True, capture_output=True, encoding="utf-8").stdout.splitlines()[-1])
    results: dict = {"alone": alone, "load": os.getloadavg()[0], "clients": {}}
    for clients in options.clients:
        before = [server_metric(port, *names) for names in COUNTED]
        outcomes, seconds = load.run(port, clients, options.requests)
        used, busy = np.subtract([server_metric(port, *names) for names in COUNTED], before).tolist()
        kinds = [kind for kind, _ in outcomes]
        if set(kinds) - {"good", "refused"} or len(kinds) != options.requests:
            raise UserError(f"{clients} clients: {sorted(set(kinds))}, {len(kinds)} of {options.requests} answers")
        good = kinds.count("good")
        times = [seconds for kind, seconds in outcomes if kind == "good"]
        results["clients"][clients] = {
            "good": good,
            "refused": len(kinds) - good,
            "seconds": seconds / good,
            "processor_seconds": used / good,
            "busy": busy / seconds,
            "p50": float(np.percentile(times, 50)),
            "p99": float(np.percentile(times, 99)),
        }
    return results


def alone_with(alone: dict[str, list[float]], clients: int) -> list[float]:
    """Returns the least wall and processor seconds per image, of batches no larger than the number of clients."""
    possible = [seconds for batch, seconds in alone.items() if int(batch) <= clients]
    return [min(kind) for kind in zip(*possible)]


def report(options: BenchmarkOptions, rounds: list[dict]) -> None:
    """Prints medians over the rounds, and the ratios to the model alone within a round."""
    loads = [results["load"] for results in rounds]
    print(
        f"{options.model}, {options.backbone}, JPEG {options.size[0]}x{options.size[1]}; {os.cpu_count()} CPU cores "
        f"({processor_name()}); {len(rounds)} rounds, load {min(loads):.1f} to {max(loads):.1f}"
    )
    for batch in rounds[0]["alone"]:
        clock, used = (statistics.median(results["alone"][batch][kind] for results in rounds) for kind in (0, 1))
        print(f"model alone, {batch} at once: {1 / clock:.2f} images/s, {1000 * used:.0f} ms of processor time each")
    print("clients  images/s  of alone  network busy  processor ms  model's ratio    p50 ms    p99 ms  good  refused")
    for clients in options.clients:
        each = [results["clients"][clients] for results in rounds]
        row = {key: statistics.median(one[key] for one in each) for key in each[0]}
        alone = [alone_with(results["alone"], clients) for results in rounds]
        of_alone = statistics.median(clock / one["seconds"] for (clock, _), one in zip(alone, each))
        fraction = statistics.median(used / one["processor_seconds"] for (_, used), one in zip(alone, each))
        good, refused = (sum(one[key] for one in each) for key in ("good", "refused"))
        print(
            f"{clients:>7}{1 / row['seconds']:>10.2f}{of_alone:>10.2f}{row['busy']:>14.2f}"
            f"{1000 * row['processor_seconds']:>14.0f}"
            f"{fraction:>15.2f}{1000 * row['p50']:>10.0f}{1000 * row['p99']:>10.0f}{good:>6}{refused:>9}"
        )


def watch_memory(options: BenchmarkOptions, load: Load, port: int) -> None:
    """Prints the server's resident memory after each tenth of `--memory` requests."""
    assert options.memory is not None
    for tenth in range(1, 11):
        outcomes, _ = load.run(port, 8, options.memory // 10)
        kinds = {kind for kind, _ in outcomes}
        if kinds - {"good", "refused"}:
            raise UserError(f"answers were {sorted(kinds)}")
        megabytes = server_metric(port, *RESIDENT_BYTES) / 1e6
        print(f"{tenth * (options.memory // 10):>7} requests: {megabytes:.0f} MB", flush=True)


def main() -> None:
    """Exports a model, serves it, sends requests and prints a table."""
    options = parse_options(BenchmarkOptions, sys.argv[1:])
    if options.only_export is not None:
        export(options, options.only_export)
    elif options.only_masks is not None:
        write_masks(options, options.only_masks)
    elif options.only_alone is not None:
        print(json.dumps(time_alone(options, options.only_alone)))
    else:
        run_benchmark(options)


def run_benchmark(options: BenchmarkOptions) -> None:
    """Runs all steps in separate processes: the model alone needs a process without another TensorFlow."""
    again = [sys.executable, *sys.argv]
    with tempfile.TemporaryDirectory() as folder:
        for step in ("--only-export", "--only-masks"):
            subprocess.run([*again, step, folder], check=True)
        masks = [np.asarray(Image.open(Path(folder) / f"{number}.png")) for number in range(NUM_IMAGES)]
        load = Load(image_files(options.size), masks, options.bad)
        with serving(Path(folder), options.batch) as port:
            load.run(port, 8, 16)
            if options.memory is not None:
                watch_memory(options, load, port)
                return
            rounds = [one_round(options, Path(folder), load, port) for _ in range(options.rounds)]
    report(options, rounds)
    if options.json is not None:
        written = {"options": dataclasses.asdict(options), "processor": processor_name(), "rounds": rounds}
        options.json.write_text(json.dumps(written, indent=2, default=str) + "\n", encoding="utf-8")


if __name__ == "__main__":
    run_command(main)
