"""Measures how a training's start grows with its data: `python benchmarks/growth.py --pairs 1000 10000`.

For each number, so many small pairs are written into a folder, no two of the same content, and two processes train on
them by `keras_fcn.train`: a new run, which decodes all files once, and the same run resumed. Each makes some steps of a
small network and is stopped, so that no validation is in the figures. Seconds are of processor time, which other
programs disturb less, between the lines of the log; the import of TensorFlow is not in them.
`--workers 2` has that many processes train together. Files take 8 kB a pair on most disks: a million needs 8 GB.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import os
import resource
import socket
import subprocess
import sys
import tempfile
import time
import zlib
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro
from PIL import Image
from tabulate import tabulate

from keras_fcn.errors import UserError
from keras_fcn.system.command_line import parse_options, run_command
from keras_fcn.system.startup import start_tensorflow

PHASES = {"Data": "listing", "Network": "files", "Run": "keeping"}
"""Lines of the log, and what ends with each: listing; checking all files; keeping what is known of them."""


@dataclasses.dataclass(frozen=True)
class BenchmarkOptions:
    """Measures how a training's start, memory and steps grow with the number of pairs."""

    pairs: tuple[int, ...] = (1000, 10_000)
    """Numbers of pairs."""

    steps: int = 200
    """Steps of each process, after a first one, which is traced."""

    side: int = 32
    """Height and width of the images, and of the crops."""

    workers: int = 1
    """Processes that train together, on this machine."""

    folder: Annotated[Path | None, tyro.conf.arg(metavar="DIR", help_behavior_hint="")] = None
    """Where a folder for the files is made, and removed at the end; that for temporary files if not given."""

    profile: bool = False
    """Print the functions in which the time of each start goes, too."""

    train: Annotated[Path | None, tyro.conf.arg(metavar="DIR", help_behavior_hint="")] = None
    """Only train on the pairs in this folder, a run that is resumed if it is there, and print what it took as JSON."""

    json: Annotated[Path | None, tyro.conf.arg(metavar="FILE", help_behavior_hint="")] = None
    """The JSON file to write the results to."""


def write_pairs(folder: Path, first: int, last: int, side: int) -> None:
    """Writes pairs, a JPEG and a palette PNG each, whose contents differ by a comment with their number."""
    from keras_fcn.images.classes import ClassTable
    from keras_fcn.images.masks import write_label

    rng = np.random.default_rng(0)
    (folder / "images").mkdir(exist_ok=True)
    (folder / "masks").mkdir(exist_ok=True)
    classes = ClassTable.named(["background", "square"])
    (folder / "classes.txt").write_text("".join(f"{name}\n" for name in classes.names), encoding="utf-8")
    label = np.zeros((side, side), np.uint8)
    label[side // 4 : side // 2, side // 4 : side // 2] = 1
    jpeg = io.BytesIO()
    Image.fromarray(np.uint8(rng.integers(0, 60, (side, side, 3)) + 180 * label[..., None])).save(jpeg, "JPEG")
    write_label(folder / "label.png", label, classes)
    image, mask = jpeg.getvalue(), (folder / "label.png").read_bytes()
    (folder / "label.png").unlink()
    end = len(mask) - 12  # of IEND, before which a chunk of text may lie
    for number in range(first, last):
        text = f"{number:08}".encode()
        chunk = b"tEXtComment\0" + text
        comment = b"\xff\xfe" + (2 + len(text)).to_bytes(2, "big") + text
        png = (len(chunk) - 4).to_bytes(4, "big") + chunk + zlib.crc32(chunk).to_bytes(4, "big")
        (folder / f"images/{number:08}.jpg").write_bytes(image[:2] + comment + image[2:])
        (folder / f"masks/{number:08}.png").write_bytes(mask[:end] + png + mask[end:])


def train(options: BenchmarkOptions, data: Path) -> dict[str, float]:
    """Begins or resumes a run, stops after some steps, and returns the seconds of its parts and the peak in MB."""
    start_tensorflow(list_devices=options.workers == 1)
    import keras

    import keras_fcn

    times = {"": now()}

    def report(line: str) -> None:
        for word in (text.split(" ", 1)[0] for text in line.split("\n")):
            if word in PHASES:
                times.setdefault(PHASES[word], now())

    class Stop(keras.callbacks.Callback):
        def __init__(self) -> None:
            super().__init__()
            self.made = 0

        def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
            times.setdefault("pipeline", now())

        def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
            self.made += 1
            if self.made == 1:
                times["first step"] = now()
            elif self.made > options.steps:
                times["steps"] = now()
                raise KeyboardInterrupt

    with contextlib.suppress(KeyboardInterrupt):
        keras_fcn.train(
            "fcn32s", data, backbone="mobilenet_v2", weights="none", batch_size=1, epochs=1000, callbacks=[Stop()],
            crop_size=(options.side, options.side), run_dir=data.parent / "run", report=report,
            strategy="multi_worker" if options.workers > 1 else "auto",
        )  # fmt: skip
    of_parts = dict(zip(list(times)[1:], np.diff([*times.values()], axis=0)))
    row = {name: float(processor) for name, (_, processor) in of_parts.items()}
    begin = [of_parts[name] for name in (*PHASES.values(), "pipeline")]
    clock, processor = np.sum(begin, axis=0).tolist()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    return {**row, "start": processor, "by the clock": clock, "MB": peak}


def now() -> tuple[float, float]:
    """Returns the time by the clock and the processor time of this process, in seconds."""
    return time.perf_counter(), time.process_time()


def start(options: BenchmarkOptions, data: Path) -> dict[str, float]:
    """Trains in as many processes as there are workers; returns what the chief prints."""
    words = [sys.executable, *sys.argv, "--train", str(data)]
    if options.workers == 1:
        environments = [{**os.environ}]
    else:
        addresses = [f"localhost:{free_port()}" for _ in range(options.workers)]
        cluster = {"worker": addresses}
        tasks = ({"cluster": cluster, "task": {"type": "worker", "index": i}} for i in range(options.workers))
        environments = [{**os.environ, "TF_CONFIG": json.dumps(task)} for task in tasks]
    processes = [subprocess.Popen(words, stdout=subprocess.PIPE, encoding="utf-8", env=of) for of in environments]
    try:
        outputs = [process.communicate()[0] for process in processes]
    finally:
        for process in processes:
            process.kill()
    if options.profile:
        print("\n".join(outputs[0].splitlines()[:-1]))
    return json.loads(outputs[0].splitlines()[-1])


def free_port() -> int:
    """Returns a port that nothing listens at."""
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        return probe.getsockname()[1]


def profiled(options: BenchmarkOptions, data: Path) -> dict[str, float]:
    """Trains as `train` does, and prints in which functions the time goes."""
    import cProfile
    import pstats

    with cProfile.Profile() as profile:
        row = train(options, data)
    pstats.Stats(profile).sort_stats("cumulative").print_stats(70)
    pstats.Stats(profile).sort_stats("tottime").print_stats(40)
    return row


def main() -> None:
    """Trains on each number of pairs and prints a table."""
    options = parse_options(BenchmarkOptions, sys.argv[1:])
    if options.train is not None:
        print(json.dumps((profiled if options.profile else train)(options, options.train)))
        return
    if 0.8 * min(options.pairs) < 2 * (options.steps + 1):
        raise UserError(
            f"--pairs {min(options.pairs)}: both processes need {options.steps} steps of one epoch; take more"
        )
    rows: list[dict[str, object]] = []
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        written = 0
        for number, count in enumerate(sorted(options.pairs)):
            data, run = Path(folder) / "data", Path(folder) / "run"
            data.mkdir(exist_ok=True)
            write_pairs(data, written, count, options.side)
            written = count
            for what in ("new", "resumed"):
                figures = {name: round(value, 2) for name, value in start(options, data).items()}
                rows.append({"pairs": count, "run": what, **figures})
                print(tabulate(rows[-1:], headers="keys" if not rows[1:] else ()), flush=True)
            run.rename(run.with_name(f"run{number}"))
    print(tabulate(rows, headers="keys"))
    if options.json is not None:
        options.json.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    run_command(main)
