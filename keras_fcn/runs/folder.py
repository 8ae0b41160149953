"""The folder of a training run: where everything is, and what is written how."""

from __future__ import annotations

import csv
import dataclasses
import datetime
import math
from collections.abc import Sequence
from pathlib import Path

from keras_fcn.errors import UserError, argument
from keras_fcn.runs.history import EpochRow
from keras_fcn.system.files import new_folder, read_lines, replaced_file, write_json

_TRAINING, _HELD_OUT = "training_images.txt", "held_out_images.txt"


@dataclasses.dataclass(frozen=True)
class RunFolder:
    """The files of one run. Each is written whole or not at all."""

    root: Path

    @property
    def config(self) -> Path:
        """The settings, JSON: `train.py --config` reads them."""
        return self.root / "config.json"

    @property
    def best_model(self) -> Path:
        """The model with the best mean IoU on the held-out images so far."""
        return self.root / "best.keras"

    @property
    def checkpoints(self) -> Path:
        """All that training needs to go on: weights, optimizer, position."""
        return self.root / "checkpoints"

    @property
    def history(self) -> Path:
        """One row per epoch."""
        return self.root / "history.csv"

    @property
    def tensorboard(self) -> Path:
        """Event files: curves, and predictions on held-out images."""
        return self.root / "tensorboard"

    @property
    def metrics(self) -> Path:
        """The best model's metrics on all held-out images, its confusion matrix, and the mean IoU of each image."""
        return self.root / "metrics.json"

    @property
    def curves(self) -> Path:
        """A picture of the history."""
        return self.root / "curves.png"

    @property
    def features(self) -> Path:
        """Features of the frozen backbone, while they are needed."""
        return self.root / "features"

    @property
    def predictions(self) -> Path:
        """A picture of held-out photographs, predictions and truth."""
        return self.root / "predictions.png"

    @property
    def worst(self) -> Path:
        """A picture of the held-out photographs with the lowest mean IoU, and of where they are wrong."""
        return self.root / "worst.png"

    @staticmethod
    def default_root(model: str, backbone: str) -> Path:
        """Returns the folder for a run that begins now, where none is given."""
        time = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
        return Path("runs") / f"{time}-{model}-{backbone}"

    @classmethod
    def create(cls, root: Path, settings: dict) -> RunFolder:
        """Makes a new run's folder with its settings inside.

        Args:
            root: The folder, which must not exist.
            settings: What config.json is to hold.

        Raises:
            UserError: If the folder exists or cannot be made.
        """
        if root.exists():
            other, resume = argument("run_dir"), argument("resume", root)
            raise UserError(f"{root}: exists already; choose another {other}, or go on with {resume}")
        try:
            with new_folder(root) as folder:
                write_json(cls(folder).config, settings)
        except OSError as error:
            raise UserError(
                f"{root}: cannot make this run folder ({error.strerror}); choose another {argument('run_dir')}"
            ) from None
        return cls(root)

    def keep_images(self, training: Sequence[Path], held_out: Sequence[Path]) -> None:
        """Writes down which photographs are trained on and which are measured on, when the run begins.

        Raises:
            UserError: If the run began with other training images: it could not go on exactly.
        """
        before, now = self.training_images(), [_tail(path) for path in training]
        if not before:
            for name, images in ((_TRAINING, training), (_HELD_OUT, held_out)):
                with replaced_file(self.root / name) as temporary:
                    temporary.write_text("".join(f"{image}\n" for image in images), encoding="utf-8")
        elif before != now:
            more, less = len(set(now) - set(before)), len(set(before) - set(now))
            raise UserError(
                f"{self.root / _TRAINING}: the run began with other images or another order of them: {more} are new, "
                f"{less} are missing; put the data back as it was, or start a new run"
            )

    def training_images(self) -> list[str]:
        """Returns the photographs that the run trains on, each by its folder's name and its own: the data may move."""
        path = self.root / _TRAINING
        return [_tail(Path(line)) for line in read_lines(path) if line] if path.is_file() else []

    def trained_on(self, images: Sequence[Path]) -> int:
        """Returns how many of some photographs the run trains on."""
        return len(set(self.training_images()).intersection(map(_tail, images)))

    def write_history(self, rows: Sequence[EpochRow]) -> None:
        """Writes the rows, at least one, in place of those before."""
        with replaced_file(self.history) as temporary, temporary.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[-1].to_json()), restval=math.nan)
            writer.writeheader()
            writer.writerows(row.to_json() for row in rows)

    def read_history(self) -> list[EpochRow]:
        """Returns the rows written so far."""
        if not self.history.exists():
            return []
        with self.history.open(newline="") as file:
            return [EpochRow.from_json(row) for row in csv.DictReader(file)]


def _tail(path: Path) -> str:
    return Path(*path.parts[-2:]).as_posix()
