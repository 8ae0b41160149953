"""The fingerprint of a run: its data and classes, on which its result depends, and what it is computed with."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from keras_fcn.errors import UserError
from keras_fcn.runs.folder import RunFolder
from keras_fcn.system.files import write_json
from keras_fcn.system.text import load_json

Pair = tuple[str, str, str]
"""The name of an image, its folder included, and the `content_digest` of the image and of its label file."""


@dataclasses.dataclass(frozen=True)
class Fingerprint:
    """The data of a run.

    Attributes:
        classes: The class table, as `ClassTable.to_dict` returns it; of runs without a fingerprint, names alone.
        training: The training pairs, in their order; none, or with empty digests, where they are not known.
        validation: The validation pairs.
        pixels: Pixel counts of each id in all training labels, and in all validation labels; empty if not known.
        unlabelled: The images that a teacher labels, each as its own label file; none without a teacher.
    """

    classes: dict[str, Any]
    training: Sequence[Pair]
    validation: Sequence[Pair]
    pixels: dict[str, list[int]]
    unlabelled: Sequence[Pair] = ()

    @classmethod
    def read(cls, path: Path) -> tuple[Fingerprint, dict[str, str]]:
        """Reads a fingerprint, and what the run was computed with.

        Raises:
            UserError: If the file is damaged.
        """
        try:
            content = load_json(path.read_text(encoding="utf-8"))
            training, validation = (list(map(_pair, content[split])) for split in ("training", "validation"))
            unlabelled = tuple(map(_pair, content.get("unlabelled", ())))
            return cls(content["classes"], training, validation, content["pixels"], unlabelled), content["machine"]
        except (OSError, ValueError, KeyError, TypeError):
            raise UserError(
                f"{path}: is damaged; put it back, or remove it, which leaves unchecked that the data are the same"
            ) from None

    def write(self, path: Path, machine: dict[str, str]) -> None:
        """Writes the fingerprint, and what the run is computed with."""
        pairs = {"training": self.training, "validation": self.validation}
        pairs |= {"unlabelled": self.unlabelled} if self.unlabelled else {}
        lines = {split: [" ".join(pair) for pair in of_split] for split, of_split in pairs.items()}
        write_json(path, {"machine": machine, "classes": self.classes, "pixels": self.pixels, **lines})

    def require_classes(self, classes: dict[str, Any], run: RunFolder) -> None:
        """Raises UserError unless the data of a run still have these classes.

        Args:
            classes: The class table of the data now.
            run: The run.
        """
        for what, of_one in (("names", repr), ("colors", lambda color: str(tuple(color)))):
            before, now = self.classes.get(what), classes[what]
            if before is None or list(before) == list(now):
                continue
            index = next((i for i, (a, b) in enumerate(zip(now, before)) if a != b), min(len(now), len(before)))
            is_now, was = (of_one(values[index]) if index < len(values) else "none" for values in (now, before))
            number = "" if len(now) == len(before) else f", from {len(before)} to {len(now)}"
            raise UserError(
                f"{run.root}: the classes have changed since the run began{number}: class {index} is {is_now} now and "
                f"was {was}; put the class list back, or {run.new_start}"
            )

    def require_same(self, now: Fingerprint, run: RunFolder) -> None:
        """Raises UserError unless the data are those that a run began with.

        Args:
            now: The fingerprint of the data now.
            run: The run.
        """
        self.require_classes(now.classes, run)
        for split, before, after in (
            ("training", self.training, now.training),
            ("validation", self.validation, now.validation),
            ("unlabelled", self.unlabelled, now.unlabelled),
        ):
            is_known = before or (split == "unlabelled" and self.pixels)  # that there were none
            if is_known and (changed := _changed(before, after)):
                raise UserError(
                    f"{run.root}: the {split} data have changed since the run began: {changed}, or {run.new_start}"
                )
            pixels = self.pixels.get(split)
            if pixels is not None and pixels != now.pixels[split]:
                label = next(index for index in range(256) if pixels[index] != now.pixels[split][index])
                raise UserError(
                    f"{run.root}: the {split} masks are read otherwise than when the run began: they hold "
                    f"{now.pixels[split][label]} pixels of id {label}, and held {pixels[label]}; put the class list "
                    f"back, or {run.new_start}"
                )


def _pair(line: str) -> Pair:
    name, image, label = line.rsplit(" ", 2)
    return name, image, label


def _changed(before: Sequence[Pair], now: Sequence[Pair]) -> str:
    """Returns what has changed in a list of pairs, and the fix; nothing if it is the same."""
    names, names_now = ([name for name, _, _ in pairs] for pairs in (before, now))
    if names != names_now:
        more, less = len(set(names_now) - set(names)), len(set(names) - set(names_now))
        return f"{more} images are new, {less} are missing, or their order is another; put the lists and files back"
    for what, place in (("image", 1), ("mask", 2)):
        changed = [pair[0] for pair, old in zip(now, before) if old[place] and pair[place] != old[place]]
        if changed:
            of_images = "" if what == "image" else "the mask of "
            return (
                f"{len(changed)} of {len(now)} {what}s have another content, first {of_images}{changed[0]}; put it back"
            )
    return ""


def describe_other_machine(before: dict[str, str], now: dict[str, str]) -> str:
    """Returns how a machine and its programs differ from those that a run began with; nothing if they do not."""
    differing = [name for name in now if name in before and now[name] != before[name]]
    then, today = (", ".join(f"{name} {of[name]}" for name in differing) for of in (before, now))
    what = "weights will differ in their last bits from those of a run that was never stopped"
    return f"the run began with {then} and resumes with {today}: {what}" if differing else ""
