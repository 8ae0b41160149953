"""Starting our program and others in turn, and comparing their speeds."""

from __future__ import annotations

import json
import os
import shlex
import statistics
import subprocess
from collections.abc import Sequence
from pathlib import Path

from keras_fcn.errors import UserError
from keras_fcn.system.machine import processor_name

OURS = "ours"


def run_in_turn(
    ours: Sequence[str], yardsticks: Sequence[tuple[str, str]], rounds: int
) -> tuple[dict[str, list[dict]], list[float]]:
    """Starts every program once in each round.

    Args:
        ours: The words of our command.
        yardsticks: Names and commands of the other programs.
        rounds: Number of rounds.

    Returns:
        The results of each program in every round, and the machine's load before each round.

    Raises:
        UserError: If a program fails.
    """
    programs = {OURS: list(ours), **{name: shlex.split(command) for name, command in yardsticks}}
    results: dict[str, list[dict]] = {name: [] for name in programs}
    loads = []
    for _ in range(rounds):
        loads.append(os.getloadavg()[0])
        for name, command in programs.items():
            results[name].append(start(name, command))
    return results, loads


def start(name: str, command: list[str]) -> dict:
    """Runs a program and returns the JSON object in its last line, with its peak memory as "megabytes".

    Raises:
        UserError: If it fails, or its last line is not such an object.
    """
    with subprocess.Popen(command, stdout=subprocess.PIPE, encoding="utf-8") as process:
        assert process.stdout is not None
        lines = process.stdout.read().splitlines() or [""]
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    try:
        result = {**json.loads(lines[-1]), "megabytes": usage.ru_maxrss / 1024}
        float(result["seconds"])
    except (ValueError, TypeError, KeyError):
        raise UserError(
            f"{name}: {shlex.join(command)} must print a JSON object with seconds. "
            f"Received: exit status {process.returncode}, {lines[-1]!r}"
        ) from None
    return result


def report(rounds: dict[str, list[dict]], loads: list[float], about: str, unit: str) -> None:
    """Prints medians, and the speed of ours relative to each yardstick.

    Args:
        rounds: The results of each program in every round, ours under `OURS`.
        loads: The machine's load before each round.
        about: Description of the timed work.
        unit: The unit of work that takes "seconds", such as "a step".
    """
    print(
        f"{about}; {os.cpu_count()} CPU cores ({processor_name()}); {len(loads)} rounds, "
        f"load {min(loads):.1f} to {max(loads):.1f}"
    )
    median = {
        name: {key: statistics.median(run[key] for run in runs) for key in ("seconds", "megabytes")}
        for name, runs in rounds.items()
    }
    ours = median[OURS]
    for name, runs in rounds.items():
        each = [theirs["seconds"] / our["seconds"] for theirs, our in zip(runs, rounds[OURS])]
        print(
            f"{name:<12}{median[name]['seconds']:7.3f} s {unit}{median[name]['megabytes']:7.0f} MB;  ours is "
            f"{statistics.median(each):.2f}x as fast ({min(each):.2f} to {max(each):.2f}) and takes "
            f"{ours['megabytes'] / median[name]['megabytes']:.2f}x the memory   ({runs[0].get('framework', '')})"
        )


def write_results(path: Path, options: object, results: dict[str, list[dict]], loads: list[float]) -> None:
    """Writes all results with their options as JSON."""
    content = {"options": options, "processor": processor_name(), "loads": loads, "rounds": results}
    path.write_text(json.dumps(content, indent=2, default=str) + "\n", encoding="utf-8")
