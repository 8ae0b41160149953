"""Trains a recipe and records its mean IoU over time: `python benchmarks/quality.py --out DIR -- OPTIONS OF TRAIN.PY`.

With `--variants fcn8s fcn4s context_mean context_pyramid context_aspp --evaluate="--trimap 5"`, one command measures a
table of ablations of the network.

Each seed is a training in its own process, as by `train.py`. Time counts from the start of the process, including
imports, the check of the data and all evaluations on validation images. The processor time of all threads, divided by
the cores, is the least time of the training on an idle machine.
"""

from __future__ import annotations

import dataclasses
import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro

from keras_fcn.commands.train import parse_train_options
from keras_fcn.drawing.figures import save_figure
from keras_fcn.errors import UserError
from keras_fcn.evaluation.results import Evaluation
from keras_fcn.runs.folder import RunFolder
from keras_fcn.runs.names import CONTEXTS, NETWORKS
from keras_fcn.system.command_line import parse_options, run_command
from keras_fcn.system.files import write_json
from keras_fcn.system.machine import processor_name
from keras_fcn.system.startup import start_tensorflow

CORES = os.cpu_count() or 1
ROOT = Path(__file__).parents[1]

VARIANTS = {
    "as_given": "",
    **{name: f"--model {name}" for name in NETWORKS},
    **{f"context_{name}": f"--context {name}" for name in ("none", *CONTEXTS)},
    "fcn4s_pyramid": "--model fcn4s --context pyramid",
}
"""Rows of a table of ablations: options that follow those after --."""


_VARIANTS = f"({', '.join(VARIANTS)}; default: as_given)"


@dataclasses.dataclass(frozen=True)
class QualityOptions:
    """Trains with several seeds and prints the validation mean IoU over time; options of train.py follow after --."""

    out: Path
    """The folder to create: a run for each seed, quality.json and quality.png."""

    seeds: tuple[int, ...] = (0, 1)
    """One training each."""

    variants: Annotated[tuple[str, ...], tyro.conf.arg(metavar="NAME ...", help_behavior_hint=_VARIANTS)] = (
        "as_given",
    )
    """A table of ablations: for each of these, all seeds are trained with its options after those given."""

    classes: Annotated[tuple[str, ...], tyro.conf.arg(metavar="NAME ...")] = ()
    """The classes to average over, if a data set has too few images of the others; all if not given."""

    evaluate: Annotated[str, tyro.conf.arg(metavar="OPTIONS")] = ""
    """Also evaluate the best model of each run by evaluate.py with these options, as in --evaluate="--trimap 5"."""

    began: float | None = None
    """Train once, in this process, into --out; the start time in seconds of the monotonic clock."""


def train(words: list[str], folder: Path, began: float) -> None:
    """Trains in this process, and records wall and processor minutes after each epoch."""
    settings = parse_train_options(words).settings
    start_tensorflow()
    import keras

    from keras_fcn.training.train import run_training

    spent: list[tuple[float, float]] = []

    def note(epoch: int, logs: dict) -> None:
        spent.append(((time.monotonic() - began) / 60, time.process_time() / 60))
        write_json(folder / "minutes.json", spent)

    run_training(settings, folder, callbacks=[keras.callbacks.LambdaCallback(on_epoch_end=note)])


def read_curve(folder: Path, classes: tuple[str, ...]) -> list[dict[str, float]]:
    """Returns "minutes", "processor_minutes" and "mean_iou", 0-1, of each epoch of a run."""
    history, minutes = (
        RunFolder(folder).read_history(),
        json.loads((folder / "minutes.json").read_text(encoding="utf-8")),
    )
    return [
        {"minutes": wall, "processor_minutes": processor_minutes, "mean_iou": mean_iou(row.val_iou, classes)}
        for row, (wall, processor_minutes) in zip(history, minutes, strict=True)
    ]


def evaluate_again(folder: Path, options: str, classes: tuple[str, ...], began: float) -> dict[str, float]:
    """Evaluates the best model of a run by evaluate.py; returns "minutes" since the start, and IoUs, 0-1.

    "mean_iou" is that of all pixels, "trimap_iou" with --trimap N that of those near true boundaries.

    Raises:
        UserError: If evaluate.py fails; it prints the error.
    """
    metrics = folder / "measured_again.json"
    words = [sys.executable, str(ROOT / "evaluate.py"), str(folder), "--trimap", "0", "--worst", "0"]
    if subprocess.run([*words, "--json", str(metrics), *shlex.split(options)]).returncode:
        raise UserError(f"evaluate.py could not evaluate {folder}. Received: --evaluate {options!r}")
    again = Evaluation.read(metrics)
    found = {"mean_iou": again.metrics, **({"trimap_iou": again.trimap} if again.trimap else {})}
    means = {name: mean_iou(dict(zip(again.class_names, one.iou)), classes) for name, one in found.items()}
    return {"minutes": (time.monotonic() - began) / 60, **means}


def mean_iou(ious: Mapping[str, float], classes: tuple[str, ...]) -> float:
    """Returns the mean IoU of some classes, or of all, without classes that have no IoU.

    Raises:
        UserError: If there is no such class.
    """
    unknown = [name for name in classes if name not in ious]
    if unknown:
        raise UserError(f"--classes takes names of classes, {', '.join(ious)}. Received: {unknown[0]}")
    return float(np.nanmean([ious[name] for name in classes or ious]))


def report(curves: dict[int, list[dict[str, float]]], again: dict[int, dict[str, float]]) -> None:
    """Prints one line per epoch and seed, the best of each seed, and its metrics by evaluate.py."""
    print(f"{'seed':>4}{'epoch':>7}{'minutes':>9}{'processor minutes / core':>26}{'mean IoU':>10}")
    for seed, rows in curves.items():
        for epoch, row in enumerate(rows, start=1):
            per_core = row["processor_minutes"] / CORES
            print(f"{seed:>4}{epoch:>7}{row['minutes']:>9.1f}{per_core:>26.1f}{100 * row['mean_iou']:>10.1f}")
    best = [100 * max(row["mean_iou"] for row in rows) for rows in curves.values()]
    print(f"Best of each seed: {', '.join(f'{value:.1f}' for value in best)}; mean {np.mean(best):.1f}")
    for seed, row in again.items():
        near = f", near boundaries {100 * row['trimap_iou']:.1f}" if "trimap_iou" in row else ""
        found = f"{100 * row['mean_iou']:.1f}{near}"
        print(f"Seed {seed} by evaluate.py, {row['minutes']:.1f} minutes after its start: {found}")


def draw(path: Path, curves: dict[int, list[dict[str, float]]]) -> None:
    """Draws the curve of each seed over wall time, and over processor time per core."""
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
        axes.set(xlabel=label, ylabel="validation mean IoU, percent", xlim=(0, None), ylim=(0, 100))
        axes.grid(alpha=0.3)
        axes.legend(loc="lower right")
    save_figure(figure, path)


def main() -> None:
    """Measures each variant."""
    arguments = sys.argv[1:]
    end = arguments.index("--") if "--" in arguments else len(arguments)
    options, words = parse_options(QualityOptions, arguments[:end]), arguments[end + 1 :]
    if options.began is not None:
        train(words, options.out, options.began)
        return
    if options.out.exists():
        raise UserError(f"{options.out}: exists already; choose another --out")
    unknown = [name for name in options.variants if name not in VARIANTS]
    if unknown:
        raise UserError(f"--variants takes some of {', '.join(VARIANTS)}. Received: {unknown[0]}")
    several = {name: [*words, *shlex.split(VARIANTS[name])] for name in options.variants}
    for every in several.values():
        parse_train_options(every)  # raises an error now, not after the first start
    print(f"{CORES} CPU cores ({processor_name()}), load {os.getloadavg()[0]:.1f} at the start")
    for name, every in several.items():
        measure(options, every, options.out if len(several) == 1 else options.out / name, name)


def measure(options: QualityOptions, words: list[str], out: Path, name: str) -> None:
    """Trains with every seed, one after the other; prints a table, and writes it and a plot.

    Args:
        options: The options.
        words: Those of train.py.
        out: The folder to create.
        name: The variant's name, which is printed.

    Raises:
        UserError: If a training fails.
    """
    curves, again, load = {}, {}, os.getloadavg()[0]
    for seed in options.seeds:
        folder = out / f"seed{seed}"
        began = time.monotonic()
        own = ["--out", str(folder), "--began", str(began)]
        status = subprocess.run([sys.executable, __file__, *own, "--", *words, "--seed", str(seed)]).returncode
        if status:
            raise UserError(f"the training with seed {seed} ended with exit status {status}")
        curves[seed] = read_curve(folder, options.classes)
        if options.evaluate:
            again[seed] = evaluate_again(folder, options.evaluate, options.classes, began)
    print(f"\n{name}: {shlex.join(words)}")
    report(curves, again)
    results = {
        "options": words,
        "classes": options.classes,
        "processor": processor_name(),
        "load": load,
        "seeds": curves,
    }
    if again:
        results |= {"evaluate": options.evaluate, "measured_again": again}
    write_json(out / "quality.json", results)
    draw(out / "quality.png", curves)


if __name__ == "__main__":
    run_command(main)
