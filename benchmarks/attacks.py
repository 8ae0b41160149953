"""Attacks on the server beside honest clients: `python benchmarks/attacks.py`; a table, a row for each attack.

For each attack a server is started; honest clients ask it alone, then beside the attack, while its health and memory,
its engine's process included, are watched; then it is ended by SIGTERM in the middle of the attack. `--tree DIR` runs
the server of another checkout, such as one of before a change. Files and requests are ordinary; where many would do
harm, the limit is low.
"""

from __future__ import annotations

import contextlib
import dataclasses
import http.client
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro
from common.http_attacks import ATTACKS
from common.http_load import Load, Threads
from PIL import Image
from serving import NUM_IMAGES, BenchmarkOptions, image_files, write_masks
from tabulate import tabulate

from keras_fcn.errors import UserError
from keras_fcn.runs.names import BackboneName, ModelName
from keras_fcn.system.command_line import parse_options, run_command
from keras_fcn.system.startup import start_tensorflow

HEALTH, HEALTH_TIMEOUT = "/v2/health/ready", 30.0
ROOT = Path(__file__).parents[1]


@dataclasses.dataclass(frozen=True)
class AttackOptions:
    """Attacks the server beside honest clients."""

    attacks: tuple[str, ...] = tuple(ATTACKS)
    """The names of the attacks."""

    model: ModelName = "fcn32s"
    """The network; its weights are random."""

    backbone: BackboneName = "resnet18_v2"
    """The backbone."""

    size: tuple[int, int] = (320, 480)
    """Height and width of the images of honest clients."""

    clients: int = 8
    """Number of honest clients."""

    seconds: float = 20.0
    """Seconds of each part: undisturbed, and beside the attack."""

    timeout: float = 20.0
    """The server's --timeout."""

    max_scans: int = 5
    """The limit of scans in the export: ordinary progressive files, of 10 scans, exceed it."""

    tree: Path = ROOT
    """The checkout whose server is attacked."""

    only_export: Annotated[Path | None, tyro.conf.arg(metavar="DIR", help_behavior_hint="")] = None
    """Only export the SavedModel into this folder, as DIR/1."""

    json: Annotated[Path | None, tyro.conf.arg(metavar="FILE", help_behavior_hint="")] = None
    """The JSON file to write the results to."""


def export(options: AttackOptions, directory: Path) -> None:
    """Writes a SavedModel of the network with random weights, and the masks of the images."""
    start_tensorflow()
    import keras

    from export.saved_model import export_saved_model
    from keras_fcn.network.fcn import build_fcn

    keras.utils.set_random_seed(0)
    export_saved_model(build_fcn(options.model, options.backbone), directory, max_scans=options.max_scans)
    write_masks(BenchmarkOptions(size=options.size), directory)


@contextlib.contextmanager
def serving(options: AttackOptions, directory: Path) -> Iterator[tuple[subprocess.Popen, int]]:
    """Runs the server of a checkout and yields its process and its port; its log goes to a file."""
    words = [sys.executable, "-u", "-m", "export.serve", str(directory), "--port", "0"]
    words += ["--timeout", str(options.timeout)]
    environment = {**os.environ, "PYTHONPATH": str(options.tree)}
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            words, stdout=subprocess.PIPE, stderr=log, encoding="utf-8", cwd=options.tree, env=environment
        )
        assert process.stdout is not None
        try:
            line = next((line for line in process.stdout if "listening at" in line), None)
            if line is None:
                raise UserError("the server did not start")
            yield process, int(line.strip().rstrip("/").rsplit(":", 1)[1])
        finally:
            process.kill()
            process.wait()


class Watch(Threads):
    """Honest clients, health and memory of a server while the block runs.

    Args:
        options: Number of clients.
        load: The clients' requests.
        pid: The server's process.
        port: The server's port.

    Attributes:
        times: Seconds of each request that was answered by a mask.
        lost: Requests that were not.
        health: Seconds of each check of its health.
        memory: Megabytes of memory, of each look.
    """

    def __init__(self, options: AttackOptions, load: Load, pid: int, port: int) -> None:
        self.times: list[float] = []
        self.lost: list[str] = []
        self.health: list[float] = []
        self.memory: list[float] = []
        self._load, self._pid, self._port = load, pid, port
        super().__init__(self._check_health, self._look_at_memory, *[self._ask] * options.clients)

    def _ask(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=120)
        number = 0
        while not self._end.is_set():
            number += 1
            try:
                answer = self._load.ask(connection, number)
            except (OSError, http.client.HTTPException) as error:
                self.lost.append(type(error).__name__)
                connection.close()
                self._end.wait(0.1)
                continue
            outcome = self._load.judge(answer)
            if outcome == "good":
                self.times.append(answer.seconds)
            else:
                self.lost.append(outcome)
                self._end.wait(0.1)
        connection.close()

    def _check_health(self) -> None:
        while not self._end.wait(0.2):
            started = time.perf_counter()
            connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=HEALTH_TIMEOUT)
            with contextlib.suppress(OSError, http.client.HTTPException):
                connection.request("GET", HEALTH)
                connection.getresponse().read()
            connection.close()
            self.health.append(time.perf_counter() - started)

    def _look_at_memory(self) -> None:
        while not self._end.wait(0.1):
            self.memory.append(memory_of(self._pid))


def memory_of(pid: int) -> float:
    """Returns the megabytes of memory that a process and those that it started have, 0 if it has ended."""
    process, megabytes = Path(f"/proc/{pid}"), 0.0
    with contextlib.suppress(OSError):
        for line in (process / "status").read_text(encoding="utf-8").splitlines():
            if line.startswith("VmRSS:"):
                megabytes = int(line.split()[1]) / 1024
        for started in process.glob("task/*/children"):
            megabytes += sum(memory_of(int(child)) for child in started.read_text(encoding="utf-8").split())
    return megabytes


def percentile(values: list[float], share: float) -> float | None:
    """Returns a percentile in milliseconds, None without values."""
    return round(1000 * float(np.percentile(values, share))) if values else None


@contextlib.contextmanager
def attacking(name: str, port: int) -> Iterator[None]:
    """Runs an attack in a process of its own while the block runs."""
    process = subprocess.Popen(
        [sys.executable, "-m", "common.http_attacks", name, str(port)], cwd=Path(__file__).parent
    )
    try:
        yield
    finally:
        process.kill()
        process.wait()


def try_attack(options: AttackOptions, name: str, directory: Path, load: Load) -> dict[str, object]:
    """Returns a row of the table."""
    with serving(options, directory) as (process, port):
        load.run(port, options.clients, 2 * options.clients)
        with Watch(options, load, process.pid, port) as alone:
            time.sleep(options.seconds)
        before = memory_of(process.pid)
        with Watch(options, load, process.pid, port) as beside, attacking(name, port):
            time.sleep(options.seconds)
        time.sleep(5)  # connections are closed, and freed memory is returned
        after = memory_of(process.pid)
        with attacking(name, port):
            time.sleep(3)
            started = time.perf_counter()
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(options.timeout + 30)
            ended = time.perf_counter() - started if process.returncode is not None else None
    calm, busy = percentile(alone.times, 99), percentile(beside.times, 99)
    return {
        "attack": name,
        "answered": len(beside.times),
        "lost": len(beside.lost),
        "p50 alone": percentile(alone.times, 50),
        "p50": percentile(beside.times, 50),
        "p99 alone": calm,
        "p99": busy,
        "ratio": round(busy / calm, 1) if calm and busy else None,
        "health s": round(max(beside.health, default=HEALTH_TIMEOUT), 2),
        "MB before": round(before),
        "peak": round(max(beside.memory, default=0.0)),
        "after": round(after),
        "end s": None if ended is None else round(ended, 1),
        "faults": sorted(set(beside.lost)),
    }


def main() -> None:
    """Exports a model, attacks its server and prints a table."""
    options = parse_options(AttackOptions, sys.argv[1:])
    if unknown := set(options.attacks) - set(ATTACKS):
        raise UserError(f"no such attack: {', '.join(sorted(unknown))}; there are {', '.join(ATTACKS)}")
    if options.only_export is not None:
        export(options, options.only_export)
        return
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, *sys.argv, "--only-export", folder], check=True)
        masks = [np.asarray(Image.open(Path(folder) / f"{number}.png")) for number in range(NUM_IMAGES)]
        load = Load(image_files(options.size), masks, bad=0)
        rows = []
        for name in options.attacks:
            rows.append(try_attack(options, name, Path(folder), load))
            print(tabulate(rows, headers="keys"), flush=True)
    if options.json is not None:
        options.json.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    run_command(main)
