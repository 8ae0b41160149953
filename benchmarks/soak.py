"""Soak of the server: `python benchmarks/soak.py --minutes 30`; a row a minute, and whether memory grows.

Clients ask at a part of the rate that the server was measured to sustain, some with bad files; as many connections
as it takes stay open and say nothing; and every minute a new version of the model appears, and the oldest goes. Every
answer is compared with the SavedModel's mask. Memory and descriptors are those of the server and its engine's process,
looked at before each reload, when one version is loaded.
"""

from __future__ import annotations

import contextlib
import dataclasses
import http.client
import itertools
import json
import selectors
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro
from attacks import AttackOptions, export, memory_of, percentile, serving
from common.http_load import Load, Threads, server_metric
from PIL import Image
from serving import NUM_IMAGES, image_files
from tabulate import tabulate

from keras_fcn.errors import UserError
from keras_fcn.runs.names import BackboneName, ModelName
from keras_fcn.system.command_line import parse_options, run_command

GROWTH = 0.05
"""The greatest growth of memory and descriptors that counts as none."""


@dataclasses.dataclass(frozen=True)
class SoakOptions:
    """Keeps the server at a part of its load, with bad requests, reloads and idle connections."""

    minutes: float = 30.0
    """Length of the soak."""

    load: float = 0.9
    """Part of the measured rate at which clients ask."""

    bad: float = 0.05
    """Fraction of requests with a bad file."""

    clients: int = 8
    """Number of clients."""

    idle: int = 512
    """Connections that stay open and say nothing; the server's own limit is the same."""

    reload_seconds: float = 60.0
    """Seconds between two versions of the model."""

    model: ModelName = "fcn32s"
    """The network; its weights are random."""

    backbone: BackboneName = "mobilenet_v2"
    """The backbone."""

    size: tuple[int, int] = (160, 240)
    """Height and width of the images."""

    only_export: Annotated[Path | None, tyro.conf.arg(metavar="DIR", help_behavior_hint="")] = None
    """Only export the SavedModel into this folder, as DIR/1."""

    json: Annotated[Path | None, tyro.conf.arg(metavar="FILE", help_behavior_hint="")] = None
    """The JSON file to write the results to."""


class Clients(Threads):
    """Clients that ask together at a rate, or each as soon as it has its answer, while the block runs.

    Args:
        load: Their requests.
        port: The server's port.
        number: Number of clients.
        rate: Requests per second, all together; as many as are answered if None.
    """

    def __init__(self, load: Load, port: int, number: int, rate: float | None = None) -> None:
        self._load, self._port, self._rate = load, port, rate
        self._numbers, self._began = itertools.count(), time.perf_counter()
        self._lock, self._outcomes = threading.Lock(), list[tuple[str, float]]()
        super().__init__(*[self._ask] * number)

    def taken(self) -> list[tuple[str, float]]:
        """Returns outcome and seconds of each request since the last call."""
        with self._lock:
            outcomes, self._outcomes = self._outcomes, []
        return outcomes

    def _ask(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=120)
        with contextlib.closing(connection):
            while not self._end.is_set():
                with self._lock:
                    number = next(self._numbers)
                if self._rate and self._end.wait(max(0.0, self._began + number / self._rate - time.perf_counter())):
                    return
                outcome, seconds = self._outcome(connection, number)
                with self._lock:
                    self._outcomes.append((outcome, seconds))

    def _outcome(self, connection: http.client.HTTPConnection, number: int) -> tuple[str, float]:
        try:
            answer = self._load.ask(connection, number)
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            return type(error).__name__, 0.0
        return self._load.judge(answer), answer.seconds


class IdleConnections(Threads):
    """Connections that say nothing, and are opened again when the server closes them, while the block runs.

    Args:
        port: The server's port.
        number: Number of connections.
    """

    def __init__(self, port: int, number: int) -> None:
        self._port, self._number = port, number
        super().__init__(self._keep)

    def _keep(self) -> None:
        with selectors.DefaultSelector() as open_ones:
            while not self._end.wait(0.2):
                for key, _ in open_ones.select(0):  # they say nothing: what can be read is an end or an error
                    open_ones.unregister(key.fileobj)
                    key.fileobj.close()  # type: ignore[union-attr]
                for _ in range(self._number - len(open_ones.get_map())):
                    with contextlib.suppress(OSError):
                        connection = socket.create_connection(("127.0.0.1", self._port), 5)
                        open_ones.register(connection, selectors.EVENT_READ)
            for key in [*open_ones.get_map().values()]:
                key.fileobj.close()  # type: ignore[union-attr]


def descriptors_of(pid: int) -> int:
    """Returns the number of descriptors that a process and those that it started have open."""
    process, found = Path(f"/proc/{pid}"), 0
    with contextlib.suppress(OSError):
        found = sum(1 for _ in (process / "fd").iterdir())
        for started in process.glob("task/*/children"):
            found += sum(descriptors_of(int(child)) for child in started.read_text(encoding="utf-8").split())
    return found


def publish(directory: Path, version: int) -> None:
    """Puts a version of the model beside those that are there, as an exporter does, and removes the one before last."""
    part = directory / ".part"
    shutil.copytree(directory / str(version - 1), part)
    part.rename(directory / str(version))
    shutil.rmtree(directory / str(version - 2), ignore_errors=True)


def wait_for(port: int, version: int) -> None:
    """Waits until a version is served, and the one before it has ended; on a busy machine that may take a minute.

    Raises:
        UserError: If it is not served after five minutes.
    """
    for _ in range(300):
        if server_metric(port, "keras_fcn_model_version") == version:
            time.sleep(5)
            return
        time.sleep(1)
    raise UserError(f"version {version} was not served within five minutes")


def soak(options: SoakOptions, directory: Path, load: Load) -> list[dict[str, float]]:
    """Serves, asks, reloads, and returns a row of each part between two reloads, after printing it."""
    attack = AttackOptions(timeout=60.0)
    rows: list[dict[str, float]] = []
    with serving(attack, directory) as (process, port):
        with Clients(load, port, options.clients) as warm:
            time.sleep(10)
            warm.taken()
            started = time.perf_counter()
            time.sleep(20)
            sustained = len(warm.taken()) / (time.perf_counter() - started)
        rate, end = options.load * sustained, time.perf_counter() + 60 * options.minutes
        print(f"{sustained:.1f} requests/s are sustained by {options.clients} clients; {rate:.1f} are sent", flush=True)
        with Clients(load, port, options.clients, rate) as clients, IdleConnections(port, options.idle):
            for version in itertools.count(2):
                if time.perf_counter() >= end:
                    break
                time.sleep(min(options.reload_seconds, max(1.0, end - time.perf_counter())))
                wait_for(port, version - 1)
                outcomes = clients.taken()
                times = [seconds for outcome, seconds in outcomes if outcome == "good"]
                refused = [seconds for outcome, seconds in outcomes if outcome == "refused"]
                row = {
                    "version": server_metric(port, "keras_fcn_model_version"),
                    "answered": len(times),
                    "refused": len(refused),
                    "lost": len(outcomes) - len(times) - len(refused),
                    "p50 ms": percentile(times, 50) or 0,
                    "p99 ms": percentile(times, 99) or 0,
                    "MB": round(memory_of(process.pid), 1),
                    "descriptors": descriptors_of(process.pid),
                    "connections": server_metric(port, "keras_fcn_connections"),
                    "engine deaths": server_metric(port, "keras_fcn_engine_deaths_total"),
                }
                rows.append(row)
                faults = sorted({outcome for outcome, _ in outcomes} - {"good", "refused"})
                print(tabulate([row], headers="keys" if len(rows) == 1 else (), tablefmt="plain"), *faults, flush=True)
                publish(directory, version)
        process.terminate()
        print(f"it ended with status {process.wait(90)}")
    return rows


def verdict(rows: list[dict[str, float]]) -> list[str]:
    """Returns what was lost, and how memory and descriptors grew, by the medians of the first and the last third."""
    lines = [f"lost: {sum(row['lost'] for row in rows)} of {sum(row['answered'] + row['lost'] for row in rows)}"]
    for what in ("MB", "descriptors"):
        values, third = [row[what] for row in rows], -(-len(rows) // 3)
        first, last = float(np.median(values[:third])), float(np.median(values[-third:]))
        flat = "flat" if last <= first * (1 + GROWTH) else "grows"
        lines.append(f"{what}: {first:g} at first, {last:g} at last, at most {max(values):g}: {flat}")
    return lines


def main() -> None:
    """Exports a model, serves it for the minutes, and prints a table."""
    options = parse_options(SoakOptions, sys.argv[1:])
    attack = AttackOptions(model=options.model, backbone=options.backbone, size=options.size)
    if options.only_export is not None:
        export(attack, options.only_export)
        return
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, *sys.argv, "--only-export", folder], check=True)
        masks = [np.asarray(Image.open(Path(folder) / f"{number}.png")) for number in range(NUM_IMAGES)]
        rows = soak(options, Path(folder), Load(image_files(options.size), masks, options.bad))
    if not rows:
        raise UserError("the soak was too short for a single row; give more minutes")
    print("\n".join(verdict(rows)))
    if options.json is not None:
        options.json.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    run_command(main)
