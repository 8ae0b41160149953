"""A first training proposed from what a data set holds: a command line, and the reason of each of its options."""

from __future__ import annotations

import dataclasses
import functools
import math
from pathlib import Path
from typing import Any

import numpy as np

from keras_fcn.datasets.inspection import Inspection
from keras_fcn.datasets.pairs import Pairs
from keras_fcn.datasets.windows import LARGE
from keras_fcn.images.windows import is_window
from keras_fcn.runs.config import TrainConfig
from keras_fcn.runs.config_files import read_config
from keras_fcn.system.options import as_words, option
from keras_fcn.training.inputs.cost import seconds

FEW_CROPS = 200
"""Crops that the images hold, side by side, up to which the backbone stays frozen at first (`small_dataset`)."""

OBJECT = 75
"""Width in pixels that suits the network: photographs with objects of 86 pixels are predicted best at 0.8 to 0.9."""

THIN = 2.5
"""Width in pixels below which the smallest scale in training must not bring the thinnest class."""

LEAST_SEEN = 8.0
"""Width in pixels that the thinnest class keeps where images are evaluated at a smaller scale."""

INPUT_SCALES = (1.0, 0.9, 0.8, 0.65, 0.5, 0.35, 0.25)
WHOLE = 1.5
"""The area of a crop as a multiple of the recipe's, up to which it shows an image as a whole."""

SEEN = 0.05
"""Fraction of the images that have to show a class lest an odd one decide."""

RARE = 0.01
"""Fraction of the pixels below which a class is worth a balance."""

EPOCH_CROPS = 200
"""Crops that an epoch has at least, if so many cover the images: between two validations, a model has to change."""

SMALL_PART = 0.25
"""Fraction of an image, as the network sees it, that a crop shows: below it, crops are drawn around rare classes."""

CROPS, PASSES, TUNED_CROPS = 8_000, 12, 1_500
"""Crops, and epochs, that fine-tuning takes at least, and crops after the backbone was frozen."""

FROZEN_PART = 0.15
"""Time of a step from cached features, of that of a whole one."""

EPOCH_SECONDS, START_SECONDS = 2.0, 60.0
"""For the files of an epoch; and for starting, tracing and measuring."""

MINUTES = (3, 5, 10, 15, 20, 30, 45, 60, 90, 120, 180, 240, 360, 480, 720, 1440)


@dataclasses.dataclass(frozen=True)
class Choice:
    """A setting of a plan, and why."""

    setting: str
    value: Any
    reason: str

    @property
    def words(self) -> list[str]:
        """The option and its values, as words of a command line."""
        return [option(self.setting), *as_words(self.value)]


@dataclasses.dataclass(frozen=True)
class Plan:
    """A proposed training.

    Attributes:
        data: The options that say which data they are, as words of a command line.
        choices: Its settings beside the data, the recipe first and the length last.
        kept: Settings that the recipe has already, and why they suit.
        epochs: The number of epochs, estimated.
        crop_seconds: Seconds that a crop takes in training, estimated; None without an estimate.
    """

    data: list[str]
    choices: tuple[Choice, ...]
    kept: tuple[Choice, ...]
    epochs: int
    crop_seconds: float | None

    @property
    def words(self) -> list[str]:
        """All options, as words of a command line."""
        return [*self.data, *(word for choice in self.choices for word in choice.words)]

    @property
    def crop_size(self) -> tuple[int, int]:
        """Height and width of the crops."""
        return next(choice.value for choice in (*self.choices, *self.kept) if choice.setting == "crop_size")

    def to_json(self) -> dict:
        """Returns all of it for JSON."""
        of_recipe = [(choice, False) for choice in self.choices] + [(choice, True) for choice in self.kept]
        settings = [{**dataclasses.asdict(choice), "is_of_recipe": is_kept} for choice, is_kept in of_recipe]
        return {"options": self.words, "settings": settings, "epochs": self.epochs, "crop_seconds": self.crop_seconds}


@functools.cache
def _read_recipe(name: str) -> TrainConfig:
    return read_config(Path(name))


class Planner:
    """Settles one setting after the other; each may look at those before.

    Args:
        data: The options that say which data they are, as words of a command line.
        pairs: The split to train on.
        inspection: Its inspection, with runs.
        validation: Number of validation images.
        rate: The result of `cost.matrix_rate`; None without an estimate, as on a GPU.
        backbone: The backbone to take, and why.
    """

    def __init__(
        self, data: list[str], pairs: Pairs, inspection: Inspection, validation: int, rate: float | None,
        backbone: tuple[str, str],
    ) -> None:  # fmt: skip
        self._data = data
        names, num_classes = pairs.classes.names, pairs.classes.num_classes
        self._num_classes = num_classes
        images_sound = [image for image, is_sound in zip(pairs.images, inspection.is_sound) if is_sound]
        self._sizes = inspection.sizes[inspection.is_sound]
        self._is_cut = (self._sizes.prod(axis=1) > LARGE) | np.array([is_window(image) for image in images_sound])
        self._count, self._size = len(self._sizes), np.median(self._sizes, axis=0)
        self._validation, self._rate, self._backbone = validation, rate, backbone
        pixels = inspection.pixels[:, :num_classes]
        parts = pixels.sum(axis=0) / max(1, pixels.sum())
        images = (pixels > 0).sum(axis=0)
        objects = [index for index in np.flatnonzero(images).tolist() if index != pairs.classes.background]
        usual = [index for index in objects if images[index] >= max(2, SEEN * self._count)] or objects
        self._parts = {names[index]: float(parts[index]) for index in usual}
        self._widths = {names[index]: float(inspection.widths[index]) for index in usual}
        self._choices: list[Choice] = []
        self._kept: list[Choice] = []

    def plan(self) -> Plan:
        """Returns a plan for data of at least one sound pair."""
        self._recipe = self._choose_recipe()
        self._settle("backbone", *self._backbone)
        self._input_scale = self._choose_input_scale()
        self._crop = self._choose_crop()
        self._choose_scale()
        self._choose_crops_of_each()
        self._choose_balance()
        return self._plan_of_length()

    def _settle(self, setting: str, value: Any, reason: str) -> None:
        """Adds a choice or, where the recipe says so already, a note."""
        choice = Choice(setting, value, reason)
        if getattr(self._recipe, setting) == value:
            self._kept.append(choice)
        else:
            self._choices.append(choice)

    def _choose_recipe(self) -> TrainConfig:
        height, width = self._size
        crops = int(self._count * max(1.0, height * width / (320 * 416)))
        held = f"{self._count} images" + (f" that hold {crops:,} crops" if crops > 2 * self._count else "")
        name = "small_dataset" if crops <= FEW_CROPS else "half_an_hour"
        what = "all of a pretrained network is fine-tuned"
        if name == "small_dataset":
            what = "the pretrained backbone is frozen at first, its features computed once"
        self._choices.append(Choice("config", name, f"{held}: {what}"))
        return _read_recipe(name)

    def _choose_input_scale(self) -> float:
        """Settles the scale at which the network sees images when they are evaluated."""
        if not self._widths:
            return self._recipe.network.input_scale
        typical, thin = float(np.median([*self._widths.values()])), min(self._widths.values())
        fitting = [scale for scale in INPUT_SCALES if scale == 1 or scale * thin >= LEAST_SEEN]
        chosen = min(fitting, key=lambda scale: abs(np.log(scale * typical / OBJECT)))
        name = min(self._widths, key=lambda name: self._widths[name])
        which = f"{name} is {thin:.1f}" if len(self._widths) == 1 else f"classes are {typical:.0f}"
        thinnest = f", the thinnest, {name}, {thin:.1f}" if len(self._widths) > 1 else ""
        self._settle("input_scale", chosen, f"{which} pixels wide{thinnest}; about {OBJECT} suits the network")
        return chosen

    def _choose_crop(self) -> tuple[int, int]:
        recipe = self._recipe.augmentation.crop_size or (320, 416)
        height, width = (int(-(-length * self._input_scale // 32) * 32) for length in self._size)
        size, seen = "x".join(f"{length:.0f}" for length in self._size), ""
        if self._input_scale != 1:
            seen = (
                f" ({'x'.join(f'{length * self._input_scale:.0f}' for length in self._size)} as the network sees them)"
            )
        if height * width <= WHOLE * recipe[0] * recipe[1]:
            crop, why = (height, width), "crops show them as a whole"
        else:
            high = self._size[0] > 1.1 * self._size[1]
            crop, why = (max(recipe), min(recipe)) if high else recipe, "crops show a part of them"
        if self._is_cut.any():
            why += f", {self._is_cut.sum()} of them decoded once and read by windows"
        self._settle("crop_size", crop, f"images are {size}{seen}: {why}")
        return crop

    def _choose_scale(self) -> None:
        """Settles the random scales of training, about that of evaluation."""
        ratios = [scale / self._recipe.network.input_scale for scale in self._recipe.augmentation.scale]
        low, high = (round(ratio * self._input_scale, 2) for ratio in ratios)
        thin = min(self._widths.values(), default=np.inf)
        reason = f"around the input scale, {self._input_scale:g}"
        if thin * low < THIN:
            low = round(min(self._input_scale, THIN / thin), 2)
            reason += f", and not so small that {thin:.1f} pixels vanish"
        self._settle("scale", (low, high), reason)
        areas = self._sizes[self._is_cut].prod(axis=1) // math.prod(math.ceil(side / low) for side in self._crop)
        self._samples = int(np.maximum(areas, 1).sum() + (~self._is_cut).sum())

    @property
    def _shown(self) -> float:
        """The fraction of an image, as the network sees it, that a crop shows."""
        return float(self._crop[0] * self._crop[1] / (self._size.prod() * self._input_scale**2))

    def _choose_crops_of_each(self) -> None:
        """Settles how many crops of each image an epoch has, where one of each would be a short one."""
        crops = min(int(1 / self._shown), math.ceil(EPOCH_CROPS / self._samples))
        if crops > 1:
            reason = f"a crop shows {self._shown:.1%} of an image; one of each would be an epoch of {self._samples}"
            self._settle("crops_per_image", crops, reason)
            self._samples += (crops - 1) * int((~self._is_cut).sum())

    def _choose_balance(self) -> None:
        rare = min(self._parts, key=lambda name: self._parts[name], default="")
        part = self._parts.get(rare, 1.0)
        which = rare if len(self._parts) == 1 else f"{rare}, the rarest,"
        percent = f"{which} has {part:.2%} of the pixels"
        few_classes = len(self._parts) <= 2
        if part >= RARE:
            self._settle("balance", "none", percent)
            return
        if self._shown < SMALL_PART:
            self._settle("balance", "windows", f"{percent}, and a crop shows {self._shown:.0%} of an image")
        elif not few_classes:
            self._settle("balance", "weights", percent)
        if few_classes:
            self._settle("loss", ("cross_entropy", "dice"), f"{percent}: in dice it counts as much as the others")

    def _plan_of_length(self) -> Plan:
        """Returns the plan with the minutes, or the epochs, that the data need."""
        count, options = self._samples, self._recipe.optimization
        epochs = max(PASSES, math.ceil(CROPS / count))
        if options.freeze_backbone:
            epochs = options.freeze_backbone + max(5, math.ceil(TUNED_CROPS / count))
        if self._rate is None:
            reason = f"{epochs * count:,} crops in all; no estimate of the time on a GPU"
            return self._plan(Choice("epochs", epochs, reason), epochs, None)
        of_network = (self._recipe.model, self._backbone[0], self._num_classes, self._rate)
        crop = seconds(math.prod(self._crop), *of_network)
        seen = float(self._size.prod()) * self._input_scale**2
        evaluating = self._validation * seconds(seen, *of_network, passes=1)
        epoch, frozen_epochs = count * crop + evaluating + EPOCH_SECONDS, options.freeze_backbone
        frozen = frozen_epochs * (epoch - (2 / 3 - FROZEN_PART) * count * crop)
        total = START_SECONDS + frozen + (epochs - frozen_epochs) * epoch
        minutes = next((minutes for minutes in MINUTES if 60 * minutes >= total), MINUTES[-1])
        fit = frozen_epochs + int((60 * minutes - START_SECONDS - frozen) / epoch)
        crops = float(f"{1 / crop:.2g}")  # two digits, of hundreds, too
        reason = f"about {fit} epochs at {crops:g} crops a second, estimated for these processors when idle"
        if evaluating > count * crop:
            reason += f"; {evaluating / epoch:.0%} is validation, of {self._validation} images"
        return self._plan(Choice("minutes", minutes, reason), fit, crop)

    def _plan(self, length: Choice, epochs: int, crop_seconds: float | None) -> Plan:
        return Plan(self._data, (*self._choices, length), tuple(self._kept), epochs, crop_seconds)
