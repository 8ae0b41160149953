"""How good a recipe gets, and how soon: `python benchmarks/quality.py --out DIR -- OPTIONS OF TRAIN.PY`.

Each seed is a training in a process of its own, as `train.py` makes it. Time counts from the start of the process, so
imports, the check of the data and all measurements on held-out images are in it. Beside the time on the wall stands
the processor time of all threads: divided by the cores, it is the least that the training would take with nothing else
running.
"""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro
from yardsticks import processor

from keras_fcn.charts import CLASS_IOU
from keras_fcn.cli import parse_options, run
from keras_fcn.environment import start_tensorflow
from keras_fcn.errors import UserError
from keras_fcn.figures import save_figure
from keras_fcn.files import write_json
from keras_fcn.run_folder import RunFolder
from keras_fcn.train_options import parse_train_options

CORES = os.cpu_count() or 1


@dataclasses.dataclass(frozen=True)
class QualityOptions:
    """Trains with several seeds and prints the held-out mean IoU over the time; options of train.py follow after --."""

    out: Path
    """The folder to make: a run for each seed, quality.json and quality.png."""

    seeds: tuple[int, ...] = (0, 1)
    """One training each."""

    classes: Annotated[tuple[str, ...], tyro.conf.arg(metavar="NAME ...")] = ()
    """The classes to take the mean over, where a data set has too few images of the others; all, if not given."""

    began: float | None = None
    """Train once, in this process, into --out; when it was started, in seconds of the monotonic clock."""


def train(words: list[str], folder: Path, began: float) -> None:
    """Trains in this process, and writes down after each epoch how many minutes have passed, and of processor time."""
    settings = parse_train_options(words).settings()
    start_tensorflow()
    import keras

    from keras_fcn.training_run import run_training

    spent: list[tuple[float, float]] = []

    def note(epoch: int, logs: dict) -> None:
        spent.append(((time.monotonic() - began) / 60, time.process_time() / 60))
        write_json(folder / "minutes.json", spent)

    run_training(settings, folder, callbacks=[keras.callbacks.LambdaCallback(on_epoch_end=note)])


def measured(folder: Path, classes: tuple[str, ...]) -> list[dict[str, float]]:
    """Returns of each epoch of a run "minutes", "processor_minutes" and "mean_iou", 0-1."""
    history, minutes = RunFolder(folder).read_history(), json.loads((folder / "minutes.json").read_text())
    return [
        {"minutes": wall, "processor_minutes": processor_minutes, "mean_iou": mean_iou(row, classes)}
        for row, (wall, processor_minutes) in zip(history, minutes, strict=True)
    ]


def mean_iou(row: dict[str, float], classes: tuple[str, ...]) -> float:
    """Returns the mean IoU over some classes of a row of the history, those that no pixel has or got left out.

    Raises:
        UserError: If there is no such class.
    """
    ious = {name.removeprefix(CLASS_IOU): value for name, value in row.items() if name.startswith(CLASS_IOU)}
    unknown = [name for name in classes if name not in ious]
    if unknown:
        raise UserError(f"--classes takes names of classes, {', '.join(ious)}. Received: {unknown[0]}")
    return float(np.nanmean([ious[name] for name in classes or ious]))


def report(curves: dict[int, list[dict[str, float]]], load: float) -> None:
    """Prints one line per epoch and seed, and the best of each seed."""
    print(f"\n{CORES} CPU cores ({processor()}), load {load:.1f} at the start")
    print(f"{'seed':>4}{'epoch':>7}{'minutes':>9}{'processor minutes / core':>26}{'mean IoU':>10}")
    for seed, rows in curves.items():
        for epoch, row in enumerate(rows, start=1):
            per_core = row["processor_minutes"] / CORES
            print(f"{seed:>4}{epoch:>7}{row['minutes']:>9.1f}{per_core:>26.1f}{100 * row['mean_iou']:>10.1f}")
    best = [100 * max(row["mean_iou"] for row in rows) for rows in curves.values()]
    print(f"Best of each seed: {', '.join(f'{value:.1f}' for value in best)}; mean {np.mean(best):.1f}")


def draw(path: Path, curves: dict[int, list[dict[str, float]]]) -> None:
    """Draws the curve of each seed over the time on the wall, and over the processor time per core."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4), layout="constrained")
    for axes, key, divisor, label in zip(
        figure.subplots(1, 2, sharey=True),
        ("minutes", "processor_minutes"),
        (1, CORES),
        ("minutes", f"processor minutes per core, of {CORES}"),
    ):
        for seed, rows in curves.items():
            values = [100 * row["mean_iou"] for row in rows]
            axes.plot([row[key] / divisor for row in rows], values, marker="o", markersize=3, label=f"seed {seed}")
        axes.set(xlabel=label, ylabel="held-out mean IoU, percent", xlim=(0, None), ylim=(0, 100))
        axes.grid(alpha=0.3)
        axes.legend(loc="lower right")
    save_figure(figure, path)


def main() -> None:
    """Trains with every seed, one after the other; prints a table, and writes it and a picture."""
    arguments = sys.argv[1:]
    end = arguments.index("--") if "--" in arguments else len(arguments)
    options, words = parse_options(QualityOptions, arguments[:end]), arguments[end + 1 :]
    if options.began is not None:
        train(words, options.out, options.began)
        return
    if options.out.exists():
        raise UserError(f"{options.out}: exists already; choose another --out")
    parse_train_options(words)  # complains now, not after the first start
    curves, load = {}, os.getloadavg()[0]
    for seed in options.seeds:
        folder = options.out / f"seed{seed}"
        own = ["--out", str(folder), "--began", str(time.monotonic())]
        status = subprocess.run([sys.executable, __file__, *own, "--", *words, "--seed", str(seed)]).returncode
        if status:
            raise UserError(f"the training with seed {seed} ended with exit status {status}")
        curves[seed] = measured(folder, options.classes)
    report(curves, load)
    figures = {"options": words, "classes": options.classes, "processor": processor(), "load": load, "seeds": curves}
    write_json(options.out / "quality.json", figures)
    draw(options.out / "quality.png", curves)


if __name__ == "__main__":
    run(main)
