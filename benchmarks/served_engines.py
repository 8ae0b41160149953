"""The server by several engines, in turn: `python benchmarks/served_engines.py --engines saved_model litert --int8`.

One network with random weights is exported for each engine; int8 is calibrated with drawn scenes, so only speed and
memory mean something. All servers run, and each round asks one after the other, by `--clients` clients at once, so that
other programs on the machine affect all; ratios are to the first engine within a round. Answers are compared with the
masks that the engine gives without a server. Memory and processor time are of the server's process and the engine's.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import tyro
from common.http_load import PROCESSOR_SECONDS, RESIDENT_BYTES, Load, server_metric
from inference import CALIBRATED, form_of
from serving import image_files, serving

from keras_fcn.errors import UserError
from keras_fcn.runs.names import BackboneName, ModelName, PrecisionName
from keras_fcn.system.command_line import parse_options, run_command
from keras_fcn.system.machine import processor_name

EngineName = Literal["saved_model", "onnx", "openvino", "litert"]
AFTER = (1, 10)
"""Numbers of requests after which memory is read."""


@dataclasses.dataclass(frozen=True)
class BenchmarkOptions:
    """Compares the server by several engines."""

    model: ModelName = "fcn32s"
    """The network; its weights are random."""

    backbone: BackboneName = "resnet18_v2"
    """The backbone."""

    engines: Annotated[tuple[EngineName, ...], tyro.conf.arg(metavar="NAME ...")] = ("saved_model", "litert")
    """The engines; ratios are to the first."""

    int8: bool = False
    """Quantize all but the SavedModel."""

    precision: PrecisionName = "auto"
    """The servers' --precision."""

    size: tuple[int, int] = (320, 480)
    """Height and width of the images, JPEG files."""

    clients: int = 8
    """Concurrent clients."""

    requests: int = 96
    """Requests to each server in each round."""

    rounds: int = 5
    """Number of rounds; medians are printed."""

    batch: int = 4
    """The server's --max-batch."""

    only_export: Annotated[Path | None, tyro.conf.arg(metavar="DIR", help_behavior_hint="")] = None
    """Only write the models into this folder, as DIR/ENGINE/1."""

    only_masks: Annotated[Path | None, tyro.conf.arg(metavar="DIR", help_behavior_hint="")] = None
    """Only write the masks of the images by each engine into this folder."""

    json: Annotated[Path | None, tyro.conf.arg(metavar="FILE", help_behavior_hint="")] = None
    """The JSON file to write the results to."""


def export(options: BenchmarkOptions, directory: Path) -> None:
    """Writes the network for each engine."""
    from keras_fcn.system.startup import start_tensorflow

    start_tensorflow()
    import keras

    from export.formats.calibration import Calibration
    from export.formats.conversion import export_format
    from export.saved_model import export_saved_model
    from keras_fcn.datasets import open_pairs
    from keras_fcn.datasets.toy import draw_toy_dataset
    from keras_fcn.network.fcn import build_fcn

    keras.utils.set_random_seed(0)
    model, calibration = build_fcn(options.model, options.backbone), None
    if options.int8:
        toy = draw_toy_dataset(directory / "toy", {"train": CALIBRATED, "val": 1})
        calibration = Calibration(open_pairs(toy, "train").images, open_pairs(toy, "val"), None)
    for name in options.engines:
        if name == "saved_model":
            export_saved_model(model, directory / name)
        else:
            export_format(form_of(name), model, directory / name / "1", None, calibration, options.int8)


def write_masks(options: BenchmarkOptions, directory: Path) -> None:
    """Writes the masks of the images by each engine, as ENGINE.npy."""
    from keras_fcn.images.photos import read_remarked
    from keras_fcn.inference.engines.opening import find_model, open_engine

    images = np.stack([read_remarked("image", content)[0] for content in image_files(options.size)])
    for name in options.engines:
        path = directory / name / "1" / ("" if name == "saved_model" else form_of(name).files[-1])
        engine = open_engine(find_model(path), precision=options.precision)
        np.save(directory / f"{name}.npy", np.concatenate([np.asarray(engine.segment(one[None])) for one in images]))


def ask(load: Load, port: int, options: BenchmarkOptions) -> dict[str, float]:
    """Sends the requests of a round, and returns seconds and processor seconds per image, and the 99th percentile."""
    before = server_metric(port, *PROCESSOR_SECONDS)
    outcomes, seconds = load.run(port, options.clients, options.requests)
    used = server_metric(port, *PROCESSOR_SECONDS) - before
    kinds = [kind for kind, _ in outcomes]
    if set(kinds) != {"good"}:
        raise UserError(f"answers were {sorted(set(kinds))}")
    p99 = float(np.percentile([taken for _, taken in outcomes], 99))
    return {"seconds": seconds / len(kinds), "processor_seconds": used / len(kinds), "p99": p99}


def report(options: BenchmarkOptions, rounds: list[dict], memory: dict[str, list[float]], loads: list[float]) -> None:
    """Prints medians over the rounds, and their ratios to the first engine within a round."""
    height, width = options.size
    print(
        f"{options.model}, {options.backbone}, {'int8, ' if options.int8 else ''}JPEG {height}x{width}, "
        f"{options.clients} clients, --precision {options.precision}; {os.cpu_count()} CPU cores ({processor_name()}); "
        f"{len(rounds)} rounds, load {min(loads):.1f} to {max(loads):.1f}"
    )
    print(
        "engine       images/s  ratio  processor ms  ratio    p99 ms  ratio        MB at start, after 1, 10, all  ratio"
    )
    first = options.engines[0]
    for name in options.engines:
        row = {key: statistics.median(one[name][key] for one in rounds) for key in rounds[0][name]}
        ratios = {key: statistics.median(one[name][key] / one[first][key] for one in rounds) for key in row}
        sizes = "".join(f"{size / 1e6:8.0f}" for size in memory[name])
        print(
            f"{name:<12}{1 / row['seconds']:>9.2f}{1 / ratios['seconds']:>7.2f}{1000 * row['processor_seconds']:>14.0f}"
            f"{ratios['processor_seconds']:>7.2f}{1000 * row['p99']:>10.0f}{ratios['p99']:>7.2f}  {sizes}"
            f"{memory[name][-1] / memory[first][-1]:>7.2f}"
        )


def run_benchmark(options: BenchmarkOptions) -> None:
    """Exports, starts the servers and asks them in turn."""
    again = [sys.executable, *sys.argv]
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as servers:
        folder = Path(name)
        for step in ("--only-export", "--only-masks"):
            subprocess.run([*again, step, folder], check=True)
        loads, ports, memory = {}, {}, {}
        for engine in options.engines:
            loads[engine] = Load(image_files(options.size), list(np.load(folder / f"{engine}.npy")), 0)
            ports[engine] = servers.enter_context(serving(folder / engine, options.batch, engine, options.precision))
            memory[engine] = [server_metric(ports[engine], *RESIDENT_BYTES)]
            for before, after in zip((0, *AFTER), AFTER):
                loads[engine].run(ports[engine], 1, after - before)
                memory[engine].append(server_metric(ports[engine], *RESIDENT_BYTES))
        rounds, busy = [], []
        for _ in range(options.rounds):
            rounds.append({engine: ask(loads[engine], ports[engine], options) for engine in options.engines})
            busy.append(os.getloadavg()[0])
        for engine in options.engines:
            memory[engine].append(server_metric(ports[engine], *RESIDENT_BYTES))
    report(options, rounds, memory, busy)
    if options.json is not None:
        written = {
            "options": dataclasses.asdict(options),
            "processor": processor_name(),
            "rounds": rounds,
            "memory": memory,
        }
        options.json.write_text(json.dumps(written, indent=2, default=str) + "\n", encoding="utf-8")


def main() -> None:
    """Compares, or does one step of it."""
    options = parse_options(BenchmarkOptions, sys.argv[1:])
    if options.only_export is not None:
        export(options, options.only_export)
    elif options.only_masks is not None:
        write_masks(options, options.only_masks)
    else:
        run_benchmark(options)


if __name__ == "__main__":
    run_command(main)
