"""The folder of a search: the settings of all trials, what each trial varies and came to, and their runs."""

from __future__ import annotations

import contextlib
import dataclasses
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, get_args

import yaml

from keras_fcn.errors import UserError, argument
from keras_fcn.runs.config import TrainConfig
from keras_fcn.runs.config_files import DEFAULTS, read_config
from keras_fcn.runs.folder import Inside, RunFolder
from keras_fcn.system.files import replaced_file, write_json
from keras_fcn.system.text import load_json, printable
from keras_fcn.training.tuning.space import Value

State = Literal["running", "finished", "pruned", "failed"]

MOVABLE = ("data", "unlabelled")
"""The settings that may be given anew when a search is resumed: where the images are."""


@dataclasses.dataclass(frozen=True)
class Trial:
    """A training of a search.

    Attributes:
        number: From 1, in the order in which they are trained.
        params: What it varies, as `Space` has it.
        state: "running" also if it was stopped; "pruned" if it was hopeless, "failed" if its loss diverged, its memory
            did not suffice, or its settings exclude each other.
        values: What makes a model the best, 0-1, after each epoch.
        note: Why it failed.
    """

    number: int
    params: dict[str, Value]
    state: State = "running"
    values: tuple[float, ...] = ()
    note: str = ""

    @property
    def value(self) -> float:
        """What makes its best model the best, 0-1; -1 if it has none."""
        return max(self.values, default=-1.0)


@dataclasses.dataclass(frozen=True)
class TuningFolder:
    """The files of a search, each written atomically."""

    root: Path

    settings = Inside("settings.json")
    """The settings of all trials, JSON."""

    trials = Inside("trials.json")
    """The ranges, and what each trial varies and came to, JSON."""

    recipe = Inside("best.yaml")
    """The settings of the best trial so far: `train.py --config` reads them."""

    def run(self, number: int) -> RunFolder:
        """Returns the folder of a trial's run."""
        return RunFolder(self.root / f"trial_{number:03d}")

    @property
    def is_tuning(self) -> bool:
        """Whether the folder is one of a search."""
        return self.trials.is_file() and self.settings.is_file()

    def require_resumable(self, config: TrainConfig) -> None:
        """Raises UserError unless the search has these settings, but for where the data are."""
        before, now = read_config(self.settings).to_dict(), config.to_dict()
        if differing := [name for name in now if now[name] != before[name] and name not in MOVABLE]:
            others = ", ".join(argument(name) for name in differing)
            raise UserError(
                f"{self.root}: the search began with another {others}; leave it out to resume, or choose another "
                f"{argument('run_dir')}"
            )

    def read(self) -> tuple[list[str], list[Trial], int]:
        """Reads the ranges, the trials, and how many there are to be.

        Raises:
            UserError: If the file is damaged.
        """
        try:
            content = load_json(self.trials.read_text(encoding="utf-8"))
            over, trials = [str(text) for text in content["over"]], [_trial(row) for row in content["trials"]]
            if [trial.number for trial in trials] == [*range(1, 1 + len(trials))]:
                return over, trials, int(content["count"])
        except (OSError, ValueError, KeyError, TypeError):
            pass
        raise UserError(f"{self.trials}: is damaged; put it back, or choose another {argument('run_dir')}")

    def write(self, config: TrainConfig, over: Sequence[str], trials: Sequence[Trial], count: int) -> None:
        """Writes the settings of all trials, the ranges, the trials, and how many there are to be.

        Raises:
            UserError: If a file cannot be written.
        """
        settings = config.to_dict()
        if config.run.minutes:  # in place of epochs, as in a recipe
            del settings["epochs"]
        write_json(self.settings, settings)
        rows = [dataclasses.asdict(trial) for trial in trials]
        write_json(self.trials, {"count": count, "over": list(over), "trials": rows})

    def write_recipe(self, best: Trial, config: TrainConfig, about: str) -> None:
        """Writes the settings of a trial as a recipe.

        Args:
            best: The trial.
            config: Its settings.
            about: A line on it.
        """
        defaults, settings = DEFAULTS.to_dict(), config.to_dict()
        wanted = {name: value for name, value in settings.items() if value != defaults[name] or name in best.params}
        plain = {name: list(value) if isinstance(value, tuple) else value for name, value in wanted.items()}
        text = yaml.safe_dump(plain, sort_keys=False, allow_unicode=True, default_flow_style=None)
        command = f"python train.py --config {printable(str(self.recipe))}"
        with replaced_file(self.recipe) as temporary:
            temporary.write_text(f"# {command}\n#\n# {about}\n{text}", encoding="utf-8")

    def forget(self) -> None:
        """Removes what `write` wrote."""
        for path in (self.trials, self.settings):
            path.unlink(missing_ok=True)

    def remove_empty(self) -> None:
        """Removes the folder if nothing is in it."""
        with contextlib.suppress(OSError):
            self.root.rmdir()

    def spare(self, trials: Sequence[Trial], best: Trial | None) -> None:
        """Removes what only a run to resume takes, of trials that are over and not the best."""
        for trial in trials:
            if trial != best:
                for folder in (self.run(trial.number).checkpoints, self.run(trial.number).features):
                    shutil.rmtree(folder, ignore_errors=True)


def best_of(trials: Sequence[Trial]) -> Trial | None:
    """Returns the best trial, the first of equal ones; None if none has finished."""
    finished = [trial for trial in trials if trial.state == "finished"]
    return max(finished, key=lambda trial: trial.value, default=None)


def _trial(row: dict) -> Trial:
    trial = Trial(int(row["number"]), dict(row["params"]), row["state"], tuple(row["values"]), str(row["note"]))
    if trial.state not in get_args(State):
        raise ValueError
    return trial
