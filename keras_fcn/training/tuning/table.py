"""What came of a search, as text."""

from __future__ import annotations

from collections.abc import Sequence

from keras_fcn.runs.folder import RunFolder
from keras_fcn.system.command_line import command_line
from keras_fcn.system.text import table
from keras_fcn.training.tuning.folder import Trial, TuningFolder, best_of
from keras_fcn.training.tuning.space import Params

NEXT_STEPS = """
Train for longer:           {train} --config {recipe} --epochs N
Compare on other images:    {evaluate} {runs} --split test
Try more settings:          {train} --resume {root} --tune {more}"""


def watched(run: RunFolder) -> str:
    """Returns by what the models of a run are compared, human-readable."""
    return run.note.get("by", "watched metric")


def described(params: Params) -> str:
    """Returns what a trial varies: "learning_rate 0.00123, loss cross_entropy+dice"."""
    return ", ".join(f"{name} {_short(value)}" for name, value in params.items())


def outcome(trial: Trial) -> str:
    """Returns what came of a trial that is over."""
    if trial.state == "failed":
        return f"failed: {trial.note}"
    epoch = 1 + trial.values.index(trial.value)
    if trial.state == "pruned":
        return f"{trial.value:.1%}, stopped after epoch {len(trial.values)}: below the median of the others"
    return f"{trial.value:.1%}, in epoch {epoch}"


def format_trials(trials: Sequence[Trial], what: str) -> str:
    """Returns a table of trials, the best first.

    Args:
        trials: Those that are over, at least one.
        what: What makes a model the best, human-readable.
    """
    names = list(trials[0].params)
    order = sorted(trials, key=lambda trial: (trial.state != "finished", -trial.value))
    rows = [
        (trial.number, *(_short(trial.params[name]) for name in names), *_figures(trial), _remark(trial))
        for trial in order
    ]
    text = table(("trial", *names, "best", "epoch", ""), rows, ">" + "<" * len(names) + ">><")
    return f"{text}\nPercent: the {what}, and the epoch of the best model."


def format_result(folder: TuningFolder, trials: Sequence[Trial]) -> str:
    """Returns the table, the best trial, and how to go on."""
    what, best = watched(folder.run(1)), best_of(trials)
    lines = [format_trials(trials, what)]
    if best is None:
        return "\n".join([*lines, "", "No trial has finished: search in other ranges."])
    own = next((trial for trial in trials if trial.number == 1 and trial.state == "finished"), None)
    than = f"; {own.value:.1%} with the settings of trial 1" if own is not None and own != best else ""
    lines += ["", f"Trial {best.number} is the best of {len(trials)}: {what} {best.value:.1%}{than}"]
    lines += [f"Its settings are in {folder.recipe}, its model and pictures in {folder.run(best.number).root}"]
    runs = " ".join(str(folder.run(number).root) for number in dict.fromkeys((1, best.number)))
    commands = {name: command_line(name) for name in ("train", "evaluate")}
    more = 2 * len(trials)
    return "\n".join(lines) + "\n" + NEXT_STEPS.format(
        recipe=folder.recipe, runs=runs, root=folder.root, more=more, **commands
    )  # fmt: skip


def _figures(trial: Trial) -> tuple[str, str]:
    return (f"{100 * trial.value:.1f}", str(1 + trial.values.index(trial.value))) if trial.values else ("-", "-")


def _remark(trial: Trial) -> str:
    if trial.state == "failed":
        return trial.note[:60]
    return f"stopped after epoch {len(trial.values)}" if trial.state == "pruned" else ""


def _short(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
