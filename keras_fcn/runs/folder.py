"""The folder of a training run: the paths, formats and meanings of its files."""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import datetime
import itertools
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from keras_fcn.errors import UserError, argument
from keras_fcn.runs.history import EpochRow
from keras_fcn.runs.lock import locked
from keras_fcn.system.files import content_digest, read_lines, remove_unfinished, replaced_file, write_json, written
from keras_fcn.system.text import load_json, tail_of

_LOCK = "lock"
_NOT_OURS = (_LOCK, "lost+found")
"""Names in a folder without a run: what a process left that was killed as it began one, and of a disk's file system."""

_TRAINING, _VALIDATION, _CONTENTS = "training_images.txt", "held_out_images.txt", "training_contents.txt"


class Inside:
    """The path of what has a fixed name in a folder: an attribute of a class with a `root`."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, folder: Any, _: type) -> Path:
        return folder.root / self._name


@dataclasses.dataclass(frozen=True)
class RunFolder:
    """The files of one run, each written atomically."""

    root: Path

    config = Inside("config.json")
    """The settings, JSON: `train.py --config` reads them."""

    best_model = Inside("best.keras")
    """The best model so far, by what the settings watch on the validation images."""

    best_note = Inside("best.json")
    """The epoch of the best model, JSON, by what it is the best, why so, and its value."""

    checkpoints = Inside("checkpoints")
    """All that training needs to resume: weights, optimizer, position."""

    history = Inside("history.csv")
    """One row per epoch."""

    tensorboard = Inside("tensorboard")
    """Event files: curves, and predictions of validation images."""

    metrics = Inside("metrics.json")
    """The best model's metrics on all validation images, its confusion matrix, and the mean IoU of each image."""

    curves = Inside("curves.png")
    """Curves of the history."""

    fingerprint = Inside("fingerprint.json")
    """The data, classes and programs of the run."""

    checked_files = Inside("checked_files.json")
    """What was found in the files of the data; all are decoded again without it."""

    tracking = Inside("tracking.json")
    """The experiment tracker in which the run is, JSON, and its key there."""

    features = Inside("features")
    """Features of the frozen backbone, while they are needed."""

    predictions = Inside("predictions.png")
    """Validation images beside their predictions and ground truth."""

    worst = Inside("worst.png")
    """The validation images with the lowest mean IoU, and their wrong pixels."""

    _reading = Inside("masks.json")
    """What `keep_reading` wrote."""

    @staticmethod
    def make_default(model: str, backbone: str) -> Path:
        """Makes the default folder of a run that begins now; runs of the same second get a number appended.

        Raises:
            UserError: If it cannot be made.
        """
        time = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
        root = Path("runs") / f"{time}-{model}-{backbone}"
        numbered = (root.with_name(f"{root.name}-{number}") for number in itertools.count(2))
        with written(root):
            root.parent.mkdir(exist_ok=True)
            return next(path for path in itertools.chain([root], numbered) if _is_made(path))

    @property
    def is_vacant(self) -> bool:
        """Returns whether a new run may use the folder: it does not exist, or is empty but for hidden files."""
        if not self.root.is_dir():
            return not self.root.exists()
        return all(path.name.startswith(".") or path.name in _NOT_OURS for path in self.root.iterdir())

    @classmethod
    def create(cls, root: Path, settings: dict) -> RunFolder:
        """Creates a new run's folder with its settings.

        Args:
            root: The folder; if it exists, it must be vacant.
            settings: The content of config.json.

        Raises:
            UserError: If the folder is not vacant or cannot be created.
        """
        run = cls(root)
        if not run.is_vacant:
            other, resume = argument("run_dir"), argument("resume", root)
            raise UserError(f"{root}: already exists; choose another {other}, or resume it with {resume}")
        write_json(run.config, settings)
        return run

    def require_exists(self) -> None:
        """Raises UserError if the run's folder is gone: what is written would lie in a new one, which is no run."""
        if not self.root.is_dir():
            raise UserError(
                f"{self.root}: was removed or renamed while its training ran; put it back, or name its new place, and "
                f"resume with {argument('resume', self.root)}"
            )

    @contextlib.contextmanager
    def locked(self, patience: float = 0.0) -> Iterator[None]:
        """Keeps other processes from training here while the block runs; makes the folder.

        What a killed process left half-written is removed.

        Args:
            patience: Seconds to wait for the end of another process.

        Raises:
            UserError: If another process trains here, or the folder cannot be written to.
        """
        busy = f"trains in {self.root}; wait for its end, or choose another {argument('run_dir')}"
        with locked(self.root / _LOCK, busy, patience):
            remove_unfinished(self.root)
            yield

    @property
    def new_start(self) -> str:
        """The way out for a run that cannot be resumed, for an error message."""
        weights = f" from its weights with {argument('init_from', self.root)}" if self.best_model.is_file() else ""
        return f"start a new run{weights}"

    def write_images(self, training: Sequence[Path], validation: Sequence[Path], contents: Sequence[str] = ()) -> None:
        """Writes the lists of training and validation images when the run begins.

        Args:
            training: The training images.
            validation: The validation images.
            contents: The `content_digest` of each training image.

        Raises:
            UserError: If the run began with other training images: it cannot be resumed exactly.
        """
        before, now = self.training_images(), [tail_of(path) for path in training]
        if not before:
            of_contents = [(_CONTENTS, contents)] if contents else []
            # The list that tells that they are written comes last.
            for name, lines in (*of_contents, (_VALIDATION, validation), (_TRAINING, training)):
                with replaced_file(self.root / name) as temporary:
                    temporary.write_text(
                        "".join(f"{line}\n" for line in lines), encoding="utf-8", errors="surrogateescape"
                    )
        elif before != now:
            more, less = len(set(now) - set(before)), len(set(before) - set(now))
            raise UserError(
                f"{self.root / _TRAINING}: the run began with other images or another order of them: {more} are new, "
                f"{less} are missing; put the data back as it was, or start a new run"
            )

    def keep_reading(self, reading: str, notes: Sequence[str]) -> None:
        """Keeps how the masks are read when the run begins, for evaluation and resumption.

        Args:
            reading: The `reading` of the training pairs.
            notes: Their notes, for people.
        """
        if reading and not self._reading.exists():
            write_json(self._reading, {"reading": reading, "notes": list(notes)})

    @property
    def reading(self) -> str:
        """Returns how the masks of the run are read; empty if the run does not say so.

        Raises:
            UserError: If the file that says so is damaged.
        """
        try:
            found = load_json(self._reading.read_text(encoding="utf-8"))["reading"] if self._reading.is_file() else ""
            if isinstance(found, str):
                return found
        except (OSError, ValueError, KeyError, TypeError):
            pass
        raise UserError(f"{self._reading}: is damaged; put it back, or remove it: the masks tell how they are read")

    @property
    def note(self) -> dict[str, Any]:
        """Returns what `best_note` says of the best model; nothing if it is not there, or damaged."""
        with contextlib.suppress(OSError, ValueError):
            content = load_json(self.best_note.read_text(encoding="utf-8"))
            return content if isinstance(content, dict) else {}
        return {}

    def training_images(self) -> list[str]:
        """Returns the training images of the run, each by its folder's name and its own, as the data may be moved."""
        return [*map(tail_of, self._lines(_TRAINING))]

    def validation_images(self) -> list[str]:
        """Returns the validation images of the run, as `training_images` does those to train on."""
        return [*map(tail_of, self._lines(_VALIDATION))]

    def trained_on(self, images: Sequence[Path]) -> int:
        """Returns how many of these images the run trains on, by the contents of the files, whatever their names are.

        A run of an early version kept no contents: its images count if they are where they were.
        """
        trained = {*self._lines(_CONTENTS)} or {content_digest(Path(line)) for line in self._lines(_TRAINING)}
        return sum(content_digest(image) in trained - {""} for image in images) if trained else 0

    def _lines(self, name: str) -> list[str]:
        path = self.root / name
        return [line for line in read_lines(path, "surrogateescape") if line] if path.is_file() else []

    def write_history(self, rows: Sequence[EpochRow]) -> None:
        """Replaces the history by these rows, at least one."""
        with replaced_file(self.history) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(rows[-1].to_json()), restval=math.nan)
            writer.writeheader()
            writer.writerows(row.to_json() for row in rows)

    def read_history(self) -> list[EpochRow]:
        """Returns the rows written so far.

        Raises:
            UserError: If the file is damaged.
        """
        if not self.history.exists():
            return []
        damages = contextlib.suppress(OSError, ValueError, TypeError, KeyError, csv.Error)
        with damages, self.history.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            if {"epoch", "step", "val_mean_iou"} <= {*(reader.fieldnames or ())}:
                return [EpochRow.from_json(row) for row in reader]
        fix = f"put it back, or start a new run from its weights with {argument('init_from', self.root)}"
        raise UserError(f"{self.history}: is damaged; {fix}")


def _is_made(path: Path) -> bool:
    """Makes a folder; returns False if it exists already."""
    try:
        path.mkdir()
    except FileExistsError:
        return False
    return True
